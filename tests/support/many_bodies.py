"""Meshes as modellers make them: bodies put into one another, closed or open, not fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import trimesh


def ant() -> Any:
    """15 closed bodies: a head, a trunk and an abdomen along z, and on each side three legs of two pieces.

    Feet lie further than 3.4 from the plane x = 0, at z of about 3.2, 0 and -3.2; only the trunk is within 0.15 of it.
    """
    bodies = [
        _ball((0, 0.2, -3.2), (1.5, 1.5, 1.9)),
        _capsule((0, 0, -1.6), (0, 0, 1.6), 0.9),
        _ball((0, 0.25, 3.05), (1.2, 1.1, 1.2)),
    ]
    for side in (-1.0, 1.0):
        for along in (1.4, 0.0, -1.4):
            knee = (side * 3.0, 1.6, along * 1.9)
            bodies += [
                _capsule((side * 0.5, 0, along), knee, 0.32),
                _capsule(knee, (side * 5.5, -2.0, along * 2.6), 0.25),
            ]
    return trimesh.util.concatenate(bodies)


def airplane() -> Any:
    """7 open bodies: a fuselage along y with its nose at -y, two wings along x, two tailplanes, a fin, a cockpit."""
    fuselage = _capsule((0, -4, 0), (0, 4, 0), 0.7)
    cockpit = _ball((0, -2.2, 0.5), (0.45, 1.0, 0.5))
    bodies = [_without(fuselage, (0, 1, 0)), _without(cockpit, (0, 0, -1))]
    for side in (-1.0, 1.0):
        bodies.append(_without(_box((side * 3.1, -0.4, 0), (5.4, 1.6, 0.3)), (-side, 0, 0)))
        bodies.append(_without(_box((side * 1.3, 3.8, 0), (2.0, 0.9, 0.25)), (-side, 0, 0)))
    bodies.append(_without(_box((0, 3.8, 1.1), (0.25, 0.9, 1.6)), (0, 0, -1)))
    return trimesh.util.concatenate(bodies)


def _ball(centre: Sequence[float], radii: Sequence[float]) -> Any:
    mesh = trimesh.creation.icosphere(2, 1.0)
    mesh.apply_scale(radii)
    mesh.apply_translation(centre)
    return mesh


def _box(centre: Sequence[float], size: Sequence[float]) -> Any:
    mesh = trimesh.creation.box(size).subdivide().subdivide().subdivide()
    mesh.apply_translation(centre)
    return mesh


def _capsule(start: Sequence[float], end: Sequence[float], radius: float) -> Any:
    begin, finish = np.array(start, float), np.array(end, float)
    mesh = trimesh.creation.capsule(float(np.linalg.norm(finish - begin)), radius, count=[16, 12])
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    mesh.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], finish - begin))
    mesh.apply_translation((begin + finish) / 2)
    return mesh


def _without(mesh: Any, direction: Sequence[float]) -> Any:
    """The mesh without the faces at its end in that direction that look there."""
    along = mesh.triangles_center @ np.array(direction, float)
    at_the_end = along > along.max() - 0.1 * np.ptp(along)
    mesh.update_faces(~(at_the_end & (mesh.face_normals @ np.array(direction, float) > 0.7)))
    mesh.remove_unreferenced_vertices()
    return mesh
