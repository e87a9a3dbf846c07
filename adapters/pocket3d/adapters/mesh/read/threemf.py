"""3MF (core specification 1.3): objects with their names, transforms and base materials, and colours at their corners
(materials extension). The numbers stay in the unit that the file states.

The XML is read without document types, so that nothing in it expands or points outside. Other extensions (production,
beams, slices) are left out and named.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..srgb import from_srgb
from ..threemf_file import UNITS
from .found import Found, FoundPart
from .limits import MAX_COORDINATE, MeshLimits, Refused

_CORE = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
_MATERIALS = "{http://schemas.microsoft.com/3dmanufacturing/material/2015/02}"
_MAX_DEPTH = 20
_MAX_PARTS = 2_000
#: Objects that hold others and have no triangles count too: one that holds ten, each of which holds ten, and so on.
_MAX_PLACED = 10 * _MAX_PARTS


class _Group(NamedTuple):
    """Base materials, or colours, by their places."""

    #: (N, 4) sRGB with alpha; those that say nothing are NaN.
    colours: npt.NDArray[np.float64]
    #: Of materials; empty for colours.
    names: list[str]


class _Object(NamedTuple):
    name: str
    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]
    #: (V, 4) sRGB with alpha.
    colours: npt.NDArray[np.float64] | None
    #: A material of trimesh, of the whole.
    look: Any
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
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_WithoutTypes()))
        built = _Built(_objects(root, limits), limits)
        for item in root.iterfind(f"{_CORE}build/{_CORE}item"):
            built.place(item.attrib["objectid"], _matrix(item))
        unit = _unit(root)
    except Refused:
        raise
    except (ElementTree.ParseError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise Refused(f"its model is broken: {type(error).__name__}: {str(error)[:200]}") from error
    if not built.parts:
        raise Refused("no surface: nothing in it is built of triangles")
    needed = root.attrib.get("requiredextensions")
    return Found(built.parts, (f"the extensions {needed[:80]!r} of 3MF",) if needed else (), unit)


class _WithoutTypes(ElementTree.TreeBuilder):
    """Builds the tree of an XML file, of whatever encoding, that has no document type."""

    def doctype(self, *_: object) -> None:
        """Called at the beginning of one, before its entities and defaults."""
        raise Refused("its XML has a document type, which is not read")


def _unit(root: Any) -> float:
    """The length of the file's unit, in metres."""
    name = root.attrib.get("unit", "millimeter")
    if name not in UNITS:
        raise ValueError(f"a unit {name[:40]!r}, want one of {', '.join(UNITS)}")
    return UNITS[name]


def _objects(root: Any, limits: MeshLimits) -> dict[str, _Object]:
    groups = {
        group.attrib["id"]: _Group(
            np.array([_colour(each.attrib.get(key, "")) for each in group], dtype=np.float64).reshape(-1, 4),
            [each.attrib.get("name", "") for each in group] if key == "displaycolor" else [],
        )
        for kind, key in ((f"{_CORE}basematerials", "displaycolor"), (f"{_MATERIALS}colorgroup", "color"))
        for group in root.iterfind(f"{_CORE}resources/{kind}")
    }
    objects: dict[str, _Object] = {}
    for each in root.iterfind(f"{_CORE}resources/{_CORE}object"):
        vertices = [
            (float(v.attrib["x"]), float(v.attrib["y"]), float(v.attrib["z"]))
            for v in each.iterfind(f"{_CORE}mesh/{_CORE}vertices/{_CORE}vertex")
        ]
        triangles = [t.attrib for t in each.iterfind(f"{_CORE}mesh/{_CORE}triangles/{_CORE}triangle")]
        limits.check_counts(len(vertices), len(triangles))
        faces = np.array([(int(t["v1"]), int(t["v2"]), int(t["v3"])) for t in triangles], dtype=np.int64).reshape(-1, 3)
        if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise ValueError("a triangle points to a vertex that is not there")
        places = np.array(vertices, dtype=np.float64).reshape(-1, 3)
        objects[each.attrib["id"]] = _Object(
            each.attrib.get("name") or "mesh",
            *_shown(places, faces, each.attrib, triangles, groups),
            [(part.attrib["objectid"], _matrix(part)) for part in each.iterfind(f"{_CORE}components/{_CORE}component")],
        )
    return objects


