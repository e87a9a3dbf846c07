"""Reads GLB files without the code that wrote them: the JSON chunk by hand, meshes by trimesh, loops in a cut."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh


def json_chunk(path: Path) -> dict[str, Any]:
    """The JSON of a binary glTF file, its header checked."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data, 0)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document: dict[str, Any] = json.loads(data[20 : 20 + size])
    return document


def load(path: Path) -> dict[str, Any]:
    """Geometry name -> trimesh."""
    scene: Any = trimesh.load_scene(path) if hasattr(trimesh, "load_scene") else trimesh.load(path, force="scene")
    return dict(scene.geometry)


def whole(path: Path) -> Any:
    """All of a file's geometry as one trimesh, vertices as they are."""
    meshes = list(load(path).values())
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return trimesh.Trimesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
        process=False,
    )


def loops_at(path: Path, share_of_height: float) -> int:
    """How many closed loops a horizontal plane cuts out of a file's geometry.

    Asserts that every loop is closed: each end of a cut segment meets exactly one other.
    """
    mesh = whole(path)
    low, high = mesh.bounds[:, 1]
    origin = [0, low + share_of_height * (high - low), 0]
    segments = trimesh.intersections.mesh_plane(mesh, [0, 1, 0], origin)
    ends, where = np.unique(np.round(segments.reshape(-1, 3), 9), axis=0, return_inverse=True)
    pairs = where.reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    degree = np.bincount(pairs.ravel(), minlength=len(ends))
    assert set(degree[degree > 0]) == {2}, "the cut has open ends"
    parent = list(range(len(ends)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs.tolist():
        parent[root(a)] = root(b)
    return len({root(i) for i in pairs.ravel().tolist()})


def main_colours(path: Path) -> dict[str, tuple[int, ...]]:
    """Geometry name -> RGBA as trimesh reads the material (0..255, linear)."""
    return {name: tuple(int(c) for c in mesh.visual.material.main_color) for name, mesh in load(path).items()}
