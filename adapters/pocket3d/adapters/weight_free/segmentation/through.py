"""A straight solid that goes through another shows as two ends whose sides lie in the same planes: one part."""

from __future__ import annotations

import numpy as np

from ...mesh.triangles import FloatArray, IntArray
from .closed_surface import FLAT_TURN, Surface, components

#: Planes are one by this cosine of their normals and this share of the extent; a solid goes on if so much of it does.
_SAME_PLANE, _SAME_OFFSET, _GOES_ON = 0.9998, 1e-3, 0.95


def joined_through(surface: Surface, labels: IntArray) -> IntArray:
    """(F,) labels 0..k-1 in which such two ends have one label."""
    facet = components(surface, np.abs(surface.turns) < FLAT_TURN)
    size = int(facet.max()) + 1
    vectors = np.stack([np.bincount(facet, surface.vectors[:, k], minlength=size) for k in range(3)], axis=1)
    area = np.maximum(np.bincount(facet, surface.areas, minlength=size), 1e-300)
    normals = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-300)[:, None]
    middle = surface.points.mean(axis=0)
    centres = surface.points[surface.faces].mean(axis=1) - middle
    weighted = np.stack([np.bincount(facet, surface.areas * centres[:, k], minlength=size) for k in range(3)], axis=1)
    offsets = (normals * weighted).sum(axis=1) / area
    extent = float(np.ptp(surface.points, axis=0).max())
    a, b = labels[surface.pairs].T
    cut = np.flatnonzero(a != b)
    # What stands on one other part only: its sides at the opening, and how long each is there.
    ends: dict[int, list[tuple[int, IntArray, FloatArray]]] = {}
    for part in range(int(labels.max()) + 1):
        mine = cut[(a[cut] == part) | (b[cut] == part)]
        own = (b[mine] == part).astype(int)
        hosts = labels[surface.pairs[mine, 1 - own]]
        if len(mine) and (hosts == hosts[0]).all():
            sides, which = np.unique(facet[surface.pairs[mine, own]], return_inverse=True)
            ends.setdefault(int(hosts[0]), []).append(
                (part, sides, np.bincount(which, surface.lengths[mine]).astype(float))
            )
    way = np.stack([np.bincount(labels, surface.vectors[:, k]) for k in range(3)], axis=1)
    target = np.arange(int(labels.max()) + 1)

    def goes_on(sides: IntArray, lengths: FloatArray, others: IntArray) -> bool:
        same = (normals[sides] @ normals[others].T > _SAME_PLANE) & (
            np.abs(offsets[sides][:, None] - offsets[others]) < _SAME_OFFSET * extent
        )
        return bool(lengths[same.any(axis=1)].sum() > _GOES_ON * lengths.sum())

    for standing in ends.values():
        for i, (one, sides, lengths) in enumerate(standing):
            for other, more, their_lengths in standing[:i]:
                if target[one] != one or float(way[one] @ way[other]) >= 0:
                    continue
                if goes_on(sides, lengths, more) and goes_on(more, their_lengths, sides):
                    target[one] = target[other]
    through: IntArray = np.unique(target[labels], return_inverse=True)[1]
    return through
