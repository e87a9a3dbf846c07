"""A mesh as a closed surface: its edges, with the faces on both sides and the angle between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...mesh.triangles import BoolArray, FloatArray, IntArray, area_vectors
from ...mesh.weld import weld_vertices

#: Faces that turn less, radians, are one facet.
FLAT_TURN = np.radians(0.5)


class Surface(NamedTuple):
    """A closed surface of triangles welded by place: all arrays of edges are (E,)."""

    #: (F, 3)
    faces: IntArray
    #: (V, 3)
    points: FloatArray
    #: (E, 2) the faces on both sides, and the ends as the first of the two runs along them.
    pairs: IntArray
    ends: IntArray
    lengths: FloatArray
    #: Angle between the faces' normals; negative where the edge is concave.
    turns: FloatArray
    #: (F, 3): along each normal, as long as the area.
    vectors: FloatArray
    areas: FloatArray


def closed_surface(mesh: Any) -> Surface | None:
    """The surface of a `trimesh.Trimesh` if it is one: each edge has two faces that agree on the side. Else None."""
    points, faces = np.asarray(mesh.vertices, dtype=float), np.asarray(mesh.faces)
    found = _surface(points, faces)
    if found is None:
        # Files repeat vertices where normals or texture coordinates differ.
        place, first = weld_vertices(points[faces.reshape(-1)])
        found = _surface(points[faces.reshape(-1)][first], place.reshape(-1, 3))
    return found


def _surface(points: FloatArray, faces: IntArray) -> Surface | None:
    if (faces == np.roll(faces, 1, axis=1)).any():
        return None
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    owner = np.repeat(np.arange(len(faces)), 3)
    key, back = start * len(points) + end, end * len(points) + start
    order = np.argsort(key)
    found = order[np.minimum(np.searchsorted(key[order], back), len(key) - 1)]
    if (np.diff(key[order]) == 0).any() or (key[found] != back).any():
        return None
    once = start < end
    pairs = np.stack([owner[once], owner[found[once]]], axis=1)
    ends = np.stack([start[once], end[once]], axis=1)
    vectors = area_vectors(points[faces]) / 2
    if float((points[faces].mean(axis=1) * vectors).sum()) < 0:
        vectors = -vectors
        pairs = pairs[:, ::-1]
    areas = np.linalg.norm(vectors, axis=1)
    normals = vectors / np.maximum(areas, 1e-300)[:, None]
    along = points[ends[:, 1]] - points[ends[:, 0]]
    lengths = np.linalg.norm(along, axis=1)
    a, b = normals[pairs[:, 0]], normals[pairs[:, 1]]
    sine = (np.cross(a, b) * along).sum(axis=1) / np.maximum(lengths, 1e-300)
    turns = np.arctan2(sine, (a * b).sum(axis=1))
    return Surface(faces, points, pairs, ends, lengths, turns, vectors, areas)


def components(surface: Surface, open_edges: BoolArray) -> IntArray:
    """(F,) pieces that hang together over the chosen edges, (E,)."""
    a, b = surface.pairs[open_edges].T
    count = len(surface.faces)
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    labels: IntArray = connected_components(graph, directed=False)[1]
    return labels


def one_way(surface: Surface, chosen: BoolArray | IntArray) -> float:
    """How far the faces look the same way, 0..1: the share of the opening in the area of what is cut off there."""
    return float(np.linalg.norm(surface.vectors[chosen].sum(axis=0)) / max(surface.areas[chosen].sum(), 1e-300))
