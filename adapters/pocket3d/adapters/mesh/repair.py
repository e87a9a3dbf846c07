"""One closed manifold surface from a mesh of several open or overlapping bodies.

Inside and outside are voted on by rays along the three axes (Nooruddin and Turk, "Simplification and Repair of
Polygonal Models Using Volumetric Techniques", IEEE TVCG 2003), body by body, so that bodies may overlap and face
inwards. What is thinner than the grid is thickened to it. The solid's nodes are made well-composed (Latecki, Eckhardt
and Rosenfeld, "Well-Composed Sets", 1995; an addition for each critical configuration), for which the surface net
(Gibson, "Constrained Elastic Surface Nets", 1998) is a manifold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from .triangles import BoolArray, FloatArray, IntArray, areas, body_labels, directed_edges, surface_samples
from .weld import NEARLY, weld_vertices

METHOD = "ray-voted voxel solid, surface net"
SOURCES = (
    "Nooruddin and Turk 2003 (volumetric repair)",
    "Latecki, Eckhardt and Rosenfeld 1995 (well-composed sets)",
    "Gibson 1998 (surface nets)",
)
RESOLUTION = (16, 256)
#: Half thickness, in cells, of what is thinner than the grid: any sheet then is connected through the nodes' faces.
_SHELL = 0.9
#: Empty cells around the mesh.
_MARGIN = 4
#: Bodies joined across gaps of at most twice so many cells.
_BRIDGE = 2
#: Samples per cell along an edge.
_SAMPLES = 2.5
#: Of a body that encloses anything.
LEAST_FACES = 4
#: Rays are cast body by body, in about half a millisecond each.
MOST_BODIES = 20_000
#: Cells by which rays are moved aside, and more.
_NEAR_NODE = 1e-4


class NoSolid(ValueError):
    """The mesh bounds nothing that could be made a solid."""


class _Grid(NamedTuple):
    origin: FloatArray
    #: Edge of a cell, in the mesh's units.
    cell: float
    shape: tuple[int, int, int]


def fuse(mesh: Any, resolution: int = 96, between: Callable[[], None] = lambda: None) -> tuple[Any, dict[str, Any]]:
    """Fuse a `trimesh.Trimesh` of any bodies into closed manifold surfaces, outward normals, cavities filled.

    Args:
        mesh: what to fuse; is not changed. Open bodies are closed where rays along at least two axes agree.
        resolution: cells along the longest side, 16 to 256. The surface deviates by up to about a cell.
        between: called between steps, to raise if the work is no longer wanted.

    Returns:
        A `trimesh.Trimesh` and what was found and done: method, sources, resolution, cell_size, bodies_before,
        open_bodies_before, bodies_after, thickened_share (of the area, 0..1), bridged_cells, vertices, faces,
        watertight.

    Raises:
        NoSolid: no face with an area, coordinates that are not finite, or more than `MOST_BODIES`.
        ValueError: a resolution outside the range.
    """
    import trimesh

    if not RESOLUTION[0] <= resolution <= RESOLUTION[1]:
        raise ValueError(f"resolution {resolution}: want {RESOLUTION[0]} to {RESOLUTION[1]} cells")
    vertices, faces, body = _clean(mesh)
    counts = _body_facts(faces, body)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    cell = float((high - low).max()) / resolution
    shape = tuple(int(n) for n in np.ceil((high - low) / cell).astype(int) + 1 + 2 * _MARGIN)
    # Half a cell off, so that axis-aligned faces, which are common, do not run through nodes.
    centre = (low + high) / 2
    grid = _Grid(centre - (np.array(shape) - 1) / 2 * cell * (1 + 1e-6), cell, (shape[0], shape[1], shape[2]))
    between()
    inside = _vote(vertices, faces, body, grid)
    between()
    field, thickened = _signed_distance(vertices, faces, inside, grid)
    between()
    bridged = _bridge(field)
    solid = _closed_solid(field < 0)
    field = np.where(solid, np.minimum(field, -0.05), np.maximum(field, 0.05))
    between()
    points, triangles = surface_net(field)
    fused = trimesh.Trimesh(grid.origin + points * cell, triangles, process=False)
    facts = {
        "method": METHOD,
        "sources": list(SOURCES),
        "resolution": resolution,
        "cell_size": cell,
        **counts,
        "bodies_after": int(fused.body_count),
        "thickened_share": round(thickened, 4),
        "bridged_cells": bridged,
        "vertices": len(fused.vertices),
        "faces": len(fused.faces),
        "watertight": bool(fused.is_watertight),
    }
    return fused, facts


def refuse_loose(mesh: Any) -> IntArray:
    """Refuse a `trimesh.Trimesh` whose area lies mostly in bodies of too few faces to enclose anything.

    Returns:
        (F,) the body of each face, vertices being merged by place.

    Raises:
        NoSolid: it does; the message counts them.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    place, first = weld_vertices(vertices[faces.reshape(-1)], NEARLY)
    welded = place.reshape(-1, 3)
    body = body_labels(len(first), welded)
    loose = np.bincount(body)[body] < LEAST_FACES
    area = areas(vertices[faces])
    if area[loose].sum() > area.sum() / 2:
        raise NoSolid(
            f"{int(loose.sum())} loose triangles that hang together with nothing and enclose nothing; if they should,"
            " merge the vertices by distance first"
        )
    return body


