"""Finds and imports upstream's code."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...catalogue.needs import installed
from ...errors import AdapterUnavailable
from .versions import Version


def missing_code(version: Version, root: Path | None, modules: Sequence[str], adapter_id: str) -> str | None:
    """What is missing of Hunyuan3D and of what it imports, in words, or None. Imports nothing.

    Args:
        version: which of the two.
        root: a checkout, or None where the package is installed.
        modules: top-level modules that are needed.
        adapter_id: for the hint.
    """
    install = f"run: pocket3d adapters install {adapter_id}"
    if root is not None:
        if not (root / version.landmark).is_file():
            return (
                f"hunyuan3d_root {root} is no checkout of Hunyuan3D {version.name}: it has no {version.landmark};"
                f" {install}"
            )
    elif not installed(version.package):
        return f"{version.package} is not installed in {sys.executable}: set hunyuan3d_root to a checkout, or {install}"
    beside = _folders(version, root)
    lacking = [name for name in dict.fromkeys(modules) if not installed(name) and not _lies_in(name, beside)]
    if lacking:
        return f"Hunyuan3D {version.name} needs {', '.join(lacking)}, which {sys.executable} lacks; {install}"
    return None


def put_on_path(version: Version, root: Path | None) -> None:
    """Let the checkout's packages be found, before installed ones of the same name."""
    for folder in reversed(_folders(version, root)):
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


def mend_torchvision() -> None:
    """Hunyuan3D 2.1 ships a patch for the module that torchvision 0.17 dropped and its upscaler imports; use it."""
    with contextlib.suppress(ImportError):
        importlib.import_module("torchvision_fix").apply_fix()


def _folders(version: Version, root: Path | None) -> list[Path]:
    return [] if root is None else [(root / each).resolve() for each in version.folders]


def _lies_in(module: str, folders: Sequence[Path]) -> bool:
    return any((each / module / "__init__.py").is_file() or (each / f"{module}.py").is_file() for each in folders)
