"""Morph targets of a GLB file (glTF 2.0, section 3.7.2.2): a mesh is read in the shape of its default weights.

A node's weights go before those of its mesh. Positions and normals are moved; what else targets have is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .glb_arrays import Array, Arrays, as_floats
from .glb_document import Document, Primitive
from .glb_sparse import dense, is_dense
from .limits import Refused

#: The weights of a node, or those of the mesh that it shows.
Weights = tuple[float, ...]


def default_weights(raw: Mapping[str, Any], node: int) -> Weights:
    """Of a node in a document that was found sound; empty where the mesh is shown as it is stored."""
    shown = raw["nodes"][node]
    stated = shown.get("weights")
    if stated is None and "mesh" in shown:
        stated = raw["meshes"][shown["mesh"]].get("weights")
    return _read(stated)


def values_of(attributes: Mapping[str, Any], targets: Any) -> int:
    """How many things each vertex of a primitive has: attributes, and what morph targets have for it."""
    listed = targets if isinstance(targets, list) else []
    return len(attributes) + sum(len(each) for each in listed if isinstance(each, dict))


class Morphs:
    """The targets of one document."""

    def __init__(self, document: Document, arrays: Arrays) -> None:
        self._document = document
        self._arrays = arrays

    def weights(self, node: int) -> Weights:
        """Of what a node shows; empty where the mesh is shown as it is stored."""
        shown = self._document.nodes[node]
        stated = shown.weights
        if stated is None and shown.mesh is not None:
            stated = self._document.meshes[shown.mesh].weights
        return _read(stated)

    def moved(self, primitive: Primitive, name: str, weights: Weights) -> Array:
        """(V, 3) positions or normals as such weights shape them; normals are not of unit length."""
        rows = self._arrays.rows(primitive.attributes[name]).astype(np.float64)
        targets = primitive.targets if isinstance(primitive.targets, list) else []
        for weight, target in zip(weights, targets, strict=False):
            index = target.get(name) if isinstance(target, dict) else None
            if weight == 0 or index is None:
                continue
            if not isinstance(index, int) or not is_dense(self._document, self._arrays, index):
                raise Refused(f"a morph target's {name} points to accessor {index}, which is not there or broken")
            accessor = self._document.accessors[index]
            if accessor.count != len(rows) or accessor.type != "VEC3":
                raise Refused(f"a morph target's {name} has another count or kind than the mesh's")
            shift = dense(self._document, self._arrays, index)
            if accessor.normalized:
                shift = as_floats(shift)
            rows += weight * shift.astype(np.float64)
        return rows


def shape_by_weights(
    document: Document,
    arrays: Arrays,
    nodes: list[dict[str, Any]],
    shown: list[int],
    meshes: list[dict[str, Any]],
    primitives: list[list[Primitive]],
) -> None:
    """Give each node that is shown in another shape than the stored one a mesh of that shape, unless joints hold it.

    Args:
        document: the file's.
        arrays: get the moved vertices.
        nodes: of the reduced copy, numbered as the document's.
        shown: nodes with a mesh that the scene shows.
        meshes: the reduced ones, of which some are replaced, or repeated if other nodes show them too.
        primitives: what the reduced meshes' primitives were made of.
    """
    morphs = Morphs(document, arrays)
    wanted = {index: morphs.weights(index) for index in shown if document.nodes[index].skin is None}
    if not any(wanted.values()):
        return
    stored = list(meshes)
    # A mesh that some node shows as it is stored keeps its place.
    taken = {document.nodes[index].mesh for index, weights in wanted.items() if not weights}
    taken |= {document.nodes[index].mesh for index in shown if index not in wanted}
    made: dict[tuple[int, Weights], int] = {}
    for index, weights in wanted.items():
        mesh = document.nodes[index].mesh
        if not weights or mesh is None:
            continue
        if (mesh, weights) not in made:
            pairs = zip(primitives[mesh], stored[mesh]["primitives"], strict=True)
            shaped = {**stored[mesh], "primitives": [_shaped(morphs, arrays, *each, weights) for each in pairs]}
            number = len(meshes) if mesh in taken else mesh
            meshes[number : number + 1] = [shaped]
            taken.add(mesh)
            made[mesh, weights] = number
        nodes[index]["mesh"] = made[mesh, weights]


def _shaped(
    morphs: Morphs, arrays: Arrays, primitive: Primitive, plain: dict[str, Any], weights: Weights
) -> dict[str, Any]:
    attributes = dict(plain["attributes"])
    # What is not finite is refused when the copy has been parsed.
    with np.errstate(all="ignore"):
        attributes["POSITION"] = arrays.add(morphs.moved(primitive, "POSITION", weights), "VEC3")
        if "NORMAL" in attributes:
            normals = morphs.moved(primitive, "NORMAL", weights)
            lengths = np.linalg.norm(normals, axis=1, keepdims=True)
            stored = arrays.rows(primitive.attributes["NORMAL"])
            sound = np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), stored)
            attributes["NORMAL"] = arrays.add(sound, "VEC3")
    return {**plain, "attributes": attributes}


def _read(stated: Any) -> Weights:
    if not isinstance(stated, list) or not any(stated):
        return ()
    if not all(isinstance(each, (int, float)) and math.isfinite(each) for each in stated):
        raise Refused("the weights of a mesh's morph targets are not finite numbers")
    return tuple(float(each) for each in stated)
