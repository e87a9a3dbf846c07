"""Cuts a surface into charts that are projected onto a plane each. It is fast on dense surfaces, where growing charts
by their distortion, as xatlas does, takes a quarter of a millisecond a face.

Faces are gathered by the direction they look to: 26 directions, those of a cube's sides, edges and corners, in place of
the proxies of Cohen-Steiner, Alliez and Desbrun, "Variational Shape Approximation", SIGGRAPH 2004. Small gatherings
join their neighbours as long as all faces of both can be projected together. What lies over itself is cut.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...mesh.triangles import FloatArray, IntArray, areas, face_normals, sorted_edges
from ...mesh.weld import weld_vertices
from .overlaps import covering_twice

#: No face of a chart is steeper against its plane than this (cosine of 63 degrees).
_STEEPEST = 0.45
#: The mean over a chart's area of the cosine between its faces and its plane: that of a cap of 33 degrees.
_FLATNESS = 0.92
#: Normals across an edge that is sharper (cosine of 60 degrees) are not smoothed into one another.
_SHARP = 0.5
_SMOOTHINGS = 4
#: Directions by which a gathering remembers where its faces look; two neighbours are 16 degrees apart.
_BINS = 200
#: Rounds of cutting what lies over itself.
_ROUNDS = 16


class Charts(NamedTuple):
    """A surface in pieces."""

    #: (F,) chart of each face, from 0; -1 for faces without an area.
    label: IntArray
    #: (charts, 2, 3) unit axes of each chart's plane.
    axes: FloatArray


def directions() -> FloatArray:
    """(26, 3) unit vectors to a cube's sides, edges and corners."""
    grid = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], dtype=float)
    unit: FloatArray = grid / np.linalg.norm(grid, axis=1, keepdims=True)
    return unit


def planar_charts(vertices: FloatArray, faces: IntArray) -> Charts:
    """Cut a surface, (V, 3) and (F, 3), into charts that can be laid onto their planes without overlap."""
    corners = vertices[faces].astype(np.float64)
    area = areas(corners)
    extent = float(np.ptp(vertices, axis=0).max())
    sound = area > 1e-12 * extent**2
    label = np.full(len(faces), -1, dtype=np.int64)
    kept = np.flatnonzero(sound)
    if len(kept) == 0:
        return Charts(label, np.zeros((0, 2, 3)))
    normals, area = face_normals(corners[kept]), area[kept]
    place, _ = weld_vertices(vertices)
    pairs, length = _neighbours(place[faces[kept]], vertices[faces[kept]])
    gathered = _gather(normals, area, pairs, length)
    merged = _merge(gathered, normals, area, pairs, length)
    vectors = normals * area[:, None]
    cut = _cut(merged, corners[kept], vectors, pairs)
    _, label[kept] = np.unique(cut, return_inverse=True)
    count = int(label.max()) + 1
    return Charts(label, _planes(label[kept], vectors, count))


def _neighbours(faces: IntArray, corners: FloatArray) -> tuple[IntArray, FloatArray]:
    """(P, 2) faces that share an edge which no third one has, and (P,) the edges' lengths."""
    edges, owner = sorted_edges(faces)
    same = (edges[1:] == edges[:-1]).all(axis=1)
    before, after = np.r_[False, same], np.r_[same, False]
    first = np.flatnonzero(after & ~before & ~np.r_[same[1:], False, False])
    pairs = np.stack([owner[first], owner[first + 1]], axis=1)
    apart = pairs[:, 0] != pairs[:, 1]
    points = np.zeros((int(faces.max()) + 1, 3))
    points[faces] = corners
    ends = points[edges[first]]
    return pairs[apart], np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)[apart]