def _clean(mesh: Any) -> tuple[FloatArray, IntArray, IntArray]:
    """Vertices merged by place, faces with an area, and the body of each face, each wound consistently."""
    import trimesh

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces: IntArray = np.asarray(mesh.faces, dtype=np.int64)
    if len(faces) == 0:
        raise NoSolid("there are no faces")
    if not np.isfinite(vertices).all():
        raise NoSolid("coordinates are not finite numbers")
    used = vertices[faces.reshape(-1)]
    extent = float(np.ptp(used, axis=0).max())
    if not extent > 0:
        raise NoSolid("all points are one")
    place, first = weld_vertices(used, NEARLY)
    vertices, faces = used[first], place.reshape(-1, 3)
    corners = vertices[faces]
    area = areas(corners)
    kept = area > (extent * 1e-7) ** 2
    if not kept.any():
        raise NoSolid("no face has an area")
    faces = faces[kept]
    merged = trimesh.Trimesh(vertices, faces, process=False)
    if not merged.is_winding_consistent:
        trimesh.repair.fix_winding(merged)  # type: ignore[no-untyped-call]
    faces = np.asarray(merged.faces)
    return vertices, faces, body_labels(len(vertices), faces)


def _body_facts(faces: IntArray, body: IntArray) -> dict[str, int]:
    edges = np.sort(directed_edges(faces), axis=1)
    _, inverse, counts = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    single = counts[inverse.reshape(-1)] % 2 == 1
    return {"bodies_before": int(body.max()) + 1, "open_bodies_before": len(np.unique(np.tile(body, 3)[single]))}


def _vote(vertices: FloatArray, faces: IntArray, body: IntArray, grid: _Grid) -> BoolArray:
    """Which nodes lie inside any body, by the majority of its axes."""
    inside = np.zeros(grid.shape, dtype=bool)
    local = (vertices - grid.origin) / grid.cell
    for chosen in _voting_bodies(local[faces], body):
        corners = local[faces[chosen]]
        low = np.maximum(np.floor(corners.min(axis=(0, 1))).astype(int), 0)
        high = np.minimum(np.ceil(corners.max(axis=(0, 1))).astype(int) + 1, grid.shape)
        votes = np.zeros(tuple(high - low), dtype=np.int8)
        for axis in range(3):
            votes += ray_votes(corners - low, axis, votes.shape)
        inside[low[0] : high[0], low[1] : high[1], low[2] : high[2]] |= votes > 0
    return inside


def _voting_bodies(corners: FloatArray, body: IntArray) -> list[IntArray]:
    """The faces of each body that may enclose a node, from corners (F, 3, 3) in cells: it has enough faces, and a node
    lies in its box. The others, debris and loose triangles, are voted on by nobody.

    Raises:
        NoSolid: more than `MOST_BODIES`.
    """
    order = np.argsort(body, kind="stable")
    starts = np.flatnonzero(np.diff(body[order], prepend=-1))
    low = np.minimum.reduceat(corners.min(axis=1)[order], starts)
    high = np.maximum.reduceat(corners.max(axis=1)[order], starts)
    holds = (np.ceil(low - _NEAR_NODE) <= np.floor(high + _NEAR_NODE)).all(axis=1)
    holds &= np.diff(starts, append=len(order)) >= LEAST_FACES
    count = int(holds.sum())
    if count > MOST_BODIES:
        raise NoSolid(
            f"{count:,} separate bodies, at most {MOST_BODIES:,} are fused, one by one; if they should hang together,"
            " merge the vertices by distance first, else leave small ones out or work on a part of the mesh"
        )
    return [chosen for chosen, kept in zip(np.split(order, starts[1:]), holds, strict=True) if kept]


