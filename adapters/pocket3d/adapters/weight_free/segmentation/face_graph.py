"""Builds the graph of a mesh's faces, weighted by how strongly neighbours belong together, and measures how thick the
solid is under each of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ...mesh.triangles import FloatArray, IntArray, area_vectors, face_normals, sorted_edges, surface_samples, unit

#: Half the opening of the cone of rays, degrees; the paper takes 60.
_HALF_ANGLE = 50.0
_RAYS = 24
_GOLDEN_TURN = np.pi * (3 - 5**0.5)


def shape_diameter(vertices: FloatArray, faces: npt.NDArray[np.integer[Any]]) -> FloatArray:
    """(F,) diameter seen from each face of a closed mesh, in its units.

    Rays in a cone about the inward normal; of their lengths those within one standard deviation of the median are
    averaged, weighted by the inverse of their angle (Shapira, Shamir and Cohen-Or, "Consistent Mesh Partitioning and
    Skeletonisation using the Shape Diameter Function", 2008). Rays that hit nothing, or a face from outside, do not
    count; where none is left the median of all faces stands in.
    """
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh

    corners = vertices[faces]
    normals = face_normals(corners)
    helper = np.where(np.abs(normals[:, :1]) < 0.6, [[1.0, 0, 0]], [[0, 1.0, 0]])
    tangent = unit(np.cross(normals, helper))
    other = np.cross(normals, tangent)
    extent = float(np.ptp(vertices, axis=0).max())
    scene = rtcore_scene.EmbreeScene()
    # Unit size: embree works in single precision.
    origin = vertices.min(axis=0)
    keep = TriangleMesh(scene, np.ascontiguousarray((corners - origin) / extent, dtype=np.float32))
    starts = (corners.mean(axis=1) - origin) / extent - 1e-4 * normals
    lengths = np.full((_RAYS, len(faces)), np.nan)
    angles = np.zeros(_RAYS)
    for ray in range(_RAYS):
        # A sunflower on the cap, the same for all faces.
        cosine = 1 - (1 - np.cos(np.radians(_HALF_ANGLE))) * (ray + 0.5) / _RAYS
        sine, turn = (1 - cosine**2) ** 0.5, ray * _GOLDEN_TURN
        angles[ray] = np.arccos(cosine)
        direction = -cosine * normals + sine * (np.cos(turn) * tangent + np.sin(turn) * other)
        found = scene.run(starts.astype(np.float32), direction.astype(np.float32), output=True)
        hit = found["primID"]
        ok = hit >= 0
        ok[ok] = (normals[hit[ok]] * direction[ok]).sum(axis=1) > 0
        lengths[ray, ok] = found["tfar"][ok]
    del keep
    silent = np.isnan(lengths).all(axis=0)
    lengths[:, silent] = 0
    middle, spread = np.nanmedian(lengths, axis=0), np.nanstd(lengths, axis=0)
    weights = np.where(np.abs(lengths - middle) <= spread + 1e-9, 1 / np.maximum(angles, 0.05)[:, None], 0)
    diameter = np.nansum(np.where(weights > 0, lengths, 0) * weights, axis=0) / np.maximum(weights.sum(axis=0), 1e-12)
    if silent.all():
        return np.full(len(faces), extent)
    diameter[silent] = np.median(diameter[~silent])
    return np.asarray(np.maximum(diameter, 1e-4) * extent)


#: Concave angle, radians, that costs 1. Convex angles cost nothing: parts meet in concave creases (the minima rule,
#: Hoffman and Richards 1984).
_CONCAVE_SCALE = 0.4
#: Difference of the logarithm of the shape diameter that costs 1.
_DIAMETER_SCALE = 0.35
#: A sharp convex edge separates two views of one solid: the diameters there say nothing.
_CONVEX_EDGE = 0.3
_MAX_COST = 7.0


class FaceGraph(NamedTuple):
    """Faces of a closed triangle mesh, and their common edges."""

    #: (E, 2) faces on both sides of each edge.
    pairs: IntArray
    #: (E,) length of the edge.
    lengths: FloatArray
    #: (E,) distance of the faces' centres.
    distances: FloatArray
    #: (E,) 0..1, 1 where nothing separates the two.
    affinity: FloatArray
    #: (F,)
    areas: FloatArray
    #: (F, 3)
    centres: FloatArray


def face_graph(vertices: FloatArray, faces: IntArray, diameters: FloatArray, original: Any, cell: float) -> FaceGraph:
    """The graph of a closed manifold, weighted by concavity and by the change of the shape diameter.

    `diameters`, (F,), are its shape diameter, `cell` is the edge of its grid; `original` is the `trimesh.Trimesh` it
    was made from, whose normals are sharper.

    Raises:
        ValueError: an edge does not have two faces.
    """
    edges, owner = sorted_edges(faces)
    if len(edges) % 2 or not (edges[::2] == edges[1::2]).all():
        raise ValueError("the working surface is not a closed manifold")
    pairs = np.stack([owner[::2], owner[1::2]], axis=1)
    corners = vertices[faces]
    normals = area_vectors(corners)
    areas = np.linalg.norm(normals, axis=1) / 2
    normals = normals / np.maximum(2 * areas[:, None], 1e-30)
    areas = np.maximum(areas, areas.mean() * 1e-4)
    centres = corners.mean(axis=1)
    sharp = _sharper(centres, normals, original, cell)
    a, b = pairs.T
    across = centres[b] - centres[a]
    angle = np.arccos(np.clip((sharp[a] * sharp[b]).sum(axis=1), -1, 1))
    concave = ((sharp[b] - sharp[a]) * across).sum(axis=1) < 0
    thickness = _averaged(pairs, np.log(diameters), 2)
    change = ((thickness[a] - thickness[b]) / _DIAMETER_SCALE) ** 2
    cost = np.where(concave, (angle / _CONCAVE_SCALE) ** 2, 0) + np.where(concave | (angle < _CONVEX_EDGE), change, 0)
    return FaceGraph(
        pairs,
        np.linalg.norm(vertices[edges[::2, 0]] - vertices[edges[::2, 1]], axis=1),
        np.maximum(np.linalg.norm(across, axis=1), 1e-3 * cell),
        np.exp(-np.minimum(cost, _MAX_COST)),
        areas,
        centres,
    )


def _sharper(centres: FloatArray, normals: FloatArray, original: Any, cell: float) -> FloatArray:
    """Normals of the original's nearest faces where they agree with the working surface's, which rounds creases."""
    corners = np.asarray(original.vertices, dtype=float)[np.asarray(original.faces)]
    flat = face_normals(corners)
    points, owner = surface_samples(np.asarray(original.vertices, dtype=float), np.asarray(original.faces), 0.7 * cell)
    count = min(4, len(points))
    distance, nearest = cKDTree(points).query(centres, k=[*range(1, count + 1)])
    candidates = flat[owner[nearest]]
    agreement = (candidates * normals[:, None]).sum(axis=2)
    best = np.argmax(np.abs(agreement) - 0.3 * distance / cell, axis=1)
    row = np.arange(len(centres))
    chosen = candidates[row, best] * np.sign(agreement[row, best])[:, None]
    sound = (np.abs(agreement[row, best]) > 0.5) & (distance[row, best] < 2 * cell)
    return np.where(sound[:, None], chosen, normals)


def _averaged(pairs: IntArray, values: FloatArray, times: int) -> FloatArray:
    """Average with the neighbours, `times` times."""
    a, b = pairs.T
    count = 1 + np.bincount(pairs.reshape(-1), minlength=len(values))
    for _ in range(times):
        total = values.copy()
        np.add.at(total, a, values[b])
        np.add.at(total, b, values[a])
        values = total / count
    return values
