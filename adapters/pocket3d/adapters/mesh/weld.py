"""Which vertices of a mesh are at one place: files repeat them where colours, normals or texture coordinates differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .triangles import IntArray

#: A tolerance for meshes whose parts were computed one by one.
NEARLY = 1e-6
#: Of a table that is half full; each leaves about a fifth of the points. What is left then is put in order.
_ROUNDS = 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Columns = list[npt.NDArray[Any]]


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
    stands = first_equal(columns)
    first = np.flatnonzero(stands == np.arange(len(stands)))
    # The last key of lexsort counts first.
    first = first[np.lexsort([column[first] for column in columns[::-1]])]
    number = np.empty(len(stands), dtype=np.int64)
    number[first] = np.arange(len(first))
    return number[stands], first


def first_equal(columns: Columns) -> npt.NDArray[np.int64]:
    """(N,) for each row of a table, given by its columns, the first row that equals it; 0 and -0 are equal.

    Rows are put into a table by their hash, and those that find another one there are tried again.
    """
    left = np.arange(len(columns[0]))
    stands: npt.NDArray[np.int64] = left.copy()
    mixed = _hashes(columns)
    for _ in range(_ROUNDS):
        if not len(left):
            return stands
        bits = (2 * len(left)).bit_length()
        slot = (mixed >> np.uint64(64 - bits)).view(np.int64)
        table = np.empty(1 << bits, dtype=np.int32)
        # Backwards, so that the first one stays.
        table[slot[::-1]] = np.arange(len(left) - 1, -1, -1, dtype=np.int32)
        found = table[slot]
        beaten = np.flatnonzero(found != np.arange(len(left), dtype=np.int32))
        rows, winners = left[beaten], left[found[beaten]]
        equal = np.ones(len(rows), dtype=bool)
        for column in columns:
            equal &= column[rows] == column[winners]
        stands[rows[equal]] = winners[equal]
        left = rows[~equal]
        mixed = mixed[beaten[~equal]] * _MULTIPLIER
        mixed ^= mixed >> np.uint64(31)
    if len(left):
        stands[left] = left[_first_by_order([column[left] for column in columns])]
    return stands


def _hashes(columns: Columns) -> npt.NDArray[np.uint64]:
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        # Adding 0 makes 0 of -0.
        mixed ^= (column.astype(np.float64) + 0.0).view(np.uint64)
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MULTIPLIER
        mixed ^= mixed >> np.uint64(32)
    return mixed


def _first_by_order(columns: Columns) -> npt.NDArray[np.int64]:
    # The order of lexsort is stable, so the first of equal rows comes first.
    order = np.lexsort(columns[::-1])
    differs = np.zeros(len(order) - 1, dtype=bool)
    for column in columns:
        along = column[order]
        differs |= along[1:] != along[:-1]
    begins = np.concatenate([[True], differs])
    stands = np.empty(len(order), dtype=np.int64)
    stands[order] = order[begins][np.cumsum(begins) - 1]
    return stands
