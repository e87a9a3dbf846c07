"""Gives what is no part, specks and floors of recesses, to its neighbours."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from ...mesh.triangles import IntArray
from .closed_surface import Surface

#: A part that looks one way by this share of its area is the floor of a recess, no body.
ONE_WAY = 0.85
#: A part has at least this share of the area.
LEAST_SHARE = 0.002


def tidied(surface: Surface, labels: IntArray, rim: IntArray | None = None, within: IntArray | None = None) -> IntArray:
    """Specks, floors of recesses and the parts in `rim`, go to the neighbour with the longest common boundary.

    With `within`, (F,), they only go to neighbours that have the same value of it.
    """
    labels = np.unique(labels, return_inverse=True)[1]
    total = surface.areas.sum()
    pairs, lengths = surface.pairs, surface.lengths
    if within is not None:
        same = within[pairs[:, 0]] == within[pairs[:, 1]]
        pairs, lengths = pairs[same], lengths[same]
    given = np.zeros(int(labels.max()) + 1, dtype=bool)
    given[[] if rim is None else rim] = True
    while labels.max() > 0:
        count = int(labels.max()) + 1
        areas = np.bincount(labels, surface.areas, minlength=count)
        way = np.stack([np.bincount(labels, surface.vectors[:, k], minlength=count) for k in range(3)], axis=1)
        poor = given | (areas < LEAST_SHARE * total) | (np.linalg.norm(way, axis=1) > ONE_WAY * areas)
        a, b = labels[pairs].T
        cut = (a != b) & (poor[a] | poor[b])
        if not cut.any():
            break
        shared = coo_array((lengths[cut], (a[cut], b[cut])), shape=(count, count)).tocsr()
        shared = (shared + shared.T).tocsr()
        target = np.arange(count)
        moved = np.zeros(count, dtype=bool)
        for each in sorted(np.flatnonzero(poor), key=lambda part: areas[part]):
            row = shared[[each]].tocoo()
            best = int(row.col[int(np.argmax(row.data))]) if len(row.data) else each
            # What takes something in stays where it is for this round.
            if best != each and target[best] == best and not (target == each).sum() > 1:
                target[each] = best
                moved[each] = True
        if not moved.any():
            break
        kept, labels = np.unique(target[labels], return_inverse=True)
        given = given[kept]
    return _joined_specks(surface, labels)


def _joined_specks(surface: Surface, labels: IntArray) -> IntArray:
    """Specks that touch nothing, and shells that look inwards, go to the part whose face is nearest."""
    count = int(labels.max()) + 1
    areas = np.bincount(labels, surface.areas, minlength=count)
    a, b = labels[surface.pairs].T
    alone = np.ones(count, dtype=bool)
    alone[a[a != b]] = alone[b[a != b]] = False
    centres = surface.points[surface.faces].mean(axis=1)
    volumes = np.bincount(labels, (centres * surface.vectors).sum(axis=1), minlength=count)
    poor = alone & ((areas < LEAST_SHARE * surface.areas.sum()) | (volumes < 0))
    if not poor.any() or poor.all():
        return labels
    sound = np.flatnonzero(~poor[labels])
    tree = cKDTree(centres[sound])
    target = np.arange(count)
    # All at once: a scan may have very many specks.
    mine = np.flatnonzero(poor[labels])
    distance, nearest = tree.query(centres[mine])
    order = np.lexsort((distance, labels[mine]))
    specks, first = np.unique(labels[mine][order], return_index=True)
    target[specks] = labels[sound[nearest[order[first]]]]
    joined: IntArray = np.unique(target[labels], return_inverse=True)[1]
    return joined