def ray_votes(corners: FloatArray, axis: int, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """One vote for each node of a grid from the ray through it along an axis: 1 inside, -1 outside, 0 where the ray
    leaks. `corners` are (F, 3, 3) in cells of the grid.
    """
    u, v = (axis + 1) % 3, (axis + 2) % 3
    columns, depth, turn = _crossings(corners[:, :, u], corners[:, :, v], corners[:, :, axis], (shape[u], shape[v]))
    length = shape[axis]
    change = np.zeros((shape[u] * shape[v], length + 1), dtype=np.int16)
    after = np.clip(np.ceil(depth).astype(int), 0, length)
    np.add.at(change, (columns, after), turn)
    winding = np.cumsum(change, axis=1)
    vote = np.where(winding[:, :length] != 0, 1, -1).astype(np.int8)
    vote[winding[:, length] != 0] = 0
    cube = vote.reshape(shape[u], shape[v], length)
    return np.moveaxis(cube, (0, 1, 2), (u, v, axis))


def _crossings(
    u: FloatArray, v: FloatArray, w: FloatArray, shape: tuple[int, int]
) -> tuple[IntArray, FloatArray, npt.NDArray[np.int16]]:
    """Where triangles meet the lines through whole numbers (u, v): column's number, w there, +1 or -1 by its side."""
    # Moved by an irrational bit, no line runs through an edge of a mesh made on the grid.
    u, v = u + 1.234567e-5, v + 2.345678e-5
    low_u, low_v = np.ceil(u.min(axis=1)).astype(int), np.ceil(v.min(axis=1)).astype(int)
    wide, tall = np.floor(u.max(axis=1)).astype(int) - low_u + 1, np.floor(v.max(axis=1)).astype(int) - low_v + 1
    pairs = np.maximum(wide, 0) * np.maximum(tall, 0)
    columns, depths, turns = [], [], []
    # In pieces: a large slanted triangle's box alone may hold thousands of lines.
    ends = np.searchsorted(np.cumsum(pairs), np.arange(500_000, int(pairs.sum()) + 500_000, 500_000), side="left") + 1
    for chosen in np.split(np.arange(len(u)), np.unique(np.minimum(ends, len(u)))):
        count = pairs[chosen]
        face = np.repeat(chosen, count)
        number = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
        x, y = low_u[face] + number % np.maximum(wide[face], 1), low_v[face] + number // np.maximum(wide[face], 1)
        ax, bx, cx = (u[face, k] - x for k in range(3))
        ay, by, cy = (v[face, k] - y for k in range(3))
        first, second, third = bx * cy - cx * by, cx * ay - ax * cy, ax * by - bx * ay
        total = first + second + third
        hit = (total != 0) & (
            ((first >= 0) & (second >= 0) & (third >= 0)) | ((first <= 0) & (second <= 0) & (third <= 0))
        )
        hit &= (x >= 0) & (y >= 0) & (x < shape[0]) & (y < shape[1])
        first, second, third, total, face = (each[hit] for each in (first, second, third, total, face))
        depths.append((first * w[face, 0] + second * w[face, 1] + third * w[face, 2]) / total)
        turns.append(np.sign(total).astype(np.int16))
        columns.append(x[hit] * shape[1] + y[hit])
    return np.concatenate(columns), np.concatenate(depths), np.concatenate(turns)


def _signed_distance(vertices: FloatArray, faces: IntArray, inside: BoolArray, grid: _Grid) -> tuple[FloatArray, float]:
    """Distance of each node in cells, negative inside, exact within two cells of the surface; thickened share."""
    points, owner = surface_samples(vertices, faces, grid.cell / _SAMPLES)
    local = (points - grid.origin) / grid.cell
    triangles = ((vertices[faces] - grid.origin) / grid.cell)[owner]
    field = np.where(inside, -3.0, 3.0)
    near, distance = _to_nearest(grid.shape, local, triangles)
    field[near] = np.where(inside[near], -distance, distance)
    # A sample is thin if no node that lies deep inside is near.
    core = field <= -_SHELL
    thin = np.ones(len(local), dtype=bool)
    if core.any():
        reach = ndimage.distance_transform_edt(~core)
        thin = reach[tuple(np.rint(local).astype(int).T)] > 2.2
    if thin.any():
        near, distance = _to_nearest(grid.shape, local[thin], triangles[thin])
        field[near] = np.minimum(field[near], distance - _SHELL)
    return field, float(thin.mean())


def _to_nearest(shape: tuple[int, ...], samples: FloatArray, triangles: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Which nodes are near any sample, and the distance of each to the triangle of its nearest one."""
    from trimesh.triangles import closest_point

    near = np.zeros(shape, dtype=bool)
    near[tuple(np.floor(samples).astype(int).T)] = True
    near = ndimage.binary_dilation(near, np.ones((3, 3, 3)), iterations=2)
    nodes = np.argwhere(near)
    nearest = cKDTree(samples).query(nodes)[1]
    there = closest_point(triangles[nearest], nodes.astype(float))  # type: ignore[no-untyped-call]
    return near, np.linalg.norm(there - nodes, axis=1)


def _bridge(field: FloatArray) -> int:
    """Close gaps between bodies in place, by growing and shrinking; by how many cells, 0 if there was one body."""
    solid = field < 0
    pieces = ndimage.label(solid)[1]
    best = 0
    for cells in range(1, _BRIDGE + 1):
        if pieces <= 1:
            break
        ball = ndimage.distance_transform_edt(~solid) <= cells
        closed = (ndimage.distance_transform_edt(ball) > cells) | solid
        left = ndimage.label(closed)[1]
        if left < pieces:
            field[closed & ~solid] = -0.3
            solid, pieces, best = closed, left, cells
    return best


def _closed_solid(solid: BoolArray) -> BoolArray:
    """The nodes, well-composed and without cavities. Both only add: what is added for the one may enclose the other."""
    while True:
        filled = ndimage.binary_fill_holes(_well_composed(solid))
        if (filled == solid).all():
            return solid
        solid = filled


def _well_composed(solid: BoolArray) -> BoolArray:
    """Nodes added until no two touch by an edge or a corner alone, inside or outside."""
    solid = solid.copy()
    while True:
        added = np.zeros_like(solid)
        for axis in range(3):
            s, out = np.moveaxis(solid, axis, 0), np.moveaxis(added, axis, 0)
            a, b, c, d = s[:, :-1, :-1], s[:, 1:, :-1], s[:, :-1, 1:], s[:, 1:, 1:]
            main, cross = a & d & ~b & ~c, b & c & ~a & ~d
            out[:, 1:, :-1] |= main
            out[:, :-1, :-1] |= cross
        cube = {
            (i, j, k): solid[i : solid.shape[0] - 1 + i, j : solid.shape[1] - 1 + j, k : solid.shape[2] - 1 + k]
            for i in (0, 1)
            for j in (0, 1)
            for k in (0, 1)
        }
        count = np.sum([each.astype(np.int8) for each in cube.values()], axis=0)
        for corner in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
            other = (1 - corner[0], 1 - corner[1], 1 - corner[2])
            two = (count == 2) & cube[corner] & cube[other]
            hollow = (count == 6) & ~cube[corner] & ~cube[other]
            # Two corners of a cube are joined by a path of two more nodes; of two gaps one is enough.
            path = [(other[0], corner[1], corner[2]), (other[0], other[1], corner[2])]
            for place, where in [(path[0], two), (path[1], two), (corner, hollow)]:
                i, j, k = place
                added[i : added.shape[0] - 1 + i, j : added.shape[1] - 1 + j, k : added.shape[2] - 1 + k] |= where
        if not (added & ~solid).any():
            return solid
        solid |= added


def surface_net(field: FloatArray) -> tuple[FloatArray, IntArray]:
    """The zero level of a field on a grid: one vertex in each cell that it crosses, at the mean of its crossings.

    The field, (X, Y, Z), is negative inside, positive on the grid's border, nowhere 0. Returns (V, 3) in grid
    coordinates and (F, 3), counter-clockwise seen from outside; a manifold if the negative nodes are well-composed.
    """
    solid = field < 0
    shape = np.array(field.shape)
    cells = shape - 1
    place = np.zeros((int(cells.prod()), 3))
    weight = np.zeros(int(cells.prod()))
    quads = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        start = np.take(solid, range(shape[axis] - 1), axis)
        end = np.take(solid, range(1, shape[axis]), axis)
        node = np.argwhere(start != end)
        leaving = start[tuple(node.T)]
        ahead = node.copy()
        ahead[:, axis] += 1
        f0, f1 = field[tuple(node.T)], field[tuple(ahead.T)]
        point = node.astype(float)
        point[:, axis] += f0 / (f0 - f1)
        ring = []
        for du, dv in ((0, 0), (-1, 0), (-1, -1), (0, -1)):
            cell = node.copy()
            cell[:, u] += du
            cell[:, v] += dv
            number = (cell[:, 0] * cells[1] + cell[:, 1]) * cells[2] + cell[:, 2]
            np.add.at(place, number, point)
            np.add.at(weight, number, 1)
            ring.append(number)
        quad = np.stack(ring, axis=1)
        quad[~leaving] = quad[~leaving][:, ::-1]
        quads.append(quad)
    used = np.flatnonzero(weight)
    points = place[used] / weight[used, None]
    quad = np.searchsorted(used, np.concatenate(quads))
    # Along the shorter diagonal.
    shorter = np.linalg.norm(points[quad[:, 0]] - points[quad[:, 2]], axis=1) <= np.linalg.norm(
        points[quad[:, 1]] - points[quad[:, 3]], axis=1
    )
    first = np.where(shorter[:, None], quad[:, [0, 1, 2]], quad[:, [0, 1, 3]])
    second = np.where(shorter[:, None], quad[:, [0, 2, 3]], quad[:, [1, 2, 3]])
    return points, np.concatenate([first, second])
