"""Imports and runs the code of foreign systems, and tells its errors plainly."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..catalogue.needs import installed
from ..errors import AdapterUnavailable
from ..runtime.failure_mapping import is_out_of_memory, root


def put_on_path(*folders: Path) -> None:
    """Let packages in these folders be found, the first folder's first, before installed ones of the same name."""
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def import_module(name: str, adapter_id: str) -> Any:
    """Import a module of upstream.

    Raises:
        AdapterUnavailable: it does not import; says why.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise AdapterUnavailable(
            f"{name} needs the module {error.name}, which {sys.executable} lacks; run: pocket3d adapters install"
            f" {adapter_id}"
        ) from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        # Compiled packages that do not fit each other fail with any of these.
        raise AdapterUnavailable(f"{name} cannot be imported in {sys.executable}: {error}") from error


def put_into_package(package: str, name: str) -> None:
    """Let a package of upstream find its compiled module that was installed at the top level, beside it.

    Call it before the package is imported. Does nothing where there is no such installed module.
    """
    if installed(name):
        sys.modules.setdefault(f"{package}.{name}", importlib.import_module(name))


@contextmanager
def loading(says: str, *, first: bool = False) -> Iterator[None]:
    """Have errors inside say what was being loaded.

    `says` begins the message. With `first`, of several errors, each raised while the one before was handled, the first
    one counts.

    Raises:
        RuntimeError: something was raised inside that does not say that memory ran out.
    """
    try:
        yield
    except Exception as error:  # foreign code, which raises nearly anything on files that do not fit
        cause = root(error) if first else error
        if is_out_of_memory(cause):
            raise
        raise RuntimeError(f"{says}: {type(cause).__name__}: {cause}") from cause


@contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Have code of upstream find these in the place of its own, in one of its modules or objects."""
    kept = {name: getattr(owner, name) for name in attributes}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(owner, name, value)
