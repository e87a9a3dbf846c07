"""Measures how thick a solid is under each face of its surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...mesh.triangles import FloatArray, area_vectors

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
    normals = area_vectors(corners)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    helper = np.where(np.abs(normals[:, :1]) < 0.6, [[1.0, 0, 0]], [[0, 1.0, 0]])
    tangent = np.cross(normals, helper)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
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