def _shown(
    places: npt.NDArray[np.float64],
    faces: npt.NDArray[np.int64],
    whole: Mapping[str, str],
    triangles: list[Mapping[str, str]],
    groups: Mapping[str, _Group],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.float64] | None, Any]:
    """An object's vertices and faces, its colours at the vertices if it has several, and the material of the whole."""
    group, index = whole.get("pid", ""), whole.get("pindex", "0")
    if not any("pid" in each for each in triangles):
        return places, faces, None, _look(groups.get(group), int(index))
    named: list[tuple[str, int]] = []
    for each in triangles:
        first = each.get("p1", index)
        pid = each.get("pid", group)
        named += [(pid, int(first)), (pid, int(each.get("p2", first))), (pid, int(each.get("p3", first)))]
    known = {key: _colour_in(groups, *key) for key in set(named)}
    corners = np.array([known[key] for key in named])
    colours = np.ones((len(places), 4))
    colours[faces.reshape(-1)] = corners
    if not np.array_equal(colours[faces.reshape(-1)], corners):
        # A vertex of several colours is several vertices.
        places, faces, colours = places[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3), corners
    return places, faces, colours, None


def _colour_in(groups: Mapping[str, _Group], group: str, index: int) -> npt.NDArray[np.float64]:
    found = groups.get(group)
    if found is None or not 0 <= index < len(found.colours):
        return np.ones(4)
    colour: npt.NDArray[np.float64] = np.nan_to_num(found.colours[index], nan=1.0)
    return colour


def _look(group: _Group | None, index: int) -> Any:
    import trimesh.visual.material

    materials: Any = trimesh.visual.material
    if group is None or not 0 <= index < len(group.colours) or np.isnan(group.colours[index]).any():
        return None
    colour = group.colours[index]
    name = group.names[index] if group.names else "colour"
    made = materials.PBRMaterial(name=name)
    # Its property would round it to bytes.
    made._data["baseColorFactor"] = np.append(from_srgb(colour[:3]), colour[3])
    return made


def _matrix(element: Any) -> npt.NDArray[np.float64]:
    """(4, 3): rows are multiplied from the left."""
    text = element.attrib.get("transform")
    if text is None:
        return np.eye(4)[:, :3]
    matrix = np.array([float(each) for each in text.split()]).reshape(4, 3)
    if not np.abs(matrix).max() <= MAX_COORDINATE:
        raise ValueError(f"a transform with numbers beyond {MAX_COORDINATE:g}")
    return matrix


def _colour(text: str) -> tuple[float, ...]:
    """From #RRGGBB or #RRGGBBAA; NaN of anything else."""
    if not text.startswith("#") or len(text) not in (7, 9):
        return (np.nan,) * 4
    return tuple(each / 255 for each in bytes.fromhex(text[1:].ljust(8, "f")))


class _Built:
    """What a file builds of its objects."""

    def __init__(self, objects: Mapping[str, _Object], limits: MeshLimits) -> None:
        self.parts: list[FoundPart] = []
        self._objects = objects
        self._limits = limits
        self._vertices = self._faces = 0
        #: Objects so far, with those that only hold others.
        self._placed = 0

    def place(self, identity: str, matrix: npt.NDArray[np.float64], depth: int = 0) -> None:
        """Put an object, with all inside it, where a (4, 3) has it."""
        self._placed += 1
        if depth > _MAX_DEPTH or len(self.parts) >= _MAX_PARTS or self._placed > _MAX_PLACED:
            raise Refused(f"more than {_MAX_PARTS:,} parts, or objects within one another more than {_MAX_DEPTH} deep")
        found = self._objects[identity]
        # What leaves the numbers is refused with the scene.
        with np.errstate(all="ignore"):
            if len(found.faces):
                self._vertices += len(found.vertices)
                self._faces += len(found.faces)
                self._limits.check_counts(self._vertices, self._faces)
                vertices = found.vertices @ matrix[:3] + matrix[3]
                faces = found.faces if np.linalg.det(matrix[:3]) >= 0 else found.faces[:, ::-1]
                self.parts.append(FoundPart(found.name, vertices, faces, colours=found.colours, look=found.look))
            for inner, placed in found.components:
                whole = np.concatenate([placed[:3] @ matrix[:3], placed[3:] @ matrix[:3] + matrix[3]])
                self.place(inner, whole, depth + 1)
