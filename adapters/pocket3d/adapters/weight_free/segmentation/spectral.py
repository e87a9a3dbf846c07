"""Clusters faces by the eigenvectors of the weighted face graph, in whose coordinates parts are dense, and merges small
regions: the pair with the least separation between them is joined first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ...mesh.triangles import FloatArray, IntArray
from .face_graph import FaceGraph

#: Clusters need no more; what has not come so far after so many restarts is left out.
_PRECISION, _MOST_RESTARTS = 1e-6, 100


class Spectrum(NamedTuple):
    """The lowest eigenpairs of the Laplacian, generalised by area."""

    #: (M,) ascending.
    values: FloatArray
    #: (F, M)
    vectors: FloatArray


def spectrum(graph: FaceGraph, count: int) -> Spectrum:
    """Finite-volume Laplacian whose conductances are the affinities (Liu and Zhang 2004)."""
    a, b = graph.pairs.T
    faces = len(graph.areas)
    conductance = graph.lengths / graph.distances * graph.affinity
    weights = coo_array(
        (np.concatenate([conductance] * 2), (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(faces, faces)
    ).tocsr()
    scale = 1 / np.sqrt(graph.areas / graph.areas.mean())
    laplacian = diags_array(scale) @ (diags_array(weights.sum(axis=1)) - weights) @ diags_array(scale)
    # A start without the mesh's own symmetry: from an even one the odd vectors are found by rounding errors alone.
    start = np.random.default_rng(0).normal(size=faces)
    wanted = min(count, faces - 2)
    try:
        values, vectors = eigsh(
            laplacian.tocsc(), k=wanted, sigma=-1e-6, which="LM", v0=start, tol=_PRECISION, maxiter=_MOST_RESTARTS
        )
    except ArpackNoConvergence as late:
        if len(late.eigenvalues) < 2:
            raise
        values, vectors = late.eigenvalues, late.eigenvectors
    order = np.argsort(values)
    return Spectrum(values[order], vectors[:, order] * scale[:, None])


def small_regions(graph: FaceGraph, spectral: Spectrum, count: int, seed: int) -> IntArray:
    """(F,) connected regions, at least `count`: k-means of the commute-time embedding (Qiu and Hancock 2007)."""
    points = spectral.vectors[:, 1:] / np.sqrt(np.maximum(spectral.values[1:], 1e-6))
    points = points / np.sqrt((points**2 * graph.areas[:, None]).sum() / graph.areas.sum())
    labels = _k_means(points, graph.areas, count, seed, 2)
    # Each connected piece of a cluster is a region of its own.
    a, b = graph.pairs[labels[graph.pairs[:, 0]] == labels[graph.pairs[:, 1]]].T
    links = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(len(labels),) * 2)
    found: IntArray = connected_components(links, directed=False)[1]
    return found


def k_way(graph: FaceGraph, spectral: Spectrum, count: int, seed: int) -> IntArray:
    """(F,) `count` clusters of the first eigenvectors, rows of unit length (Ng, Jordan and Weiss 2001)."""
    points = spectral.vectors[:, :count]
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-30)
    return _k_means(points, graph.areas, count, seed, 5)


def gap_count(spectral: Spectrum, most: int = 12) -> int:
    """Number of parts by the largest ratio between successive eigenvalues."""
    values = np.maximum(spectral.values[1 : most + 1], 1e-9)
    return int(np.argmax(values[1:] / values[:-1])) + 2


def _k_means(points: FloatArray, weights: FloatArray, count: int, seed: int, runs: int) -> IntArray:
    from sklearn.cluster import KMeans

    fit = KMeans(min(count, len(points)), n_init=runs, random_state=seed).fit(points, sample_weight=weights)
    labels: IntArray = fit.labels_
    return labels


#: Ratio e^(width of this) between the mean diameters of two regions makes them 1/e as alike.
_DIAMETER_WIDTH = 0.9
#: Share of the area below which a region is no part while it has a neighbour.
_LEAST_SHARE = 0.004


class Hierarchy(NamedTuple):
    """All partitions from the small regions to one part, one merge after the other."""

    #: Partition with k parts -> (R,) representative of each small region.
    members: dict[int, IntArray]
    #: (parts before, openness of the boundary that was dissolved), in order.
    merges: list[tuple[int, float]]

    def count_above(self, least: float) -> int:
        """Number of parts that remain when only boundaries more open than `least` are dissolved."""
        return next((parts for parts, openness in self.merges if openness < least), 1)

    def labels(self, regions: IntArray, parts: int) -> IntArray:
        """(F,) labels 0..k-1 for the partition with so many parts, or the nearest there is."""
        nearest = min(self.members, key=lambda each: abs(each - parts))
        labels: IntArray = np.unique(self.members[nearest][regions], return_inverse=True)[1]
        return labels


def merge(graph: FaceGraph, regions: IntArray, diameters: FloatArray) -> Hierarchy:
    """Join regions pair by pair.

    The openness of a boundary is the mean affinity along it, times the likeness of the diameters on its sides: 1 if
    nothing separates the regions. Regions without a neighbour are joined last, the smallest to the nearest;
    those too small to be parts, first.
    """
    areas = np.bincount(regions, graph.areas)
    thickness = np.bincount(regions, graph.areas * np.log(diameters)) / areas
    centres = np.stack([np.bincount(regions, graph.areas * graph.centres[:, k]) / areas for k in range(3)], axis=1)
    passing, whole = boundary_sums(graph, regions)
    total = areas.sum()
    alive = np.arange(len(areas))
    members = {len(alive): alive.copy()}
    group = alive.copy()
    merges: list[tuple[int, float]] = []
    while len(alive) > 1:
        block = np.ix_(alive, alive)
        touching = whole[block] > 0
        openness = np.where(touching, passing[block] / np.maximum(whole[block], 1e-30), -1.0)
        openness *= np.exp(-(((thickness[alive, None] - thickness[None, alive]) / _DIAMETER_WIDTH) ** 2))
        share = np.minimum(areas[alive, None], areas[None, alive]) / total
        order = np.where(touching & (share < _LEAST_SHARE), 2 + openness - share / _LEAST_SHARE, openness)
        speck = ~touching.any(axis=1) & (areas[alive] < _LEAST_SHARE * total)
        if touching.any() and not speck.any():
            i, j = divmod(int(np.argmax(order)), len(alive))
            merges.append((len(alive), float(order[i, j])))
        else:
            i = int(np.argmin(areas[alive]))
            apart = np.linalg.norm(centres[alive] - centres[alive[i]], axis=1)
            apart[i] = np.inf
            j = int(np.argmin(apart))
            merges.append((len(alive), 2.0 if speck.any() else -1.0))
        kept, gone = int(alive[i]), int(alive[j])
        group[group == gone] = kept
        both = areas[kept] + areas[gone]
        thickness[kept] = (thickness[kept] * areas[kept] + thickness[gone] * areas[gone]) / both
        centres[kept] = (centres[kept] * areas[kept] + centres[gone] * areas[gone]) / both
        areas[kept] = both
        for sums in (passing, whole):
            sums[kept] += sums[gone]
            sums[:, kept] += sums[:, gone]
            sums[kept, kept] = 0
            sums[gone] = sums[:, gone] = 0
        alive = alive[alive != gone]
        members[len(alive)] = group.copy()
    return Hierarchy(members, merges)


def boundary_sums(graph: FaceGraph, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """(K, K) affinity summed along each boundary, weighted by length, and its length; symmetric, diagonal 0."""
    count = int(labels.max()) + 1
    a, b = labels[graph.pairs[:, 0]], labels[graph.pairs[:, 1]]
    cut = a != b
    passing, whole = np.zeros((count, count)), np.zeros((count, count))
    np.add.at(passing, (a[cut], b[cut]), (graph.lengths * graph.affinity)[cut])
    np.add.at(whole, (a[cut], b[cut]), graph.lengths[cut])
    return passing + passing.T, whole + whole.T


def weakest_boundary(graph: FaceGraph, labels: IntArray) -> tuple[float, float]:
    """Openness of the most open boundary, and of all boundaries together; 0, 0 if there is none."""
    passing, whole = boundary_sums(graph, labels)
    if not whole.any():
        return 0.0, 0.0
    return float((passing / np.maximum(whole, 1e-30)).max()), float(passing.sum() / whole.sum())
