"""The nearest point of a triangle surface to each of many points, and how far two surfaces are apart.

A k-d tree over points of the surface proposes triangles, on which the nearest point is then exact; from the best of
them the search goes on over its neighbours while they are nearer. What it finds is an upper bound, and seldom more than
the distance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from .triangles import FloatArray, IntArray, areas, sorted_edges
from .weld import weld_vertices

#: Triangles that are tried for each point.
_CANDIDATES = 8
#: Points of the surface in the tree, for large triangles; and triangles whose middle is there, too.
_SAMPLES, _MOST_MIDDLES = 50_000, 1_000_000
#: Steps from a triangle to a nearer neighbour.
_STEPS = 8
#: Points looked up together.
_CHUNK = 20_000


class Places(NamedTuple):
    """Points on a surface."""

    #: (N, 3)
    points: FloatArray
    #: (N,) the triangle on which each lies.
    triangle: IntArray
    #: (N, 3) weights of its corners, from 0 to 1, 1 in all.
    weights: FloatArray


class Deviation(NamedTuple):
    """How far two surfaces are apart, both ways, at random points: the greatest distance is that of Hausdorff, as far
    as the points find it.
    """

    mean: float
    greatest: float
    #: The diagonal of the first surface's bounding box.
    diagonal: float
    samples: int

    def facts(self) -> dict[str, Any]:
        """For a result: in the file's units, and in per cent of the diagonal."""
        share = 100 / self.diagonal if self.diagonal > 0 else 0.0
        return {
            "mean": float(f"{self.mean:.6g}"),
            "max": float(f"{self.greatest:.6g}"),
            "mean_percent_of_diagonal": round(self.mean * share, 4),
            "max_percent_of_diagonal": round(self.greatest * share, 4),
            "samples": self.samples,
        }


def sampled(corners: FloatArray, count: int, seed: int = 0) -> Places:
    """Random points on (F, 3, 3), as many on each triangle as its area asks for; on a surface without area its corners'
    middles.
    """
    dice = np.random.default_rng(seed)
    ends = np.cumsum(areas(corners))
    total = float(ends[-1])
    if not total > 0:
        triangle = np.arange(min(len(corners), count))
        weights = np.full((len(triangle), 3), 1 / 3)
    else:
        where = (np.arange(count) + dice.random(count)) / count * total
        triangle = np.minimum(np.searchsorted(ends, where, side="right"), len(corners) - 1)
        root, second = np.sqrt(dice.random(count)), dice.random(count)
        weights = np.stack([1 - root, root * (1 - second), root * second], axis=1)
    return Places((corners[triangle] * weights[..., None]).sum(axis=1), triangle, weights)


class Surface:
    """A surface that can be asked for its nearest points.

    Args:
        corners: (F, 3, 3), finite, at least one.
    """

    def __init__(self, corners: FloatArray) -> None:
        self.corners = corners
        places = sampled(corners, _SAMPLES, seed=1)
        middles = np.arange(len(corners))
        if len(corners) > _MOST_MIDDLES:
            middles = np.random.default_rng(2).choice(len(corners), _MOST_MIDDLES, replace=False)
        self._of_point = np.concatenate([places.triangle, middles])
        self._neighbours = _neighbours(corners)
        self._tree = cKDTree(np.concatenate([places.points, corners[middles].mean(axis=1)]))

    def nearest(self, points: FloatArray) -> tuple[FloatArray, Places]:
        """The distance of each of the points (N, 3), and the nearest place on the surface."""
        count = min(_CANDIDATES, len(self._of_point))
        distances, places = [], []
        for start in range(0, max(len(points), 1), _CHUNK):
            some = points[start : start + _CHUNK]
            triangle = self._of_point[self._tree.query(some, k=count)[1].reshape(len(some), count)]
            weights = nearest_weights(np.repeat(some, count, axis=0), self.corners[triangle.reshape(-1)])
            there = (self.corners[triangle.reshape(-1)] * weights[..., None]).sum(axis=1).reshape(len(some), count, 3)
            away = np.linalg.norm(there - some[:, None], axis=2)
            row, best = np.arange(len(some)), away.argmin(axis=1)
            found = Places(there[row, best], triangle[row, best], weights.reshape(len(some), count, 3)[row, best])
            distances.append(self._walked(some, away[row, best], found))
            places.append(found)
        joined = Places(*(np.concatenate(column) for column in zip(*places, strict=True)))
        return np.concatenate(distances), joined

    def _walked(self, points: FloatArray, away: FloatArray, found: Places) -> FloatArray:
        """Go on to neighbours while they are nearer; changes what was found, and returns the distances."""
        left = np.arange(len(points))
        for _ in range(_STEPS):
            if len(left) == 0:
                break
            nearer = np.zeros(len(left), dtype=bool)
            for beside in self._neighbours[found.triangle[left]].T:
                weights = nearest_weights(points[left], self.corners[beside])
                there = (self.corners[beside] * weights[..., None]).sum(axis=1)
                distance = np.linalg.norm(there - points[left], axis=1)
                better = distance < away[left]
                nearer |= better
                chosen = left[better]
                away[chosen] = distance[better]
                found.triangle[chosen], found.points[chosen] = beside[better], there[better]
                found.weights[chosen] = weights[better]
            left = left[nearer]
        return away


