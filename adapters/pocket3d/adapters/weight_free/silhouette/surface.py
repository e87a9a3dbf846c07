"""Builds the closed surface over a mask: a front and a mirrored back that share the vertices of the outline.

The outline is the 0.5 level of a slightly smoothed mask, traced by marching squares, so that edges are not stairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from ...mesh.triangles import FloatArray, IntArray
from .inflate import crossing

#: Empty pixels around the mask, so that the surface closes at the image's border too.
PADDING = 3
#: Spread of the smoothing, in pixels.
_SIGMA = 0.8
_SUPERSAMPLING = 4


class Surface(NamedTuple):
    """A closed triangle mesh in pixels: x right, y down, z towards the viewer."""

    #: (V, 3)
    vertices: FloatArray
    #: (F, 3); seen from outside counter-clockwise once y points up.
    faces: IntArray
    #: How many of the faces, the first ones, look to the viewer.
    front_faces: int


def smooth_field(mask: npt.NDArray[np.bool_]) -> FloatArray:
    """The mask padded by `PADDING` and smoothed: (H + 2 P, W + 2 P) in 0..1, one connected region above 0.5."""
    padded = np.pad(mask, PADDING).astype(float)
    field: FloatArray = ndimage.gaussian_filter(padded, _SIGMA, mode="constant")
    labels, count = ndimage.label(field > 0.5)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        field[(labels > 0) & (labels != sizes.argmax())] = 0.5
    return field


def close_surface(field: FloatArray, height: FloatArray) -> Surface:
    """Front at +height and back at -height over the region where `field` > 0.5, joined along its 0.5 level.

    Coordinates are those of the unpadded mask (pixel centres at whole numbers).
    """
    triangles, points, inner = _triangulate(field)
    flat = np.zeros(len(points))
    flat[:inner] = height[field > 0.5]
    front = np.column_stack([points - PADDING, flat])
    # The outline's vertices (from `inner` on) belong to both sides; the others get a twin behind.
    back = front[:inner] * [1.0, 1.0, -1.0]
    twin = np.concatenate([len(front) + np.arange(inner), np.arange(inner, len(front))])
    faces = np.concatenate([triangles, twin[triangles][:, ::-1]])
    return Surface(np.concatenate([front, back]), faces, len(triangles))


def _triangulate(field: FloatArray) -> tuple[IntArray, FloatArray, int]:
    """Triangles, (x, y) points, and how many of the points, the first ones, are pixels of the region."""
    inside = field > 0.5
    rows, columns = np.nonzero(inside)
    points = [np.column_stack([columns, rows]).astype(float)]
    corner_id = np.full(field.shape, -1, dtype=np.int64)
    corner_id[inside] = np.arange(len(rows))
    total: int = len(rows)
    # Crossings on the edges to the right neighbour and to the one below.
    edge_id = []
    for axis in (1, 0):
        low = np.s_[:, :-1] if axis == 1 else np.s_[:-1]
        high = np.s_[:, 1:] if axis == 1 else np.s_[1:]
        crossed = inside[low] != inside[high]
        r, c = np.nonzero(crossed)
        first = inside[low][crossed]
        a, b = field[low][crossed], field[high][crossed]
        part = crossing(np.where(first, a, b), np.where(first, b, a))
        along = np.where(first, part, 1 - part)
        points.append(np.column_stack([c + along, r]) if axis == 1 else np.column_stack([c, r + along]))
        ids = np.full(crossed.shape, -1, dtype=np.int64)
        ids[crossed] = total + np.arange(len(r))
        total += len(r)
        edge_id.append(ids)
    right, down = edge_id
    # Corners of each cell clockwise on the screen, and the crossing after each.
    corners = np.stack([corner_id[:-1, :-1], corner_id[:-1, 1:], corner_id[1:, 1:], corner_id[1:, :-1]], axis=-1)
    edges = np.stack([right[:-1], down[:, 1:], right[1:], down[:, :-1]], axis=-1)
    ring = np.stack([corners, edges], axis=-1).reshape(-1, 8)
    code = (ring[:, ::2] >= 0) @ np.array([1, 2, 4, 8])
    parity = (np.add.outer(np.arange(field.shape[0] - 1), np.arange(field.shape[1] - 1)) % 2).ravel()
    triangles = []
    for case in range(1, 16):
        for even in (0, 1):
            cells = ring[(code == case) & (parity == even)]
            triangles += [cells[:, list(places)] for places in _case_triangles(case, even)]
    # Clockwise with y down is clockwise for the viewer: turn them.
    return np.concatenate(triangles)[:, ::-1], np.concatenate(points), len(rows)


def _case_triangles(case: int, even: int) -> list[tuple[int, int, int]]:
    """Triangles of a cell as places in its ring (corner 0, crossing 0-1, corner 1, ...)."""
    if case in (5, 10):
        # Two opposite corners: kept apart, as the mask's 4-connectivity has it.
        first = 0 if case == 5 else 2
        return [(first, first + 1, (first - 1) % 8), ((first + 4) % 8, (first + 5) % 8, first + 3)]
    polygon = []
    for corner in range(4):
        here, there = bool(case >> corner & 1), bool(case >> (corner + 1) % 4 & 1)
        if here:
            polygon.append(2 * corner)
        if here != there:
            polygon.append(2 * corner + 1)
    # Neighbouring full cells are split along different diagonals: no direction is preferred.
    if case == 15 and even:
        polygon = polygon[1:] + polygon[:1]
    return [(polygon[0], polygon[i], polygon[i + 1]) for i in range(1, len(polygon) - 1)]


def silhouette(surface: Surface, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which pixel centres of an (H, W) image the front covers, by drawing its triangles."""
    scale = _SUPERSAMPLING
    canvas = Image.new("1", (shape[1] * scale, shape[0] * scale))
    draw = ImageDraw.Draw(canvas)
    corners = (surface.vertices[:, :2] + 0.5) * scale - 0.5
    for triangle in corners[surface.faces[: surface.front_faces]].reshape(-1, 6).tolist():
        draw.polygon(triangle, fill=1)
    covered = np.asarray(canvas).reshape(shape[0], scale, shape[1], scale)
    mostly: npt.NDArray[np.bool_] = covered.mean(axis=(1, 3)) >= 0.5
    return mostly


def intersection_over_union(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """In 0..1; 1 for two empty masks."""
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0
