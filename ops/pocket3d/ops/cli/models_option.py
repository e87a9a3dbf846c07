"""`--models`, for commands about adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def models_option(command: F) -> F:
    """A `models.yaml`, also from POCKET3D_MODELS."""
    return click.option(
        "--models",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="POCKET3D_MODELS",
        show_envvar=True,
        help="A models.yaml; it adds to the built-in adapters.",
    )(command)