def _neighbours(corners: FloatArray) -> IntArray:
    """(F, 3) a triangle across each edge, itself where there is none; vertices at one place are one."""
    place, _ = weld_vertices(corners.reshape(-1, 3))
    edges, owner = sorted_edges(place.reshape(-1, 3))
    found = np.repeat(np.arange(len(corners))[:, None], 3, axis=1)
    same = (edges[1:] == edges[:-1]).all(axis=1)
    one, other = owner[:-1][same], owner[1:][same]
    pairs = np.concatenate([np.stack([one, other], axis=1), np.stack([other, one], axis=1)])
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    # The number of each pair among those of its triangle; a triangle of more than three keeps three.
    rank = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0], side="left")
    kept = rank < 3
    found[pairs[kept, 0], rank[kept]] = pairs[kept, 1]
    return found


def nearest_weights(points: FloatArray, corners: FloatArray) -> FloatArray:
    """(N, 3) the weights of the corners of each of (N, 3, 3) triangles at its point nearest to each of (N, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    best = np.full(len(points), np.inf)
    weights = np.zeros((len(points), 3))
    for one, other, start, end in ((0, 1, a, b), (1, 2, b, c), (2, 0, c, a)):
        along = end - start
        length = (along * along).sum(axis=1)
        share = ((points - start) * along).sum(axis=1) / np.where(length > 0, length, 1.0)
        share = np.clip(share, 0.0, 1.0)
        away = np.linalg.norm(start + along * share[:, None] - points, axis=1)
        better = away < best
        best = np.where(better, away, best)
        weights[better] = 0.0
        weights[better, one], weights[better, other] = 1 - share[better], share[better]
    # Within the triangle its plane is nearer than its edges.
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = (u * u).sum(axis=1), (u * v).sum(axis=1), (v * v).sum(axis=1)
    wu, wv = (w * u).sum(axis=1), (w * v).sum(axis=1)
    area = uu * vv - uv * uv
    safe = np.where(area > 0, area, 1.0)
    second, third = (vv * wu - uv * wv) / safe, (uu * wv - uv * wu) / safe
    inside = (area > 0) & (second >= 0) & (third >= 0) & (second + third <= 1)
    weights[inside] = np.stack([1 - second - third, second, third], axis=1)[inside]
    return weights


def deviation(before: FloatArray, after: FloatArray, samples: int = 20_000) -> Deviation:
    """How far two surfaces, (F, 3, 3) each, are apart."""
    low, high = before.reshape(-1, 3).min(axis=0), before.reshape(-1, 3).max(axis=0)
    forth, _ = Surface(after).nearest(sampled(before, samples).points)
    back, _ = Surface(before).nearest(sampled(after, samples).points)
    return Deviation(
        float((forth.mean() + back.mean()) / 2),
        float(max(forth.max(), back.max())),
        float(np.linalg.norm(high - low)),
        len(forth) + len(back),
    )
