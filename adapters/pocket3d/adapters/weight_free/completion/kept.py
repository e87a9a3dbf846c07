"""Puts caps into the GLB document that they were made for: everything else in it stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...mesh.glb_copy import sound
from ...mesh.glb_edit import CannotKeep, GlbEdit
from ...mesh.input import origins
from ...mesh.write import vertex_normals
from .holes import ClosedPart


def closed_copy(data: bytes, scene: Any, closed: Sequence[ClosedPart]) -> bytes | None:
    """The file with the caps in its own meshes, and all else that it has.

    What the vertices of a rim have (coordinates, colours, joints, morph targets) their caps have as well. A mesh that
    is shown several times is closed once.

    Args:
        data: the file that was read.
        scene: what `read_scene` read of it.
        closed: each instance in the scene, in its order.

    Returns:
        None where the file is no GLB, or one that cannot be kept.
    """
    edit, made_of = GlbEdit.of(data), origins(scene)
    names = [str(node) for node in scene.graph.nodes_geometry]
    if edit is None or not all(name in made_of for name in names):
        return None
    sound(edit)
    done: set[tuple[int, int]] = set()
    for name, each in zip(names, closed, strict=True):
        node, number = made_of[name]
        mesh = edit.raw["nodes"][node]["mesh"]
        if (mesh, number) in done or not len(each.filled.faces):
            continue
        done.add((mesh, number))
        # A mirror turned the part's faces round.
        mirrored = np.linalg.det(scene.graph.get(name)[0][:3, :3]) < 0
        try:
            _close(edit, edit.primitive(node, number), each.filled.faces[:, ::-1] if mirrored else each.filled.faces)
        except CannotKeep:
            return None
    return edit.packed()


def _close(edit: GlbEdit, primitive: dict[str, Any], caps: Any) -> None:
    """Add faces between vertices of a primitive, with vertices of their own."""
    attributes = primitive["attributes"]
    faces, places = edit.faces(primitive), edit.rows(attributes["POSITION"])
    assert faces is not None
    rim, inverse = np.unique(caps, return_inverse=True)
    between = inverse.reshape(-1, 3)
    computed = {}
    if "NORMAL" in attributes:
        added = vertex_normals(places[rim].astype(np.float64), between)
        computed["NORMAL"] = np.concatenate([edit.rows(attributes["NORMAL"]), added])
    source = np.concatenate([np.arange(len(places)), rim])
    edit.reshape(primitive, source, np.concatenate([faces, between + len(places)]), computed)
