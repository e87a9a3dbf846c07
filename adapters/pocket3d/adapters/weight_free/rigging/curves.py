"""Extracts the curve skeleton of a solid: a tree of its voxels along the middle of body and limbs.

Ends of limbs are the maxima of the geodesic distance from the middle of the solid that persist (Edelsbrunner, Letscher
and Zomorodian, "Topological Persistence and Simplification", 2002); each is connected by the shortest path under a
penalty near the surface (Sato et al., "TEASAR: Tree-structure Extraction Algorithm for Accurate and Robust Skeletons",
2000; Bitter, Kaufman and Sato, "Penalized-Distance Volumetric Skeleton Algorithm", 2001). The penalty here is the
inverse cube of the distance to the surface, which is the same at every size.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

from ...mesh.triangles import FloatArray, IntArray
from .solid import Solid

_PENALTY_POWER = 3
#: A limb's end stands out by at least this share of the longest distance from the middle,
_PERSISTENCE = 0.07
#: and its path, from the skeleton on, is so many times as long as the body there is thick (its radius).
_STANDS_OUT = 1.8
_MOST_ENDS = 28
#: Where the solid is further from the skeleton than this share of the longest distance, it closes a loop.
_UNCOVERED = 0.3
_MOST_LOOPS = 4


class CurveTree(NamedTuple):
    """A tree of voxels."""

    root: int
    #: Voxel -> the next one towards the root. The root is not in it.
    parent: dict[int, int]
    #: Voxels at the ends, the most important first.
    ends: tuple[int, ...]


def extract(solid: Solid, between: Callable[[], None] = lambda: None) -> CurveTree:
    """Extract the curve skeleton of a solid.

    `between` is called between steps, to raise if the work is no longer wanted.
    """
    cost = _penalised(solid)
    first = _farthest(solid, int(np.argmax(solid.radius)))
    second = _farthest(solid, first)
    _, before = dijkstra(cost, indices=first, return_predecessors=True)
    root = _middle(solid, [second, *_walk(before, second, {first})])
    between()
    distance = dijkstra(solid.graph, indices=root)
    longest = float(distance.max())
    tree: dict[int, int] = {}
    ends: list[int] = []
    for end in _persistent_maxima(solid.graph, distance, _PERSISTENCE * longest):
        if len(ends) < _MOST_ENDS:
            between()
            _grow(solid, cost, root, tree, ends, end, forced=len(ends) < 1)
    for _ in range(_MOST_LOOPS):
        between()
        away = dijkstra(solid.graph, indices=[root, *tree], min_only=True)
        far = int(np.argmax(away))
        if away[far] < _UNCOVERED * longest or not _grow(solid, cost, root, tree, ends, far):
            break
    return CurveTree(root, tree, tuple(ends))


def without_last_end(tree: CurveTree) -> CurveTree:
    """The tree without its least important limb."""
    kept: dict[int, int] = {}
    for end in tree.ends[:-1]:
        node = end
        while node != tree.root and node not in kept:
            kept[node] = tree.parent[node]
            node = tree.parent[node]
    return CurveTree(tree.root, kept, tree.ends[:-1])


def _penalised(solid: Solid) -> csr_matrix:
    depth = np.maximum(solid.radius, 0.25 * solid.pitch) / solid.pitch
    cost = solid.graph.copy()
    rows = np.repeat(np.arange(len(depth)), np.diff(cost.indptr))
    cost.data = cost.data * (2 / (depth[rows] + depth[cost.indices])) ** _PENALTY_POWER
    return cost


def _farthest(solid: Solid, start: int) -> int:
    return int(np.argmax(dijkstra(solid.graph, indices=start)))


def _walk(before: IntArray, start: int, stop: Any) -> list[int]:
    """Voxels after `start` up to the first one in `stop`, which is included."""
    path: list[int] = []
    node = start
    while node not in stop:
        node = int(before[node])
        path.append(node)
    return path


def _middle(solid: Solid, path: list[int]) -> int:
    steps = np.linalg.norm(np.diff(solid.points[path], axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    return path[int(np.argmin(np.abs(along - along[-1] / 2)))]


def _grow(
    solid: Solid, cost: csr_matrix, root: int, tree: dict[int, int], ends: list[int], end: int, forced: bool = False
) -> bool:
    """Connect one end by the cheapest path, if it stands out of the body that it is connected to."""
    there = {root, *tree}
    if end in there:
        return False
    _, before, _ = dijkstra(cost, indices=list(there), min_only=True, return_predecessors=True)
    path = [end, *_walk(before, end, there)]
    length = float(np.linalg.norm(np.diff(solid.points[path], axis=0), axis=1).sum())
    if not forced and length < _STANDS_OUT * solid.radius[path[-1]]:
        return False
    tree.update(itertools.pairwise(path))
    ends.append(end)
    return True


def _persistent_maxima(graph: csr_matrix, value: FloatArray, least: float) -> list[int]:
    """Maxima of a function on a connected graph with at least this persistence, the most persistent first."""
    edges = graph.tocoo()
    level = np.minimum(value[edges.row], value[edges.col])
    top = float(value.max())
    # Components of the super-level sets merge along a maximum spanning tree.
    spanning = minimum_spanning_tree(
        csr_matrix((top - level + 1e-9 * top, (edges.row, edges.col)), graph.shape)
    ).tocoo()
    order = np.argsort(spanning.data, kind="stable")
    owner = list(range(len(value)))
    peak = list(range(len(value)))

    def find(node: int) -> int:
        while owner[node] != node:
            owner[node] = owner[owner[node]]
            node = owner[node]
        return node

    height = value.tolist()
    found: list[tuple[float, int]] = [(top, int(np.argmax(value)))]
    for a, b in zip(spanning.row[order].tolist(), spanning.col[order].tolist(), strict=True):
        low, high = find(a), find(b)
        if height[peak[low]] > height[peak[high]]:
            low, high = high, low
        stands = height[peak[low]] - min(height[a], height[b])
        if stands >= least:
            found.append((stands, peak[low]))
        owner[low] = high
    return [node for _, node in sorted(found, reverse=True)]
