"""Primitives of a GLB document that get a new shape: what was bound to joints or morphs goes on doing so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .glb_edit import CannotKeep, GlbEdit
from .mesh_part import MeshPart
from .nearest import Surface
from .read.glb_arrays import Array
from .read.glb_morphs import default_weights
from .read.glb_skins import palette_of
from .read.glb_surface import Mapping as TexturePlace
from .read.glb_surface import place_of
from .read.glb_tree import Matrix, Tree
from .srgb import from_srgb
from .triangles import FloatArray, IntArray, unit

#: Joints of a vertex.
_MOST = 4


class Frame:
    """Where the nodes of a document, as it came, lie in the world."""

    def __init__(self, edit: GlbEdit) -> None:
        self.tree = Tree(edit.document)
        self._edit = edit
        self._palettes: dict[int, Matrix] = {}

    def palette(self, skin: int) -> Matrix:
        """(J, 4, 4) for each joint, from where a vertex was bound to where it is held."""
        if skin not in self._palettes:
            self._palettes[skin] = palette_of(self._edit.document, self._edit.arrays, self.tree, skin)
        return self._palettes[skin]


def reform(
    edit: GlbEdit,
    frame: Frame,
    node: int,
    primitive: dict[str, Any],
    part: MeshPart,
    mesh: Any,
    transform: FloatArray,
) -> dict[int, int]:
    """Give a primitive the shape of a part.

    Args:
        edit: its document.
        frame: of this.
        node: shows the primitive's mesh, and no other does.
        primitive: is changed.
        part: in the world.
        mesh: the `trimesh.Trimesh` that was read of the primitive.
        transform: (4, 4) from it to the world.

    Returns:
        The sets of texture coordinates that are left, each with its new number.

    Raises:
        CannotKeep: the node flattens what it shows, or what is at its vertices is not read.
    """
    old, skin = primitive["attributes"], edit.raw["nodes"][node].get("skin")
    bound = skin is not None and {"JOINTS_0", "WEIGHTS_0"} <= old.keys()
    targets: list[dict[str, int]] = primitive.get("targets", [])
    attributes: dict[str, int] = {}
    corners: IntArray = np.zeros((0, 3), dtype=np.int64)
    shares: FloatArray = np.zeros((0, 3))
    if bound or targets:
        vertices, faces = mesh.vertices @ transform[:3, :3].T + transform[:3, 3], np.asarray(mesh.faces)
        _, nearest = Surface(vertices[faces]).nearest(part.vertices)
        corners, shares = faces[nearest.triangle], nearest.weights
    turns: Matrix = frame.tree.world(node)[None]
    if bound:
        joints, weights = _influences(edit, old, corners, shares)
        turns = np.einsum("vk,vkij->vij", weights, frame.palette(skin)[joints])
        attributes = {"JOINTS_0": edit.joints(joints), "WEIGHTS_0": edit.floats(weights)}
    back = _inverse(turns)
    places = _at(back[:, :3, :3], part.vertices) + back[:, :3, 3]
    # As the reader does it: normals of what joints hold are turned as places are.
    normals = _at(back[:, :3, :3] if bound else turns[:, :3, :3].transpose(0, 2, 1), part.normals)
    moves = [_moves(edit, target, corners, shares) for target in targets]
    normals = unit(normals)
    for weight, move in zip(default_weights(edit.raw, node), moves, strict=False):
        places -= weight * move["POSITION"]
        normals -= weight * move.get("NORMAL", 0.0)
    sets = _coordinates(edit, primitive, part, attributes)
    if part.colours is not None:
        linear = part.colours / 255
        linear[:, :3] = from_srgb(linear[:, :3])
        attributes["COLOR_0"] = edit.floats(linear)
    attributes["POSITION"] = edit.floats(places, bounds=True)
    attributes["NORMAL"] = edit.floats(unit(normals))
    primitive["attributes"] = attributes
    if targets:
        primitive["targets"] = [
            {name: edit.floats(rows, bounds=name == "POSITION") for name, rows in move.items()} for move in moves
        ]
    mirrored = np.linalg.det(transform[:3, :3]) < 0
    edit.index(primitive, part.faces[:, ::-1] if mirrored else part.faces)
    return sets


def _coordinates(
    edit: GlbEdit, primitive: dict[str, Any], part: MeshPart, attributes: dict[str, int]
) -> dict[int, int]:
    if part.uv is None or part.texture is None:
        return {}
    number = primitive.get("material")
    place = TexturePlace() if number is None else place_of(edit.document.materials[number])
    if not all(place.scale):
        raise CannotKeep("its textures are drawn out without end")
    attributes["TEXCOORD_0"] = edit.floats(place.undo(part.uv))
    # A primitive without the set that its textures name is read by the first.
    named = place.coordinates if f"TEXCOORD_{place.coordinates}" in primitive["attributes"] else 0
    return {named: 0, place.coordinates: 0}


def _influences(
    edit: GlbEdit, attributes: dict[str, int], corners: IntArray, shares: FloatArray
) -> tuple[IntArray, FloatArray]:
    """(V, 4) joints and weights of places between corners (V, 3), which have such shares (V, 3)."""
    numbers = [number for number in range(len(attributes)) if f"JOINTS_{number}" in attributes]
    joints = np.concatenate([_rows(edit, attributes.get(f"JOINTS_{number}")) for number in numbers], axis=1)
    weights = np.concatenate([_rows(edit, attributes.get(f"WEIGHTS_{number}")) for number in numbers], axis=1)
    return strongest(
        joints.astype(np.int64)[corners].reshape(len(corners), -1),
        (weights.astype(np.float64)[corners] * shares[..., None]).reshape(len(corners), -1),
    )


def strongest(joints: IntArray, weights: FloatArray) -> tuple[IntArray, FloatArray]:
    """(V, 4) of (V, K): the joints with the most weight, those that are named several times being one; weights of a
    vertex add up to 1, and one without any follows its first joint.
    """
    order = np.argsort(joints, axis=1, kind="stable")
    joints, weights = np.take_along_axis(joints, order, axis=1), np.take_along_axis(weights, order, axis=1)
    for column in range(1, joints.shape[1]):
        same = joints[:, column] == joints[:, column - 1]
        weights[:, column] += np.where(same, weights[:, column - 1], 0)
        weights[:, column - 1] = np.where(same, 0, weights[:, column - 1])
    best = np.argsort(-weights, axis=1, kind="stable")[:, :_MOST]
    joints, weights = np.take_along_axis(joints, best, axis=1), np.take_along_axis(weights, best, axis=1)
    weights[weights.sum(axis=1) <= 0, 0] = 1
    weights /= weights.sum(axis=1, keepdims=True)
    return np.where(weights > 0, joints, 0), weights


def _moves(edit: GlbEdit, target: dict[str, int], corners: IntArray, shares: FloatArray) -> dict[str, FloatArray]:
    """Where a morph target moves places between corners, and how it turns their normals."""
    found: dict[str, FloatArray] = {"POSITION": np.zeros((len(corners), 3))}
    for name in ("POSITION", "NORMAL"):
        if name in target:
            between: FloatArray = (_rows(edit, target[name])[corners] * shares[..., None]).sum(axis=1)
            found[name] = between
    return found


def _rows(edit: GlbEdit, index: int | None) -> Array:
    if index is None or not edit.is_readable(index):
        raise CannotKeep("what is at its vertices is not read")
    return edit.rows(index)


def _inverse(turns: Matrix) -> Matrix:
    determinants = np.linalg.det(turns[:, :3, :3])
    if not (np.isfinite(turns).all() and determinants.all()):
        raise CannotKeep("what it shows is flattened")
    inverse: Matrix = np.linalg.inv(turns).astype(np.float64)
    return inverse


def _at(turns: Matrix, rows: Sequence[Any] | npt.NDArray[Any]) -> FloatArray:
    """Vectors (V, 3), each turned by its own of (V, 3, 3), or all by one of (1, 3, 3)."""
    turned: FloatArray
    turned = np.asarray(rows) @ turns[0].T if len(turns) == 1 else np.einsum("vij,vj->vi", turns, np.asarray(rows))
    return turned
