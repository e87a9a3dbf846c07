"""3MF (core specification 1.3): objects with their names, transforms and base materials, in millimetres or as stated.

The XML is read without document types, so that nothing in it expands or points outside. Extensions (production,
beams, slices) are left out and named.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .found import Found, FoundPart
from .limits import MeshLimits, Refused

_CORE = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
_MAX_DEPTH = 20
_MAX_PARTS = 2_000


class _Object(NamedTuple):
    name: str
    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]
    #: (4,) sRGB with alpha, of the whole.
    colour: tuple[float, ...] | None
    #: Objects inside, with the (4, 3) that places each.
    components: list[tuple[str, npt.NDArray[np.float64]]]


def model_path(files: Mapping[str, bytes]) -> str | None:
    """The path of the model among the files of a zip; None if it is no 3MF."""
    found = [path for path in files if path.lower().endswith(".model")]
    main = [path for path in found if path.lower() == "3d/3dmodel.model"]
    return next(iter(main or found), None)


def read_3mf(data: bytes, limits: MeshLimits) -> Found:
    """Read the model of a 3MF file.

    Args:
        data: the XML.
        limits: hold for all instances together.

    Raises:
        Refused: broken, too large, or nothing in it is built.
    """
    if b"<!DOCTYPE" in data[:65_536] or b"<!ENTITY" in data:
        raise Refused("its XML has a document type, which is not read")
    try:
        root = ElementTree.fromstring(data)
        objects = _objects(root, limits)
        parts: list[FoundPart] = []
        for item in root.iterfind(f"{_CORE}build/{_CORE}item"):
            _place(item.attrib["objectid"], _matrix(item), objects, parts, 0, limits)
    except (ElementTree.ParseError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"its model is broken: {type(error).__name__}: {str(error)[:200]}") from error
    if not parts:
        raise Refused("no surface: nothing in it is built of triangles")
    needed = root.attrib.get("requiredextensions")
    return Found(parts, (f"the extensions {needed[:80]!r} of 3MF",) if needed else ())


def _objects(root: Any, limits: MeshLimits) -> dict[str, _Object]:
    colours = {
        group.attrib["id"]: [_colour(base.attrib.get("displaycolor", "")) for base in group]
        for group in root.iterfind(f"{_CORE}resources/{_CORE}basematerials")
    }
    objects: dict[str, _Object] = {}
    for each in root.iterfind(f"{_CORE}resources/{_CORE}object"):
        vertices = [
            (float(v.attrib["x"]), float(v.attrib["y"]), float(v.attrib["z"]))
            for v in each.iterfind(f"{_CORE}mesh/{_CORE}vertices/{_CORE}vertex")
        ]
        faces = [
            (int(t.attrib["v1"]), int(t.attrib["v2"]), int(t.attrib["v3"]))
            for t in each.iterfind(f"{_CORE}mesh/{_CORE}triangles/{_CORE}triangle")
        ]
        limits.check_counts(len(vertices), len(faces))
        corners = np.array(faces, dtype=np.int64).reshape(-1, 3)
        if len(corners) and not 0 <= corners.min() <= corners.max() < len(vertices):
            raise ValueError("a triangle points to a vertex that is not there")
        group = colours.get(each.attrib.get("pid", ""), [])
        index = int(each.attrib.get("pindex", 0))
        objects[each.attrib["id"]] = _Object(
            each.attrib.get("name") or "mesh",
            np.array(vertices, dtype=np.float64).reshape(-1, 3),
            corners,
            group[index] if 0 <= index < len(group) else None,
            [(part.attrib["objectid"], _matrix(part)) for part in each.iterfind(f"{_CORE}components/{_CORE}component")],
        )
    return objects


def _matrix(element: Any) -> npt.NDArray[np.float64]:
    """(4, 3): rows are multiplied from the left."""
    text = element.attrib.get("transform")
    if text is None:
        return np.eye(4)[:, :3]
    return np.array([float(each) for each in text.split()]).reshape(4, 3)


def _colour(text: str) -> tuple[float, ...] | None:
    """From #RRGGBB or #RRGGBBAA."""
    if not text.startswith("#") or len(text) not in (7, 9):
        return None
    return tuple(each / 255 for each in bytes.fromhex(text[1:].ljust(8, "f")))


def _place(
    identity: str,
    matrix: npt.NDArray[np.float64],
    objects: Mapping[str, _Object],
    parts: list[FoundPart],
    depth: int,
    limits: MeshLimits,
) -> None:
    if depth > _MAX_DEPTH or len(parts) >= _MAX_PARTS:
        raise Refused(f"more than {_MAX_PARTS:,} parts, or objects within one another more than {_MAX_DEPTH} deep")
    found = objects[identity]
    if len(found.faces):
        vertices = found.vertices @ matrix[:3] + matrix[3]
        faces = found.faces if np.linalg.det(matrix[:3]) >= 0 else found.faces[:, ::-1]
        colours = None if found.colour is None else np.tile(np.array(found.colour), (len(vertices), 1))
        parts.append(FoundPart(found.name, vertices, faces, colours=colours))
        limits.check_counts(sum(len(each.vertices) for each in parts), sum(len(each.faces) for each in parts))
    for inner, placed in found.components:
        whole = np.concatenate([placed[:3] @ matrix[:3], placed[3:] @ matrix[:3] + matrix[3]])
        _place(inner, whole, objects, parts, depth + 1, limits)
