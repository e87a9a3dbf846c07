"""Skinned meshes of a GLB file where their joints hold them at rest (glTF 2.0, section 3.7.3).

A skinned mesh's own node has no say in where it lies: its vertices follow the joints alone. trimesh knows no skins and
would place it by that node, so it gets the vertices where they are, under a node that places nothing.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from .glb_arrays import FLOAT, Arrays
from .glb_document import Document, Primitive
from .glb_morphs import Morphs, Weights
from .glb_tree import Matrix, Tree
from .limits import Refused

#: Vertices that are moved at once, which bounds the memory that their matrices take.
_CHUNK = 65_536


def put_where_joints_hold(
    document: Document,
    arrays: Arrays,
    tree: Tree,
    shown: list[int],
    meshes: list[dict[str, Any]],
    primitives: list[list[Primitive]],
) -> tuple[list[dict[str, Any]], list[int]]:
    """Give each skinned node that is shown a mesh of its own; returns the reduced copy's nodes and roots.

    Args:
        document: the file's.
        arrays: get the moved vertices.
        tree: its nodes.
        shown: nodes with a mesh that the scene shows.
        meshes: the reduced ones, of which those of skinned nodes are replaced, or repeated if others show them too.
        primitives: what the reduced meshes' primitives were made of.
    """
    nodes, roots = tree.plain(), list(tree.roots)
    at_rest = list(meshes)
    taken = {document.nodes[index].mesh for index in shown if document.nodes[index].skin is None}
    morphs = Morphs(document, arrays)
    for index in shown:
        node = document.nodes[index]
        if node.skin is None or node.mesh is None:
            continue
        palette = palette_of(document, arrays, tree, node.skin)
        pairs = zip(primitives[node.mesh], at_rest[node.mesh]["primitives"], strict=True)
        weights = morphs.weights(index)
        moved = [
            _moved(primitive, plain, arrays, palette, tree.world(index), morphs, weights) for primitive, plain in pairs
        ]
        number = len(meshes) if node.mesh in taken else node.mesh
        meshes[number : number + 1] = [{**at_rest[node.mesh], "primitives": moved}]
        taken.add(node.mesh)
        # The node still places its children.
        name = nodes[index]["name"]
        del nodes[index]["mesh"]
        nodes[index]["name"] = f"{name}_node"
        roots.append(len(nodes))
        nodes.append({"name": name, "mesh": number, "origin": (index, 0)})
    return nodes, roots


def palette_of(document: Document, arrays: Arrays, tree: Tree, number: int) -> Matrix:
    """(J, 4, 4) for each joint of a skin, from where a vertex was bound to where it is held."""
    if number >= len(document.skins):
        raise Refused(f"a node names skin {number}, which is not there")
    skin = document.skins[number]
    if not skin.joints:
        raise Refused(f"skin {number} has no joints")
    worlds = np.stack([tree.world(joint) for joint in skin.joints])
    if skin.inverseBindMatrices is None:
        return worlds
    accessor = arrays.accessor(skin.inverseBindMatrices, "inverseBindMatrices", ("MAT4",))
    if accessor.componentType != FLOAT or accessor.count < len(worlds):
        raise Refused(f"skin {number} has {accessor.count} inverse bind matrices for {len(worlds)} joints")
    # Column by column.
    bind = arrays.rows(skin.inverseBindMatrices)[: len(worlds)].reshape(-1, 4, 4).transpose(0, 2, 1)
    with np.errstate(all="ignore"):
        palette: Matrix = worlds @ bind.astype(np.float64)
    return palette


def _moved(
    primitive: Primitive,
    plain: dict[str, Any],
    arrays: Arrays,
    palette: Matrix,
    world: Matrix,
    morphs: Morphs,
    shape: Weights,
) -> dict[str, Any]:
    """Move the vertices and normals of a reduced primitive to where the joints hold them."""
    places = morphs.moved(primitive, "POSITION", shape)
    joints, weights = influences(primitive, arrays, len(palette))
    if not joints.shape[1]:
        # Bound to nothing: placed by its node, as if there were no skin.
        palette, joints = world[None], np.zeros((len(places), 1), dtype=np.int64)
        weights = np.ones((len(places), 1))
    normals = morphs.moved(primitive, "NORMAL", shape) if "NORMAL" in plain["attributes"] else None
    # What is not finite is refused when the copy has been parsed.
    with np.errstate(all="ignore"):
        for start in range(0, len(places), _CHUNK):
            rows = slice(start, start + _CHUNK)
            blend = np.einsum("vk,vkij->vij", weights[rows], palette[joints[rows], :3])
            places[rows] = np.einsum("vij,vj->vi", blend[:, :, :3], places[rows]) + blend[:, :, 3]
            if normals is not None:
                turned = np.einsum("vij,vj->vi", blend[:, :, :3], normals[rows])
                length = np.linalg.norm(turned, axis=1, keepdims=True)
                normals[rows] = np.where(length > 0, turned / length, normals[rows])
        attributes = {**plain["attributes"], "POSITION": arrays.add(places, "VEC3")}
        if normals is not None:
            attributes["NORMAL"] = arrays.add(normals, "VEC3")
    return {**plain, "attributes": attributes}


def influences(primitive: Primitive, arrays: Arrays, most: int) -> tuple[npt.NDArray[np.int64], Matrix]:
    """(V, K) joints, of so many at `most`, and their weights, which sum to 1; K is 0 if the primitive states none."""
    count = len(arrays.rows(primitive.attributes["POSITION"]))
    joints: list[npt.NDArray[Any]] = [np.zeros((count, 0), dtype=np.int64)]
    weights: list[npt.NDArray[Any]] = [np.zeros((count, 0))]
    for number in itertools.count():
        names = f"JOINTS_{number}", f"WEIGHTS_{number}"
        if not all(name in primitive.attributes for name in names):
            break
        for name, kinds, found in zip(names, ("u", "f"), (joints, weights), strict=True):
            index = primitive.attributes[name]
            if arrays.accessor(index, name, ("VEC4",)).count != count:
                raise Refused(f"{name} has another count than POSITION")
            rows = arrays.rows(index)
            if rows.dtype.kind != kinds:
                raise Refused(f"{name} is made of the wrong kind of numbers")
            found.append(rows)
    held = np.concatenate(weights, axis=1).astype(np.float64)
    bound = np.where(held == 0, 0, np.concatenate(joints, axis=1).astype(np.int64))
    if held.shape[1]:
        total = held.sum(axis=1, keepdims=True)
        # A vertex without weights follows the first joint, as viewers have it.
        held = np.where(total > 0, held / np.where(total > 0, total, 1), np.eye(1, held.shape[1]))
    if bound.size and bound.max() >= most:
        raise Refused(f"a vertex is bound to joint {bound.max()} of a skin with {most}")
    return bound, held
