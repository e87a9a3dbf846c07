"""Meshes that mesh tools are tried with, sound and not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh


def part(name: str, mesh: Any, colour: tuple[float, float, float] = (1.0, 1.0, 1.0), **more: Any) -> MeshPart:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    return MeshPart(name, vertices, faces, vertex_normals(vertices, faces), Material(name, colour), **more)


def ball(subdivisions: int = 3, radius: float = 1.0) -> Any:
    return trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)


def write_painted_sheet(path: Path, cells: int = 24) -> Path:
    """A bent sheet of `cells` x `cells` squares as one chart, its left half green, its right half white."""
    steps = np.linspace(0, 1, cells + 1)
    u, v = (each.reshape(-1) for each in np.meshgrid(steps, steps))
    vertices = np.stack([2 * u, 2 * v, 0.3 * np.sin(3 * u)], axis=1)
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1)
    right, up = corner + 1, corner + cells + 1
    faces = np.concatenate([np.stack([corner, right, up + 1], axis=1), np.stack([corner, up + 1, up], axis=1)])
    texture = np.full((64, 64, 3), 255, dtype=np.uint8)
    texture[:, :32] = (0, 128, 0)
    uv = np.stack([0.02 + 0.96 * u, 0.98 - 0.96 * v], axis=1)
    sheet = trimesh.Trimesh(vertices, faces, process=False)
    write_mesh([part("sheet", sheet, uv=uv, texture=texture)], path)
    return path


def write_two_balls(path: Path) -> Path:
    """A red ball, and a smaller blue one beside it."""
    red, blue = ball(), ball(radius=0.5)
    blue.apply_translation([3, 0, 0])
    write_mesh([part("red", red, (1.0, 0.0, 0.0)), part("blue", blue, (0.0, 0.0, 1.0))], path)
    return path


def unsound(name: str) -> Any:
    """What strangers send: a `trimesh.Trimesh` by what is wrong with it."""
    sphere = ball()
    if name == "no area":
        return _mesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]])
    if name == "needle":
        return _mesh([[0, 0, 0], [1, 0, 0], [0.5, 1e-9, 0]], [[0, 1, 2]])
    if name == "one triangle":
        return _mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    if name == "faces twice":
        faces = np.concatenate([sphere.faces, sphere.faces[:10], sphere.faces[5:9, ::-1]])
        return _mesh(sphere.vertices, faces)
    if name == "three faces at an edge":
        vertices = np.concatenate([sphere.vertices, [[0, 0, 1.5]]])
        one, other = sphere.edges_unique[0]
        return _mesh(vertices, np.concatenate([sphere.faces, [[one, other, len(sphere.vertices)]]]))
    if name == "loose triangles":
        return _mesh(np.random.default_rng(0).normal(size=(150, 3)), np.arange(150).reshape(-1, 3))
    if name == "tiny":
        return _mesh(sphere.vertices * 1e-9, sphere.faces)
    if name == "giant":
        return _mesh(sphere.vertices * 1e12, sphere.faces)
    if name == "far away":
        return _mesh(sphere.vertices + np.array([1e6, 0, 0]), sphere.faces)
    raise KeyError(name)


SOUND_ENOUGH = (
    "one triangle",
    "faces twice",
    "three faces at an edge",
    "loose triangles",
    "tiny",
    "giant",
    "far away",
)


def _mesh(vertices: Any, faces: Any) -> Any:
    return trimesh.Trimesh(vertices, faces, process=False)
