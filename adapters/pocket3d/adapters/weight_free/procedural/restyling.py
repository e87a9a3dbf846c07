"""Rebuilds the parts of a scene of facets or of cubes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...mesh.triangles import FloatArray, IntArray, area_vectors, surface_samples, unit
from ...mesh.write import MeshPart, vertex_normals
from .solids import Kit

#: Cubes along the longest side of a thing.
VOXELS = 26
#: Side of a cube as a share of its cell, so that each shows.
_FILL = 0.97
#: Inset of a facet as a share of the smallest circle that fits into one: flat faces with one normal per vertex.
_INSET = 0.1


def faceted(part: MeshPart) -> MeshPart:
    """Each triangle flat, with strips too narrow to see between them, so that the part stays closed."""
    corners = part.vertices[part.faces]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    inset = _INSET * float((2 * area / sides.sum(axis=1)).min())
    points = [(float(x), float(y), float(z)) for x, y, z in part.vertices]
    solid = Kit().polyhedron(points, part.faces.tolist(), inset)
    return _of(part, solid.vertices.numpy(), solid.faces.numpy())


def voxelised(parts: Sequence[MeshPart]) -> list[MeshPart]:
    """The parts of one thing as cubes on one grid; where two meet the smaller part has the cube."""
    points = np.concatenate([part.vertices for part in parts])
    low = points.min(axis=0)
    step = float(np.ptp(points, axis=0).max()) / VOXELS
    owner: dict[tuple[int, int, int], int] = {}
    cells = [_cells((part.vertices - low) / step, part.faces) for part in parts]
    for number in sorted(range(len(parts)), key=lambda n: -len(cells[n])):
        owner.update(dict.fromkeys(map(tuple, cells[number].tolist()), number))
    shown: list[list[tuple[int, int, int]]] = [[] for _ in parts]
    for (x, y, z), number in owner.items():
        around = ((x + 1, y, z), (x - 1, y, z), (x, y + 1, z), (x, y - 1, z), (x, y, z + 1), (x, y, z - 1))
        if not all(cell in owner for cell in around):
            shown[number].append((x, y, z))
    side = step * _FILL
    cube = Kit().box(side, side, side)
    corners, faces = cube.vertices.numpy(), cube.faces.numpy()
    made = []
    for part, mine in zip(parts, shown, strict=True):
        if mine:
            where = low + (np.array(sorted(mine)) + np.array([0.5, 0.0, 0.5])) * step
            starts = np.arange(len(mine)) * len(corners)
            made.append(
                _of(part, (where[:, None] + corners).reshape(-1, 3), (starts[:, None, None] + faces).reshape(-1, 3))
            )
    return made


def _of(part: MeshPart, vertices: FloatArray, faces: IntArray) -> MeshPart:
    return part._replace(vertices=vertices, faces=faces, normals=vertex_normals(vertices, faces))


def _cells(vertices: FloatArray, faces: IntArray) -> IntArray:
    """(N, 3) cells of side 1 whose middle a closed surface holds; of a thin one also those that its middle lies in."""
    filled = _filled(vertices, faces)
    outwards = area_vectors(vertices[faces])
    area = float(np.linalg.norm(outwards, axis=1).sum()) / 2
    volume = float((vertices[faces[:, 0]] * outwards).sum()) / 6
    if 2 * abs(volume) >= area:
        return filled
    # A pane's two sides meet half way, and a rod's somewhere within it.
    points, owner = surface_samples(vertices, faces, 0.5)
    thin = np.floor(points - unit(outwards)[owner] * (volume / max(area, 1e-300)) - 1e-9).astype(np.int64)
    return np.unique(np.concatenate([filled, thin]), axis=0)


def _filled(vertices: FloatArray, faces: IntArray) -> IntArray:
    low, high = np.floor(vertices.min(axis=0)).astype(int), np.floor(vertices.max(axis=0)).astype(int)
    # A little beside the middle, so that no vertex is met exactly.
    x, z = (np.arange(low[a], high[a] + 1) + 0.5 + nudge for a, nudge in ((0, 1.3e-4), (2, 2.1e-4)))
    columns = np.stack(np.meshgrid(x, z, indexing="ij"), -1).reshape(-1, 2)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 2] - a[:, 2]) - (b[:, 2] - a[:, 2]) * (c[:, 0] - a[:, 0])
    there = np.abs(turn) > 1e-12
    a, b, c, turn = a[there], b[there], c[there], turn[there]
    dx, dz = columns[:, :1] - a[:, 0], columns[:, 1:] - a[:, 2]
    u = (dx * (c[:, 2] - a[:, 2]) - dz * (c[:, 0] - a[:, 0])) / turn
    v = (dz * (b[:, 0] - a[:, 0]) - dx * (b[:, 2] - a[:, 2])) / turn
    hit = (u >= 0) & (v >= 0) & (u + v <= 1)
    height = a[:, 1] + u * (b[:, 1] - a[:, 1]) + v * (c[:, 1] - a[:, 1])
    inside = []
    for level in range(int(low[1]), int(high[1]) + 1):
        # Surfaces above that are left upwards, less those that are entered.
        winding = (np.where(hit & (height > level + 0.5), -np.sign(turn), 0)).sum(axis=1)
        found = columns[np.abs(winding) > 0.5]
        inside.append(np.column_stack([np.floor(found[:, 0]), np.full(len(found), level), np.floor(found[:, 1])]))
    filled: IntArray = np.concatenate(inside).astype(np.int64)
    return filled
