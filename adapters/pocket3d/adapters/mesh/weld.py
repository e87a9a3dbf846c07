"""Which vertices of a mesh are at one place: files repeat them where colours, normals or texture coordinates differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .triangles import IntArray

#: A tolerance for meshes whose parts were computed one by one.
NEARLY = 1e-6


def weld_vertices(points: npt.NDArray[Any], tolerance: float = 0.0, also: Any = None) -> tuple[IntArray, IntArray]:
    """Number the different places among points.

    Args:
        points: (N, D), finite, at least one.
        tolerance: share of the longest side of their bounding box. Points in one cell of a grid of that width are at
            one place; with 0 only equal ones are (0 and -0 being equal).
        also: (N, E) further values in which the points of one place have to be equal, such as rounded normals.

    Returns:
        (N,) the number of each point's place, in the order of the coordinates; (P,) the first point of each place.
    """
    keys = np.asarray(points)
    if tolerance > 0:
        low = keys.min(axis=0)
        extent = max(float(np.ptp(keys, axis=0).max()), 1e-30)
        keys = np.round((keys - low) / (extent * tolerance)).astype(np.int64)
    columns = [*keys.T, *(() if also is None else np.asarray(also).T)]
    return _by_hash(columns) or _by_order(columns)


def _by_order(columns: list[npt.NDArray[Any]]) -> tuple[IntArray, IntArray]:
    # The last key of lexsort counts first. Its order is stable, so the first of equal points comes first.
    order = np.lexsort(columns[::-1])
    differs = np.zeros(len(order) - 1, dtype=bool)
    for column in columns:
        along = column[order]
        differs |= along[1:] != along[:-1]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.concatenate([[0], np.cumsum(differs)])
    return place, order[np.concatenate([[True], differs])]


def _by_hash(columns: list[npt.NDArray[Any]]) -> tuple[IntArray, IntArray] | None:
    """The same, three times as fast for many points; None if two places have one hash."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        # Adding 0 makes 0 of -0.
        bits = np.ascontiguousarray(column.astype(np.float64) + 0.0).view(np.uint64)
        mixed = (mixed ^ bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    ordered = np.sort(mixed)
    if len(ordered) and not (ordered[1:] == ordered[:-1]).any():
        # All are different, as in most files.
        first = number = np.arange(len(mixed))
    else:
        _, first, number = np.unique(mixed, return_index=True, return_inverse=True)
        number = number.reshape(-1)
    if any((column != column[first][number]).any() for column in columns):
        return None
    # By hash the places come in no order.
    order = np.lexsort([column[first] for column in columns[::-1]])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[number], first[order]
