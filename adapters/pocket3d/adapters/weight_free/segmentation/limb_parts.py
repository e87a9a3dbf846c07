"""Parts of a smooth figure in one piece: the limbs of its curve skeleton, and the body that they leave.

Where two solids flow into each other there is no crease; but a limb is thinner than what it leaves, and a head wider
than its neck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.csgraph import dijkstra

from ...mesh.triangles import FloatArray, IntArray
from ..rigging.curves import extract
from ..rigging.solid import Solid, voxelise

#: A limb leaves the body where it first is so many times as thick as it is further out, or thinner.
_LEAVES = 1.4
#: At a neck both sides widen to so many times its thickness.
_WIDENS = 1.35
#: A limb is so many times as long as thick; a part is at least this share of the solid.
_LONG, _LEAST = 1.2, 0.004


def limb_parts(mesh: Any, between: Callable[[], None]) -> IntArray | None:
    """(F,) labels of a closed `trimesh.Trimesh`'s faces, 0 for the body; None where no limb leaves it.

    `between` is called between steps, and may raise.
    """
    try:
        solid = voxelise(mesh)
    except ValueError:
        return None
    tree = extract(solid, between)
    nodes = [tree.root, *tree.parent]
    label = dict.fromkeys(nodes, 0)
    paths = []
    for end in tree.ends:
        path = [end]
        while path[-1] != tree.root:
            path.append(tree.parent[path[-1]])
        paths.append(path[::-1])
    passes = Counter(node for path in paths for node in path)
    for path in paths:
        # From where no other limb goes on.
        shared = max((k for k, node in enumerate(path) if passes[node] > 1), default=0)
        _name(solid, path[shared:], label)
    if len(set(label.values())) < 2:
        return None
    seeds = np.array(nodes)
    _, _, source = dijkstra(solid.graph, indices=seeds, min_only=True, return_predecessors=True)
    of = np.zeros(len(solid.points), dtype=int)
    of[seeds] = [label[node] for node in nodes]
    voxels = of[source]
    small = np.flatnonzero(np.bincount(voxels) < _LEAST * len(voxels))
    voxels[np.isin(voxels, small)] = 0
    centres = np.asarray(mesh.vertices)[np.asarray(mesh.faces)].mean(axis=1)
    labels: IntArray = np.unique(voxels[solid.nearest(centres)[1]], return_inverse=True)[1]
    return labels if labels.max() > 0 else None


def _name(solid: Solid, limb: list[int], label: dict[int, int]) -> None:
    """Give the voxels of a limb's path, from the body outwards, labels of their own where it is one."""
    thick = solid.radius[limb]
    begin = _begins(thick)
    outer = solid.points[limb[begin:]]
    if len(outer) < 3:
        return
    long = float(np.linalg.norm(np.diff(outer, axis=0), axis=1).sum())
    if long < _LONG * 2 * float(np.median(thick[begin:])):
        return
    neck = _neck(thick[begin:])
    for start in (begin, begin + neck) if neck else (begin,):
        fresh = max(label.values()) + 1
        for node in limb[start:]:
            label[node] = fresh


def _begins(thick: FloatArray) -> int:
    """Index at which a limb leaves the body: where it first is about as thin as it is further out."""
    last = len(thick) - 1
    outer = float(np.median(thick[round(0.4 * last) : max(round(0.8 * last), 1) + 1]))
    thin = np.flatnonzero(thick <= _LEAVES * outer)
    return min(int(thin[0]), last // 2) if len(thin) else 0


def _neck(thick: FloatArray) -> int:
    """Index of the narrowest place from which a limb widens on both sides; 0 for none."""
    inner = np.maximum.accumulate(thick)
    outer = np.maximum.accumulate(thick[::-1])[::-1]
    widening = np.minimum(inner, outer) / np.maximum(thick, 1e-30)
    place = int(np.argmax(widening))
    return place if widening[place] > _WIDENS else 0
