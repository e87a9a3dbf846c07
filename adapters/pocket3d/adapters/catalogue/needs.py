"""Finds out what an adapter lacks on this host: packages, a checkout, weights. Imports nothing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def missing_packages(names: Iterable[str]) -> str | None:
    """In words which top-level modules are not installed that come with the extra `agent`, or None."""
    missing = [name for name in names if not installed(name)]
    return f"not installed: {', '.join(missing)}; in a checkout: pip install '.[agent]'" if missing else None


def what_is_missing(
    adapter_id: str, packages: Iterable[str] = (), files: Mapping[str, tuple[str, Path | None]] | None = None
) -> str | None:
    """Say in one line what is missing and which command brings it, or return None.

    Args:
        adapter_id: for the command `pocket3d adapters install`.
        packages: top-level modules that this interpreter must have.
        files: what a file is for (`weights`) -> (constructor argument that leads to it, the file; None where that
            argument was not given).
    """
    reasons: list[str] = []
    for purpose, (argument, path) in (files or {}).items():
        if path is None:
            reasons.append(f"{purpose}: {argument} is not set")
        elif not path.is_file():
            reasons.append(f"{purpose}: there is no {path} ({argument})")
    absent = [name for name in packages if not installed(name)]
    if absent:
        reasons.append(f"not installed for {sys.executable}: {', '.join(absent)}")
    if not reasons:
        return None
    return f"{'; '.join(reasons)}; run: pocket3d adapters install {adapter_id}"


def installed(name: str) -> bool:
    """True if a top-level module would be found."""
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:
        # A module put into sys.modules without a spec, and taken out again by its own import.
        return False


def compiled_in(folder: Path, name: str) -> bool:
    """True if a folder holds a compiled module that this very interpreter would import."""
    return any((folder / f"{name}{suffix}").is_file() for suffix in EXTENSION_SUFFIXES)


def compiled_inside(package: str, name: str) -> bool:
    """The same for an installed top-level package, which is not imported."""
    if not installed(package):
        return False
    spec = importlib.util.find_spec(package)
    return spec is not None and any(compiled_in(Path(each), name) for each in spec.submodule_search_locations or ())
