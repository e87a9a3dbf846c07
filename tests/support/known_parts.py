"""Solids fused from primitives whose parts are known for each face, turned at random."""

from __future__ import annotations

from typing import Any

import manifold3d
import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

Part = list[Any]


def ball(centre: Any, radius: float) -> Any:
    mesh = trimesh.creation.icosphere(3, radius)
    mesh.apply_translation(centre)
    return mesh


def box(centre: Any, size: Any) -> Any:
    mesh = trimesh.creation.box(size)
    for _ in range(4):
        mesh = mesh.subdivide()
    mesh.apply_translation(centre)
    return mesh


def capsule(start: Any, end: Any, radius: float) -> Any:
    start, end = np.array(start, float), np.array(end, float)
    mesh = trimesh.creation.capsule(float(np.linalg.norm(end - start)), radius, count=[32, 24])
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    mesh.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], end - start))
    mesh.apply_translation((start + end) / 2)
    return mesh


def table() -> list[Part]:
    legs = [[box((x, y, 0.5), (0.12, 0.12, 1.0))] for x in (-0.85, 0.85) for y in (-0.45, 0.45)]
    return [[box((0, 0, 1), (2, 1.2, 0.12))], *legs]


def snowman() -> list[Part]:
    return [[ball((0, 0, 0), 1)], [ball((0, 0, 1.4), 0.7)], [ball((0, 0, 2.4), 0.45)]]


def dumbbell() -> list[Part]:
    return [[ball((-1.5, 0, 0), 0.6)], [capsule((-1.5, 0, 0), (1.5, 0, 0), 0.2)], [ball((1.5, 0, 0), 0.6)]]


def mug() -> list[Part]:
    handle = trimesh.creation.torus(0.5, 0.1, major_sections=48, minor_sections=20)
    handle.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    handle.apply_translation((0.75, 0, 0))
    return [[trimesh.creation.cylinder(0.7, 1.6, sections=40)], [handle]]


def star() -> list[Part]:
    turns = np.arange(5) * 2 * np.pi / 5
    return [[capsule((0, 0, 0), (np.cos(turn), np.sin(turn), 0), 0.16)] for turn in turns]


def person() -> list[Part]:
    arms = [[capsule((side * 0.2, 0, 1.5), (side * 0.85, 0, 1.15), 0.08)] for side in (-1, 1)]
    legs = [[capsule((side * 0.12, 0, 0.85), (side * 0.2, 0, 0), 0.1)] for side in (-1, 1)]
    return [[capsule((0, 0, 0.9), (0, 0, 1.5), 0.22)], [ball((0, 0, 1.95), 0.2)], *arms, *legs]


def fused(parts: list[Part], seed: int | None) -> tuple[Any, Any]:
    """The union as one mesh, and (F,) the part that each face lies on; turned by a random rotation of the seed."""
    solid = manifold3d.Manifold()
    for part in parts:
        for mesh in part:
            solid += manifold3d.Manifold(
                manifold3d.Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
            )
    out = solid.to_mesh()
    mesh = trimesh.Trimesh(out.vert_properties[:, :3], out.tri_verts, process=False)
    centres = mesh.triangles_center
    apart = [np.min([_distance(each, centres) for each in part], axis=0) for part in parts]
    if seed is not None:
        turn = np.eye(4)
        turn[:3, :3] = Rotation.random(random_state=seed).as_matrix()
        mesh.apply_transform(turn)
    return mesh, np.argmin(apart, axis=0)


def _distance(mesh: Any, points: Any) -> Any:
    """To the triangle of the nearest of many samples."""
    samples, owner = trimesh.sample.sample_surface_even(mesh, 20_000, seed=0)
    nearest = owner[cKDTree(samples).query(points)[1]]
    there = trimesh.triangles.closest_point(mesh.triangles[nearest], points)
    return np.linalg.norm(there - points, axis=1)
