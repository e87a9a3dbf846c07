"""Which vertices of a mesh are at one place: files repeat them where colours, normals or texture coordinates differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Positions are one if they fall into one cell of a grid of this share of the longest side.
_SAME = 1e-6


def places(points: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.integer[Any]]]:
    """(N,) number of each point's place, and (P,) one point of each place. Points are (N, 3), finite, at least one."""
    low = points.min(axis=0)
    extent = max(float(np.ptp(points, axis=0).max()), 1e-30)
    keys = np.round((points - low) / (extent * _SAME)).astype(np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return inverse.reshape(-1), first
