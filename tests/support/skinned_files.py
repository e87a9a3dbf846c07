"""GLB files with a skin, read in full: places, joints, weights and matrices."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.skinned_glb import Skeleton, parsed
from pocket3d.adapters.mesh.triangles import FloatArray, IntArray


class SkinnedPart(NamedTuple):
    """One primitive of a skinned mesh."""

    name: str
    #: (V, 3) in the mesh's coordinates, which are the world's.
    positions: FloatArray
    #: (V, 4) rows of the skeleton, and weights.
    joints: IntArray
    weights: FloatArray


class SkinnedFile(NamedTuple):
    """The skeleton, skin and meshes of a GLB file."""

    skeleton: Skeleton
    #: (J, 4, 4) from a joint's own coordinates to the world's, as the nodes say.
    rest: FloatArray
    #: (J, 4, 4) inverse bind matrices.
    inverse_bind: FloatArray
    parts: tuple[SkinnedPart, ...]


def read_skinned(path: Path) -> SkinnedFile:
    """Read a GLB with one skin; other skins are left out.

    Raises:
        ValueError: it has no skin, or its joints do not make one tree.
    """
    raw, binary = unpack(path.read_bytes())
    document, arrays, tree = parsed(raw, binary)
    if not document.skins or document.skins[0].inverseBindMatrices is None:
        raise ValueError(f"{path.name} has no skin with inverse bind matrices")
    skin = document.skins[0]
    parent_of = {child: number for number, node in enumerate(document.nodes) for child in node.children}
    row = {node: index for index, node in enumerate(skin.joints)}
    parents = np.array([row.get(parent_of.get(node, -1), -1) for node in skin.joints])
    if (parents >= np.arange(len(parents))).any() or (parents < 0).sum() != 1:
        raise ValueError(f"{path.name}: its joints do not make one tree, parents first")
    rest = np.stack([tree.world(node) for node in skin.joints])
    bind = arrays.rows(document.skins[0].inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    heads = rest[:, :3, 3]
    extras = [raw["nodes"][node].get("extras", {}) for node in skin.joints]
    tails = np.array([each.get("tail", head) for each, head in zip(extras, heads, strict=True)])
    parts = []
    for node in document.nodes:
        if node.mesh is None or node.skin != 0:
            continue
        for primitive in document.meshes[node.mesh].primitives:
            names = ("POSITION", "JOINTS_0", "WEIGHTS_0")
            places, joints, weights = (np.array(arrays.rows(primitive.attributes[name])) for name in names)
            parts.append(SkinnedPart(str(node.name), places.astype(float), joints.astype(int), weights))
    skeleton = Skeleton(tuple(str(document.nodes[node].name) for node in skin.joints), parents, heads, tails)
    return SkinnedFile(skeleton, rest, bind, tuple(parts))
