"""A GLB file once more with everything that it has, in another place.

What our own reader does not know (materials' extensions, samplers, lights, animations, further coordinates) stays in
the document, byte for byte in the buffers: only nodes are added, above those that stood at the top. What is compressed
is unpacked, so that every program can read it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from .read.glb_arrays import FLOAT, Arrays
from .read.glb_container import pack, unpack
from .read.glb_document import Document
from .read.gltf_plain import plain_gltf
from .read.limits import MeshLimits

#: A normal of another length is an error to Khronos' validator.
_UNIT_TOLERANCE = 0.005


def own_document(data: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The JSON and the bytes of a GLB file that can be written again as a file of its own, unpacked.

    Args:
        data: a GLB file that `check_glb` found sound.

    Returns:
        None if it has to be written anew: parts of it lie in other files, or its normals have other lengths than 1.
    """
    if data[:4] != b"glTF":
        return None
    limits = MeshLimits()
    raw, binary, _ = plain_gltf(*unpack(data), limits)
    uris = [each.get("uri") for key in ("images", "buffers") for each in raw.get(key, ())]
    if any(uri is not None and not uri.startswith("data:") for uri in uris):
        return None
    document = msgspec.convert(raw, Document)
    arrays = Arrays(document, binary, limits)
    if not all(_is_unit(arrays, index) for index in _accessors(document, "NORMAL")):
        return None
    for index in _accessors(document, "POSITION"):
        _state_bounds(raw["accessors"][index], arrays, index)
    return raw, binary


def placed_copy(data: bytes, matrix: npt.NDArray[np.float64]) -> bytes | None:
    """The file with all that it shows moved by `matrix`; the same input and matrix give the same bytes.

    Args:
        data: a file that the reader of meshes found sound.
        matrix: (4, 4) a turn, one scale for all axes, and a move.

    Returns:
        None where it is no GLB, or `own_document` gives none.
    """
    own = own_document(data)
    if own is None or (not np.array_equal(matrix, np.eye(4)) and not _place(own[0], matrix)):
        return None
    return pack(*own)


def _accessors(document: Document, attribute: str) -> list[int]:
    """Those that hold an attribute of a primitive; of points and lines nobody has judged what they name."""
    named = {each.attributes.get(attribute, -1) for mesh in document.meshes for each in mesh.primitives}
    return sorted(
        index
        for index in named
        if 0 <= index < len(document.accessors)
        and (accessor := document.accessors[index]).bufferView is not None
        and accessor.sparse is None
    )


def _is_unit(arrays: Arrays, index: int) -> bool:
    lengths = np.linalg.norm(arrays.rows(index).astype(np.float64), axis=1)
    return bool(np.abs(lengths - 1).max(initial=0) <= _UNIT_TOLERANCE)


def _state_bounds(accessor: dict[str, Any], arrays: Arrays, index: int) -> None:
    """The least and largest position, which glTF wants stated; many files state none, or rounded ones."""
    rows = arrays.rows(index)
    if accessor["componentType"] == FLOAT and len(rows):
        accessor["min"] = [float(each) for each in rows.min(axis=0)]
        accessor["max"] = [float(each) for each in rows.max(axis=0)]


def _place(raw: dict[str, Any], matrix: npt.NDArray[np.float64]) -> bool:
    """Put a node above each one that has none; joints lie below those too, so that skins move along. False if a scene
    names a node that has another above it, which glTF forbids.
    """
    nodes: list[dict[str, Any]] = raw["nodes"]
    children = {child for node in nodes for child in node.get("children", ())}
    scenes: list[dict[str, Any]] = raw.get("scenes", [])
    if any(root in children for scene in scenes for root in scene.get("nodes", ())):
        return False
    above: dict[int, int] = {}
    for root in [index for index in range(len(nodes)) if index not in children]:
        above[root] = len(nodes)
        # Column by column.
        nodes.append({"name": "placed", "children": [root], "matrix": [float(each) for each in matrix.T.flat]})
    for scene in scenes:
        if "nodes" in scene:
            scene["nodes"] = [above[root] for root in scene["nodes"]]
    return True
