"""A mesh and the files that it names, given one by one, as the zip that readers take."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..mesh_models import MESH_FORMATS

_FIELD = "mesh_file_paths"


def files_beside(value: Any) -> list[Path]:
    """The local files of the input `mesh_file_paths`, one or a list.

    Raises:
        InvalidInput: one is no file name, or a mesh itself, or two have one name.
    """
    values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    if not all(isinstance(each, (str, Path)) for each in values):
        raise InvalidInput(f"{_FIELD} must name files", _FIELD)
    paths = [Path(each) for each in values]
    for path in paths:
        if path.suffix.lower().removeprefix(".") in MESH_FORMATS:
            raise InvalidInput(f"{_FIELD}: {path.name} is a mesh; give each by itself as mesh_path", _FIELD)
    names = [path.name for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{_FIELD}: two files are named {twice!r}; give the mesh and its files as one zip", _FIELD)
    return paths


def together(mesh: Path, beside: Sequence[Path], folder: Path) -> Path:
    """Put a mesh and its files into a zip in the folder."""
    target = folder / f"{mesh.stem}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path in (mesh, *beside):
            archive.write(path, path.name)
    return target
