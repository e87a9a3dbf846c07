"""A mesh and the files that it names, given one by one, as the zip that readers take."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..authoring.input_checks import checked_file
from ..errors import InvalidInput
from ..mesh_models import MESH_FORMATS

_FIELD = "mesh_file_paths"
#: Suffixes of what holds several files already.
_WHOLE = (".zip", ".3mf")
#: Bytes of a file's name.
_LONGEST = 255


def files_beside(value: Any, mesh: Path) -> list[Path]:
    """The local files of the input `mesh_file_paths`, one or a list, that belong to a mesh.

    Raises:
        InvalidInput: one is no file name, or a mesh itself, two have one name, or the mesh has all in itself.
        FileNotFoundError: one is not there.
    """
    values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    if not all(isinstance(each, (str, Path)) and str(each) for each in values):
        raise InvalidInput(f"{_FIELD} must name files", _FIELD)
    if values and mesh.suffix.lower() in _WHOLE:
        raise InvalidInput(f"{_FIELD}: {mesh.name} has its files in itself; put these into it", _FIELD)
    paths = [checked_file(each, _FIELD, ()) for each in values]
    for path in paths:
        if path.suffix.lower().removeprefix(".") in MESH_FORMATS:
            raise InvalidInput(f"{_FIELD}: {path.name} is a mesh; give each by itself as mesh_path", _FIELD)
    names = [path.name for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{_FIELD}: two files are named {twice!r}; give the mesh and its files as one zip", _FIELD)
    return paths


def together(mesh: Path, beside: Sequence[Path], folder: Path) -> Path:
    """Put a mesh and its files into a zip in the folder; its name is in what is told of it."""
    name = f"{mesh.name} with its files.zip"
    target = folder / (name if len(os.fsencode(name)) <= _LONGEST else "mesh with its files.zip")
    # Their times may be any, such as 1970, which a zip cannot say.
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as archive:
        for path in (mesh, *beside):
            archive.write(path, os.fsencode(path.name).decode("utf-8", "replace"))
    return target
