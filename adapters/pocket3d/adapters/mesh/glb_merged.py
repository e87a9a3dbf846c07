"""A GLB file with its equal vertices merged, and all else that it has."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .glb_edit import CannotKeep, GlbEdit
from .glb_references import without_unused
from .read.glb_container import pack
from .weld import weld_vertices


def merged_copy(data: bytes) -> tuple[bytes, int] | None:
    """The file, and how many vertices went.

    Vertices are one where all that the file has at them is equal: positions, normals, coordinates, colours, joints,
    morph targets. Those that no triangle uses go as well.

    Args:
        data: a GLB file that `check_glb` found sound.

    Returns:
        None where it is no GLB, or one that cannot be kept: it has to be written anew.
    """
    edit = GlbEdit.of(data)
    if edit is None:
        return None
    before = copy.deepcopy(edit.raw)
    gone = 0
    try:
        for mesh in edit.raw["meshes"]:
            for primitive in mesh["primitives"]:
                gone += _merge(edit, primitive)
    except CannotKeep:
        return None
    return pack(*without_unused(*edit.parts(), before)), gone


def _merge(edit: GlbEdit, primitive: dict[str, Any]) -> int:
    faces = edit.faces(primitive)
    if faces is None or not len(faces):
        return 0
    stored = [index for each in (primitive["attributes"], *primitive.get("targets", ())) for index in each.values()]
    if not all(edit.is_readable(index) for index in stored):
        raise CannotKeep("what is at its vertices is not read")
    tables = [edit.stored(index) for index in stored]
    count = len(tables[0])
    if any(len(each) != count for each in tables):
        raise CannotKeep("what is at its vertices is not there for each")
    used, numbers = np.unique(faces, return_inverse=True)
    place, first = weld_vertices(np.concatenate([each[used].astype(np.float64) for each in tables], axis=1))
    if len(first) == count:
        return 0
    edit.reshape(primitive, used[first], place[numbers.reshape(-1, 3)])
    return count - len(first)
