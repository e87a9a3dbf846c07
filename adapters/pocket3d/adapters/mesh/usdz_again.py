"""A USDZ file that `usdz_file` wrote, read again for the check of what was written. Files of others are not read so."""

from __future__ import annotations

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .read.found import Found, FoundPart, scene_of
from .srgb import to_srgb

_MESH = re.compile(r'^    def Mesh "', re.MULTILINE)
_LOOK = re.compile(r'^        def Material "(\w+)"', re.MULTILINE)
_NAME = re.compile(r'displayName = ("(?:[^"\\]|\\.)*")')
_POINTS, _FACES, _COLOURS = "point3f[] points = [", "int[] faceVertexIndices = [", "primvars:displayColor = ["
_NORMALS, _COORDINATES = "normal3f[] normals = [", "texCoord2f[] primvars:st = ["


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
    layer = usdz_layer(path)
    with zipfile.ZipFile(path) as archive:
        pictures = {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    scope = layer[layer.index('    def Scope "Looks"') :]
    # What is in brackets stands between the texts.
    names = _LOOK.split(scope)[1:]
    looks = {name: _look(text, pictures) for name, text in zip(names[::2], names[1::2], strict=True)}
    return scene_of(Found([_part(text, looks) for text in usdz_meshes(layer)], unit=1.0))


def _look(text: str, pictures: dict[str, bytes]) -> Any:
    import trimesh.visual.material
    from PIL import Image

    materials: Any = trimesh.visual.material
    values = {key: _value(text, key) for key in ("metallic", "roughness", "opacity")}
    made = materials.PBRMaterial(label_of(text), metallicFactor=values["metallic"], roughnessFactor=values["roughness"])
    stated = re.search(r"(?:diffuseColor|scale) = \((.*?)\)", text)
    colour = [float(each) for each in stated[1].split(",")[:3]] if stated else [1.0, 1.0, 1.0]
    # Its property would round it to bytes.
    made._data["baseColorFactor"] = np.array([*colour, values["opacity"]])
    file = re.search(r"inputs:file = @(.*?)@", text)
    if file:
        made.baseColorTexture = Image.open(BytesIO(pictures[file[1]]))
    return made


def _value(text: str, name: str) -> float:
    found = re.search(rf"inputs:{name} = (\S+)", text)
    if found is None:
        raise ValueError(f"a material without {name}")
    return float(found[1])


def _part(text: str, looks: dict[str, Any]) -> FoundPart:
    colours = None
    if _COLOURS in text:
        linear = _numbers(text, _COLOURS).reshape(-1, 3)
        colours = np.concatenate([to_srgb(linear), np.ones((len(linear), 1))], axis=1)
    moved = re.search(r"xformOp:translate = \((.*?)\)", text)
    offset = np.array([float(each) for each in moved[1].split(",")] if moved else [0.0, 0.0, 0.0])
    bound = re.search(r"</Model/Looks/(\w+)>", text)
    return FoundPart(
        label_of(text),
        _numbers(text, _POINTS).reshape(-1, 3) + offset,
        _numbers(text, _FACES).reshape(-1, 3).astype(np.int64),
        _numbers(text, _NORMALS).reshape(-1, 3),
        uv=_numbers(text, _COORDINATES).reshape(-1, 2) if _COORDINATES in text else None,
        colours=colours,
        look=looks[bound[1]] if bound else None,
    )


def _numbers(text: str, name: str) -> npt.NDArray[np.float64]:
    start = text.index(name) + len(name)
    values = text[start : text.index("]", start)]
    found: npt.NDArray[np.float64] = np.fromstring(
        values.translate(str.maketrans("(),", "   ")), dtype=np.float64, sep=" "
    )
    return found
