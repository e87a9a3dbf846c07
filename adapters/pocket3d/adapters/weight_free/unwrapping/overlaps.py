"""Finds faces that lie over one another in a plane, by drawing them on grids."""

from __future__ import annotations

import numpy as np

from ...mesh.triangles import BoolArray, FloatArray, IntArray

#: Grid points for each face, on average over its chart's boxes.
_PER_FACE = 24
_CHUNK = 1 << 20
#: A point counts as inside from this share of a triangle's height on: neighbours share edges.
_INSIDE = 1e-3


def covering_twice(flat: FloatArray, label: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of triangles (F, 3, 2) of one label (F,) that cover the same point of a grid over their chart.

    The grid is so fine that a triangle has some twenty points in its box; what is thinner is not seen.
    """
    low = flat.min(axis=1)
    size = flat.max(axis=1) - low
    count = int(label.max()) + 1
    room = np.bincount(label, weights=size[:, 0] * size[:, 1], minlength=count)
    faces = np.bincount(label, minlength=count)
    step = np.sqrt(np.maximum(room, 1e-300) / (np.maximum(faces, 1) * _PER_FACE))[label]
    start = np.ceil(low / step[:, None]).astype(np.int64)
    steps = np.maximum(np.floor((low + size) / step[:, None]).astype(np.int64) - start + 1, 0)
    number = steps[:, 0] * steps[:, 1]
    ends = np.cumsum(number)
    total = int(ends[-1]) if len(ends) else 0
    found_at, found_face = [], []
    for begin in range(0, total, _CHUNK):
        pair = np.arange(begin, min(begin + _CHUNK, total))
        face = np.searchsorted(ends, pair, side="right")
        rest = pair - (ends[face] - number[face])
        column = start[face, 0] + rest % steps[face, 0]
        row = start[face, 1] + rest // steps[face, 0]
        inside = _inside(flat[face], column * step[face], row * step[face])
        face, column, row = face[inside], column[inside], row[inside]
        found_at.append(np.stack([label[face], row, column], axis=1))
        found_face.append(face)
    if not found_at:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    at, face = np.concatenate(found_at), np.concatenate(found_face)
    order = np.lexsort((at[:, 2], at[:, 1], at[:, 0]))
    same = (at[order[1:]] == at[order[:-1]]).all(axis=1)
    return face[order[1:][same]], face[order[:-1][same]]


def _inside(corners: FloatArray, x: FloatArray, y: FloatArray) -> BoolArray:
    """(N,) whether points lie inside of triangles (N, 3, 2), further from their edges than rounding."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    of_b = (x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (y - a[:, 1])
    of_c = (b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (x - a[:, 0]) * (b[:, 1] - a[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.minimum(np.minimum(of_b, of_c), area - of_b - of_c) / area
    found: BoolArray = np.nan_to_num(least, nan=-1.0) > _INSIDE
    return found
