"""Whether triangles close, and into how many pieces they fall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .triangles import IntArray
from .weld import first_equal

#: What a use of an edge counts for: from the lower vertex to the higher one, and back.
_UP, _DOWN = np.int8(1), np.int8(16)


def closed_and_bodies(parts: Sequence[tuple[Any, IntArray]]) -> tuple[bool, int]:
    """Whether surfaces are closed (see `is_watertight`), and how many connected pieces they have.

    Args:
        parts: vertices (V, 3) and faces (F, 3) of each. Equal vertices are one, faces that fall together are none.

    Returns:
        Of each part by itself or, where one is not closed, of all together: they may be pieces of one skin.
    """
    found = [_of_one(vertices, faces) for vertices, faces in parts]
    if len(parts) == 1 or all(closed for closed, _ in found):
        return all(closed for closed, _ in found), sum(bodies for _, bodies in found)
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts[:-1])])
    return _of_one(
        np.concatenate([vertices for vertices, _ in parts]),
        np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=True)]),
    )


def is_watertight(faces: IntArray) -> bool:
    """True if every edge is used once in each direction: closed, with one consistent inside.

    Faces that fall together to an edge or a point open it.
    """
    return len(faces) > 0 and _closes(_edges(int(faces.max()) + 1, faces), len(faces))


def _of_one(vertices: Any, faces: IntArray) -> tuple[bool, int]:
    from scipy.sparse.csgraph import connected_components

    stands = first_equal(list(np.asarray(vertices).T))
    if (stands != np.arange(len(stands))).any():
        faces = stands[faces]
    a, b, c = faces.T
    whole = (a != b) & (b != c) & (c != a)
    if not whole.all():
        faces = faces[whole]
    if not len(faces):
        return False, 0
    edges = _edges(len(vertices), faces)
    labels = connected_components(edges, directed=False)[1]
    # Without the vertices that no face uses.
    seen = np.zeros(len(labels), dtype=bool)
    seen[labels[faces[:, 0]]] = True
    return _closes(edges, len(faces)), int(seen.sum())


def _edges(count: int, faces: IntArray) -> Any:
    """(count, count) sparse: for the lower and the higher vertex of an edge the sum of `_UP` for each use that runs up
    and `_DOWN` for each that runs down, modulo 256.
    """
    from scipy.sparse import coo_array

    corners = faces.T.astype(np.int32, order="C")
    low, high = np.empty_like(corners), np.empty_like(corners)
    up = np.empty(corners.shape, dtype=bool)
    for number, (start, end) in enumerate(zip(corners, corners[[1, 2, 0]], strict=True)):
        np.minimum(start, end, out=low[number])
        np.maximum(start, end, out=high[number])
        np.less(start, end, out=up[number])
    uses = np.where(up.reshape(-1), _UP, _DOWN)
    # It sorts rows by counting, which is several times as fast as sorting numbered edges.
    return coo_array((uses, (low.reshape(-1), high.reshape(-1))), shape=(count, count)).tocsr()


def _closes(edges: Any, faces: int) -> bool:
    # No single use sums up to this, so each edge has two or more; by their number all have two.
    return bool(2 * edges.nnz == 3 * faces and (edges.data == _UP + _DOWN).all())
