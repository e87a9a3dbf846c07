"""Where the vertices of a GLB document are seen, and bound to new joints there."""

from __future__ import annotations

from typing import Any

import numpy as np

from .glb_edit import CannotKeep, GlbEdit
from .glb_reform import Frame
from .read.glb_document import Primitive
from .read.glb_morphs import Morphs
from .read.glb_skins import influences
from .read.glb_tree import Matrix
from .skinned_glb import Weigh
from .triangles import FloatArray

_TRIANGLES = (4, 5)
_OF_JOINTS = ("JOINTS_", "WEIGHTS_")
_MOVED = ("POSITION", "NORMAL", "TANGENT")


class Posed:
    """The meshes of one document as its nodes, old joints and default weights show them.

    Args:
        edit: of the document as it came; each node whose mesh is bound has one for itself.
    """

    def __init__(self, edit: GlbEdit) -> None:
        self._edit = edit
        self._frame = Frame(edit)
        self._morphs = Morphs(edit.document, edit.arrays)

    def is_mirrored(self, node: int) -> bool:
        """Whether a node shows a mesh without joints in a mirror, or flattened."""
        turn = self._frame.tree.world(node)[:3, :3]
        return self._edit.document.nodes[node].skin is None and float(np.linalg.det(turn)) <= 0

    def bind(self, node: int, weigh: Weigh) -> Matrix:
        """Give the vertices of a node's mesh joints and weights.

        Where old joints or a mirror place them, they move to where they are seen.

        Returns:
            (4, 4) from the vertices to the world.

        Raises:
            CannotKeep: what is at them is not read.
        """
        edit, shown = self._edit, self._edit.document.nodes[node]
        assert shown.mesh is not None, "a node that is bound has a mesh"
        world = self._frame.tree.world(node)
        moves = shown.skin is not None or self.is_mirrored(node)
        done: dict[Any, tuple[dict[str, int], list[dict[str, int]]]] = {}
        for number, primitive in enumerate(edit.document.meshes[shown.mesh].primitives):
            entry = edit.primitive(node, number)
            has = entry["attributes"]
            if not all(edit.is_readable(index) for index in (has.get("POSITION"), *_moved(entry))):
                raise CannotKeep("what is at its vertices is not read")
            turns = self._turns(primitive, shown.skin, world)
            key = repr([*(has.get(name) for name in _MOVED), has.get("JOINTS_0"), entry.get("targets")])
            if key not in done:
                seen = self._morphs.moved(primitive, "POSITION", self._morphs.weights(node))
                joints, weights = weigh(_placed(turns, seen))
                moved, targets = ({}, []) if not moves else self._move(entry, turns, turned=shown.skin is not None)
                done[key] = moved | {"JOINTS_0": edit.joints(joints), "WEIGHTS_0": edit.floats(weights)}, targets
            for name in [name for name in has if name.startswith(_OF_JOINTS)]:
                del has[name]
            has |= done[key][0]
            if done[key][1]:
                entry["targets"] = [dict(each) for each in done[key][1]]
            if self.is_mirrored(node) and primitive.mode in _TRIANGLES:
                faces = edit.faces(entry)
                assert faces is not None, "it is made of triangles"
                edit.index(entry, faces[:, ::-1])
        return np.eye(4) if moves else world

    def _turns(self, primitive: Primitive, skin: int | None, world: Matrix) -> Matrix:
        """(V, 4, 4) to where each vertex is seen; (1, 4, 4) where it is the same for all."""
        if skin is None:
            return world[None]
        palette = self._frame.palette(skin)
        joints, weights = influences(primitive, self._edit.arrays, len(palette))
        return np.einsum("vk,vkij->vij", weights, palette[joints]) if joints.shape[1] else world[None]

    def _move(
        self, entry: dict[str, Any], turns: Matrix, *, turned: bool
    ) -> tuple[dict[str, int], list[dict[str, int]]]:
        """Move the vertices of a primitive; returns its new positions, normals and tangents, and its morph targets.

        `turned`: normals are turned as places are, as joints do; else as the surface that they stand on.
        """
        edit, has = self._edit, entry["attributes"]
        made = {"POSITION": edit.floats(_placed(turns, edit.rows(has["POSITION"])), bounds=True)}
        # Of a flattened surface too.
        upright = turns if turned else np.linalg.pinv(turns[:, :3, :3]).transpose(0, 2, 1)
        if "NORMAL" in has:
            made["NORMAL"] = edit.floats(_unit(_turned(upright, edit.rows(has["NORMAL"])), edit.rows(has["NORMAL"])))
        if "TANGENT" in has:
            rows = edit.rows(has["TANGENT"]).astype(np.float64)
            rows[:, :3] = _unit(_turned(turns, rows[:, :3]), rows[:, :3])
            rows[:, 3] *= 1 if turned or np.linalg.det(turns[0, :3, :3]) >= 0 else -1
            made["TANGENT"] = edit.floats(rows)
        targets = [dict(each) for each in entry.get("targets", ())]
        for target in targets:
            for name in {*_MOVED} & target.keys():
                shifts = _turned(upright if name == "NORMAL" else turns, edit.rows(target[name]))
                target[name] = edit.floats(shifts, bounds=name == "POSITION")
        return made, targets


def _moved(entry: dict[str, Any]) -> list[int]:
    return [
        index
        for each in (entry["attributes"], *entry.get("targets", ()))
        for name, index in each.items()
        if name in _MOVED
    ]


def _placed(turns: Matrix, places: Any) -> FloatArray:
    return _turned(turns, places) + turns[:, :3, 3]


def _turned(turns: Matrix, rows: Any) -> FloatArray:
    turned: FloatArray
    if len(turns) == 1:
        turned = np.asarray(rows, dtype=np.float64) @ turns[0, :3, :3].T
    else:
        turned = np.einsum("vij,vj->vi", turns[:, :3, :3], np.asarray(rows, dtype=np.float64))
    return turned


def _unit(rows: FloatArray, otherwise: Any) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > 0, rows / np.where(lengths > 0, lengths, 1), otherwise)
