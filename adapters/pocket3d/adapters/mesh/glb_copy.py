"""A GLB file once more with everything that it has, in another place.

What our own reader does not know (materials' extensions, samplers, lights, animations, further coordinates) stays in
the document, byte for byte in the buffers: only nodes are added, above those that stood at the top. What is compressed
is unpacked, so that every program can read it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .glb_edit import GlbEdit
from .glb_unread import scenes_name_roots
from .read.glb_container import look_into, pack
from .read.limits import Refused
from .triangles import FloatArray
from .write import vertex_normals

#: A normal of another length is an error to Khronos' validator.
_UNIT_TOLERANCE = 0.005


def own_document(data: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The JSON and the bytes of a GLB file that can be written again as a file of its own, unpacked.

    What glTF forbids and many files have is put right: normals of another length than 1, bounds of positions.

    Args:
        data: a GLB file that `check_glb` found sound.

    Returns:
        None where it is no GLB, or parts of it lie in other files: it has to be written anew.
    """
    edit = GlbEdit.of(data)
    if edit is None:
        return None
    sound(edit)
    return edit.parts()


def placed_copy(data: bytes, matrix: npt.NDArray[np.float64]) -> bytes | None:
    """The file with all that it shows moved by `matrix`; the same input and matrix give the same bytes.

    Args:
        data: a file that the reader of meshes found sound.
        matrix: (4, 4) a turn, one scale for all axes, and a move.

    Returns:
        None where `own_document` gives none, or a scene names a node below another.
    """
    own = own_document(data)
    if own is None or (not np.array_equal(matrix, np.eye(4)) and not _place(own[0], matrix)):
        return None
    return pack(*own)


def reads_alike(data: bytes, copy: bytes) -> bool:
    """Whether two GLB files are the same but for the bounds that they state, which the reader does not read."""
    try:
        both = look_into(data), look_into(copy)
    except Refused:
        return False
    for raw, _ in both:
        for accessor in raw.get("accessors", ()):
            accessor.pop("min", None)
            accessor.pop("max", None)
    one, other = (np.frombuffer(binary, dtype=np.uint8) for _, binary in both)
    return both[0][0] == both[1][0] and np.array_equal(one, other)


def sound(edit: GlbEdit) -> None:
    """Put right what glTF forbids: normals of another length than 1, and bounds of positions that are none."""
    for mesh in edit.raw["meshes"]:
        for primitive in mesh["primitives"]:
            attributes = primitive["attributes"]
            if edit.is_readable(attributes.get("POSITION")):
                edit.state_bounds(attributes["POSITION"])
            if edit.is_readable(attributes.get("NORMAL")) and edit.is_readable(attributes.get("POSITION")):
                normals = edit.rows(attributes["NORMAL"]).astype(np.float64)
                lengths = np.sqrt(np.einsum("ij,ij->i", normals, normals))
                if np.abs(lengths - 1).max(initial=0) > _UNIT_TOLERANCE:
                    attributes["NORMAL"] = edit.floats(_sound_normals(edit, primitive, normals), attributes["NORMAL"])


def _sound_normals(edit: GlbEdit, primitive: dict[str, Any], normals: FloatArray) -> FloatArray:
    """(V, 3) the normals at unit length; those without a length are computed from the faces."""
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    made = normals / np.where(lengths > 0, lengths, 1)
    faces = edit.faces(primitive)
    if (lengths > 0).all() or faces is None:
        return np.where(lengths > 0, made, np.array([0.0, 0.0, 1.0]))
    places = edit.rows(primitive["attributes"]["POSITION"]).astype(np.float64)
    size = max(float(np.ptp(places, axis=0).max()), 1e-300)
    found: FloatArray = np.where(lengths > 0, made, vertex_normals(places / size, faces))
    return found


def _place(raw: dict[str, Any], matrix: npt.NDArray[np.float64]) -> bool:
    """Put a node above each one that has none; joints lie below those too, so that skins move along. False if a scene
    names a node that has another above it, which glTF forbids.
    """
    if not scenes_name_roots(raw):
        return False
    nodes: list[dict[str, Any]] = raw["nodes"]
    children = {child for node in nodes for child in node.get("children", ())}
    scenes: list[dict[str, Any]] = raw.get("scenes", [])
    above: dict[int, int] = {}
    for root in [index for index in range(len(nodes)) if index not in children]:
        above[root] = len(nodes)
        # Column by column.
        nodes.append({"name": "placed", "children": [root], "matrix": [float(each) for each in matrix.T.flat]})
    for scene in scenes:
        if "nodes" in scene:
            scene["nodes"] = [above[root] for root in scene["nodes"]]
    return True
