"""A mesh and its voxels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: TRELLIS asks for 64; the tests' tiny decoder has 8.
_GRID = 8
_POINTS = 40


class TriangleMesh:
    def __init__(self, vertices: Any = None, triangles: Any = None) -> None:
        self.vertices = np.zeros((0, 3)) if vertices is None else vertices
        self.triangles = np.zeros((0, 3), dtype=np.int32) if triangles is None else triangles


class Voxel(NamedTuple):
    grid_index: Any


class VoxelGrid:
    def __init__(self, cells: Any) -> None:
        self._cells = cells

    @staticmethod
    def create_from_triangle_mesh_within_bounds(
        mesh: TriangleMesh, voxel_size: float, min_bound: Any, max_bound: Any
    ) -> VoxelGrid:
        assert voxel_size == 1 / 64
        low, high = np.asarray(min_bound, dtype=float), np.asarray(max_bound, dtype=float)
        weight = np.random.default_rng(0).dirichlet((1.0, 1.0, 1.0), _POINTS)
        points = np.einsum("pc,fcx->fpx", weight, mesh.vertices[mesh.triangles]).reshape(-1, 3)
        cells = np.floor((points - low) / (high - low) * _GRID).astype(np.int64)
        return VoxelGrid(np.unique(np.clip(cells, 0, _GRID - 1), axis=0))

    def get_voxels(self) -> list[Voxel]:
        return [Voxel(cell) for cell in self._cells]
