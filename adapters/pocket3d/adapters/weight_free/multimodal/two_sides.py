"""Lays an inflated silhouette out as it was made: its front and its back, each seen straight on."""

from __future__ import annotations

import numpy as np

from ...mesh.triangles import FloatArray, IntArray
from ..unwrapping.layout import Layout

#: Free around each side, as a share of the square.
_GAP = 1 / 128


def front_and_back(vertices: FloatArray, faces: IntArray) -> Layout:
    """The layout of a closed surface, (V, 3) and (F, 3), whose first half of the faces looks along +Z and whose others
    look along -Z: the front above or to the left of the back.
    """
    front = len(faces) // 2
    side = np.arange(len(faces)) >= front
    keys, numbers = np.unique((2 * faces.astype(np.int64) + side[:, None]).reshape(-1), return_inverse=True)
    source, behind = keys // 2, keys % 2
    points = vertices[source, :2] * [1.0, -1.0]
    low, size = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-12)
    cell = np.array([1.0, 0.5]) if size[0] >= size[1] else np.array([0.5, 1.0])
    scale = float(((cell - 2 * _GAP) / size).min())
    uv = (points - low) * scale + _GAP + behind[:, None] * np.where(cell < 1, cell, 0.0)
    return Layout(source, numbers.reshape(-1, 3), uv)