def _gather(normals: FloatArray, area: FloatArray, pairs: IntArray, length: FloatArray) -> IntArray:
    """(F,) connected faces that look most along one direction, once noise is smoothed away."""
    count = len(normals)
    alike = (normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(axis=1) > _SHARP
    first, second = pairs[alike].T
    weight = length[alike] / max(float(length.max(initial=0.0)), 1e-300)
    links = coo_array(
        (np.r_[weight, weight], (np.r_[first, second], np.r_[second, first])), shape=(count, count)
    ).tocsr()
    smooth = normals
    share = (area / area.mean())[:, None]
    for _ in range(_SMOOTHINGS):
        smooth = smooth * share.clip(0.1, 10) + links @ (smooth * share.clip(0.1, 10))
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    towards = directions()
    score = smooth @ towards.T
    # Whatever its neighbours do, a face must be seen from where it is projected to.
    score[normals @ towards.T < _STEEPEST + 0.1] -= 4
    return _connected(score.argmax(axis=1), pairs)


def _connected(label: IntArray, pairs: IntArray) -> IntArray:
    """(F,) number of the connected piece of equal label."""
    inside = pairs[label[pairs[:, 0]] == label[pairs[:, 1]]]
    graph = coo_array((np.ones(len(inside), dtype=bool), (inside[:, 0], inside[:, 1])), shape=(len(label),) * 2)
    found: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def _bins() -> FloatArray:
    """(`_BINS`, 3) unit vectors spread evenly (a Fibonacci lattice)."""
    number = np.arange(_BINS) + 0.5
    z, turn = 1 - 2 * number / _BINS, np.pi * (1 + 5**0.5) * number
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


def _merge(label: IntArray, normals: FloatArray, area: FloatArray, pairs: IntArray, length: FloatArray) -> IntArray:
    """(F,) pieces after the smallest have joined the neighbour with the longest common edge, where all faces of both
    can be projected onto one plane without much distortion.
    """
    count = int(label.max()) + 1
    bins = _bins()
    looks = np.zeros((count, _BINS), dtype=bool)
    for start in range(0, len(normals), 16384):
        part = slice(start, start + 16384)
        looks[label[part], (normals[part] @ bins.T).argmax(axis=1)] = True
    size = np.bincount(label, weights=area, minlength=count)
    total = np.stack([np.bincount(label, weights=normals[:, k] * area, minlength=count) for k in range(3)], axis=1)
    beside: list[dict[int, float]] = [{} for _ in range(count)]
    for a, b, shared in zip(*label[pairs].T.tolist(), length.tolist(), strict=True):
        if a != b:
            beside[a][b] = beside[a].get(b, 0.0) + shared
            beside[b][a] = beside[b].get(a, 0.0) + shared
    parent = np.arange(count)
    queue = [(float(size[k]), k) for k in range(count)]
    heapq.heapify(queue)
    while queue:
        known, small = heapq.heappop(queue)
        if parent[small] != small or known != size[small]:
            continue
        for other in sorted(beside[small], key=lambda each: (-beside[small][each], each)):
            together = total[small] + total[other]
            long = float(np.linalg.norm(together))
            if long < _FLATNESS * float(size[small] + size[other]):
                continue
            if float((bins[looks[small] | looks[other]] @ together).min()) < _STEEPEST * long:
                continue
            _join(small, other, parent, looks, size, total, beside)
            heapq.heappush(queue, (float(size[other]), other))
            break
    while (parent != parent[parent]).any():
        parent = parent[parent]
    return parent[label]


def _join(small: int, other: int, parent: IntArray, looks: Any, size: Any, total: Any, beside: Any) -> None:
    parent[small] = other
    looks[other] |= looks[small]
    size[other] += size[small]
    total[other] += total[small]
    for third, shared in beside[small].items():
        del beside[third][small]
        if third != other:
            beside[third][other] = beside[other][third] = beside[other].get(third, 0.0) + shared
    beside[small] = {}


def _planes(label: IntArray, vectors: FloatArray, count: int) -> FloatArray:
    """(count, 2, 3) axes of the plane across each label's mean normal."""
    normal: Any = np.stack([np.bincount(label, weights=vectors[:, k], minlength=count) for k in range(3)], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    least = np.abs(normal).argmin(axis=1)
    across = np.cross(normal, np.eye(3)[least])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([across, np.cross(normal, across)], axis=1)


def _cut(label: IntArray, corners: FloatArray, vectors: FloatArray, pairs: IntArray) -> IntArray:
    """(F,) pieces none of which lies over itself when seen along its mean normal; `vectors` are normals by area."""
    suspects = np.arange(len(label))
    for round_ in range(_ROUNDS):
        _, label = np.unique(label, return_inverse=True)
        count = int(label.max()) + 1
        axes = _planes(label, vectors, count)[label[suspects]]
        flat = np.einsum("fij,fkj->fik", corners[suspects], axes)
        upper, lower = covering_twice(flat, label[suspects])
        # A piece that was cut has a new plane, in which a face may be turned over.
        turned = suspects[_signed(flat) <= 0]
        if len(upper) == 0 and len(turned) == 0:
            return label
        upper, lower = suspects[upper], suspects[lower]
        label = label.copy()
        bad = np.unique(label[np.concatenate([upper, turned])])
        label[turned] = count + np.arange(len(turned))
        if round_ == _ROUNDS - 1:
            over = np.unique(upper)
            label[over] = count + len(turned) + np.arange(len(over))
            return label
        label = _by_height(label, bad, upper, lower, corners, vectors)
        suspects = np.flatnonzero(np.isin(label, bad) | (label >= count))
        label = _connected(label, pairs)
    return label


def _by_height(
    label: IntArray, bad: IntArray, one: IntArray, two: IntArray, corners: FloatArray, vectors: FloatArray
) -> IntArray:
    """Cut each of the labels `bad` at the height in the middle between the faces that lie over one another."""
    count = int(label.max()) + 1
    axis = np.stack([np.bincount(label, weights=vectors[:, k], minlength=count) for k in range(3)], axis=1)
    middles = corners.mean(axis=1)
    height = (middles * axis[label]).sum(axis=1)
    between = (height[one] + height[two]) / 2
    owner = label[one]
    order = np.lexsort((between, owner))
    first = np.searchsorted(owner[order], bad)
    last = np.searchsorted(owner[order], bad, side="right")
    level = np.full(count, np.inf)
    there = last > first
    level[bad[there]] = between[order[(first + last)[there] // 2]]
    return np.where(height > level[label], label + count, label)


def _signed(flat: FloatArray) -> FloatArray:
    """(F,) twice the signed area of (F, 3, 2)."""
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    found: FloatArray = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    return found
