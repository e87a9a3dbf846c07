"""Options about the machine that an agent runs on: its devices, its models, its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def models_option(command: F) -> F:
    """`--models`, also from POCKET3D_MODELS."""
    return click.option(
        "--models",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="POCKET3D_MODELS",
        show_envvar=True,
        help="Add the adapters of this models.yaml to the built-in ones.",
    )(command)


def devices_option(command: F) -> F:
    """`--devices`, also from POCKET3D_DEVICES."""
    return click.option(
        "--devices",
        default="auto",
        show_default=True,
        envvar="POCKET3D_DEVICES",
        show_envvar=True,
        metavar="SPEC",
        help="Use these devices: auto, nvml, fixed:24576,12288 (simulated), cpu:8192 (sizes in MB); joined by +.",
    )(command)


def agent_options(command: F) -> F:
    """`--agent-id`, `--devices`, `--models`, `--memory-buffer`: of an agent, alone or under `up`."""
    command = click.option(
        "--memory-buffer",
        type=click.IntRange(min=0),
        metavar="MB",
        envvar="POCKET3D_MEMORY_BUFFER",
        help="Keep so many MB free on every device.  [default: 1024 on GPUs, 0 on others]",
    )(command)
    command = devices_option(models_option(command))
    return click.option(
        "--agent-id",
        envvar="POCKET3D_AGENT_ID",
        show_envvar=True,
        help="Name the agent with one subject token.  [default: the host's name]",
    )(command)
