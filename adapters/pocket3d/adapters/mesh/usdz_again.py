"""A USDZ file that `usdz_file` wrote, read again: its triangles and names, for the check of what was written."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .read.found import Found, FoundPart, scene_of
from .srgb import to_srgb

_MESH = re.compile(r'^    def Mesh "', re.MULTILINE)
_NAME = re.compile(r'displayName = ("(?:[^"\\]|\\.)*")')
_POINTS, _FACES, _COLOURS = "point3f[] points = [", "int[] faceVertexIndices = [", "primvars:displayColor = ["


def usdz_layer(path: Path) -> str:
    """The text of the layer in a USDZ file."""
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.usda").decode()


def usdz_meshes(layer: str) -> list[str]:
    """The texts of its meshes."""
    starts = [each.start() for each in _MESH.finditer(layer)]
    ends = [*starts[1:], layer.index('    def Scope "Looks"')]
    return [layer[start:end] for start, end in zip(starts, ends, strict=True)]


def label_of(text: str) -> str:
    """The first label in a text: the name as people gave it."""
    found = _NAME.search(text)
    return str(json.loads(found[1])) if found else ""


def read_usdz(path: Path) -> Any:
    """A `trimesh.Scene` of the file."""
    return scene_of(Found([_part(text) for text in usdz_meshes(usdz_layer(path))], unit=1.0))


def _part(text: str) -> FoundPart:
    colours = None
    if _COLOURS in text:
        linear = _numbers(text, _COLOURS).reshape(-1, 3)
        colours = np.concatenate([to_srgb(linear), np.ones((len(linear), 1))], axis=1)
    return FoundPart(
        label_of(text),
        _numbers(text, _POINTS).reshape(-1, 3),
        _numbers(text, _FACES).reshape(-1, 3).astype(np.int64),
        colours=colours,
    )


def _numbers(text: str, name: str) -> Any:
    start = text.index(name) + len(name)
    values = text[start : text.index("]", start)]
    return np.fromstring(values.translate(str.maketrans("(),", "   ")), dtype=np.float64, sep=" ")
