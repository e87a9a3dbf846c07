"""Clusters faces by the eigenvectors of the weighted face graph, in whose coordinates parts are dense."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

from ...mesh.triangles import FloatArray, IntArray
from .face_graph import FaceGraph


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
    values, vectors = eigsh(laplacian.tocsc(), k=min(count, faces - 2), sigma=-1e-6, which="LM", v0=np.ones(faces))
    order = np.argsort(values)
    return Spectrum(values[order], vectors[:, order] * scale[:, None])


def small_regions(graph: FaceGraph, spectral: Spectrum, count: int, seed: int) -> IntArray:
    """(F,) connected regions, at least `count`: k-means of the commute-time embedding (Qiu and Hancock 2007)."""
    points = spectral.vectors[:, 1:] / np.sqrt(np.maximum(spectral.values[1:], 1e-6))
    points = points / np.sqrt((points**2 * graph.areas[:, None]).sum() / graph.areas.sum())
    return connected_regions(graph, _k_means(points, graph.areas, count, seed, 2))


def k_way(graph: FaceGraph, spectral: Spectrum, count: int, seed: int) -> IntArray:
    """(F,) `count` clusters of the first eigenvectors, rows of unit length (Ng, Jordan and Weiss 2001)."""
    points = spectral.vectors[:, :count]
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-30)
    return _k_means(points, graph.areas, count, seed, 5)


def gap_count(spectral: Spectrum, most: int = 12) -> int:
    """Number of parts by the largest ratio between successive eigenvalues."""
    values = np.maximum(spectral.values[1 : most + 1], 1e-9)
    return int(np.argmax(values[1:] / values[:-1])) + 2


def connected_regions(graph: FaceGraph, labels: IntArray) -> IntArray:
    """(F,) labels in which each connected piece of a label has a number of its own."""
    a, b = graph.pairs[labels[graph.pairs[:, 0]] == labels[graph.pairs[:, 1]]].T
    links = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(len(labels),) * 2)
    found: IntArray = connected_components(links, directed=False)[1]
    return found


def _k_means(points: FloatArray, weights: FloatArray, count: int, seed: int, runs: int) -> IntArray:
    from sklearn.cluster import KMeans

    fit = KMeans(min(count, len(points)), n_init=runs, random_state=seed).fit(points, sample_weight=weights)
    labels: IntArray = fit.labels_
    return labels
