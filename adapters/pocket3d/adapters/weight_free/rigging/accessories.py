"""What stands out of a body and is no part of it: hats, ears, what a hand holds.

A cape, a brim or a robe gets no bones: in such a sheet every corner would be a limb.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial import cKDTree

from ...mesh.triangles import FloatArray
from .curves import CurveTree
from .solid import Solid
from .symmetry import Mirror

#: What is shorter than this share of the longest side gets no bones of its own.
_STANDS_OUT = 0.08
#: In a ball of so many times its half thickness, a sheet has as many times as much of the solid as a rod.
_BALL = 2.5
#: What is flatter gets no bones.
_SHEET = 1.55
_MOST = 8
_SAMPLES = 4000


def accessories(solid: Solid, tree: CurveTree, body: set[int], size: float) -> list[list[int]]:
    """Paths, from the body or another one outwards, of the limbs that no voxel of `body` belongs to."""
    used = set(body)
    found: list[list[int]] = []
    for end in tree.ends:
        path = [end]
        while path[-1] not in used and path[-1] != tree.root:
            path.append(tree.parent[path[-1]])
        path.reverse()
        length = float(np.linalg.norm(np.diff(solid.points[path], axis=0), axis=1).sum())
        if length > _STANDS_OUT * size and len(found) < _MOST and flatness(solid, path) < _SHEET:
            found.append(path)
            used |= set(path)
    return found


def flatness(solid: Solid, path: list[int]) -> float:
    """How much wider than thick the solid about a limb's path is: about 1 for a rod, `_BALL` for a sheet."""
    outer = path[len(path) // 3 :]
    thick = np.maximum(solid.radius[outer], 0.5 * solid.pitch) + 0.5 * solid.pitch
    ball = _BALL * thick
    free = np.linalg.norm(solid.points[outer] - solid.points[path[0]], axis=1) > ball + solid.radius[path[0]]
    if not free.any():
        free[len(free) // 2 :] = True
    inside = solid.tree.query_ball_point(solid.points[outer], ball, return_length=True) * solid.pitch**3
    return float(np.median((inside / (np.pi * thick**2 * 2 * ball))[free]))


def even_share(solid: Solid, mirror: Mirror, body: Iterable[int], others: Iterable[int]) -> float:
    """Share, 0..1, of the body that lies on its mirror image, what belongs to others left out."""
    sample = np.arange(0, len(solid.points), max(1, len(solid.points) // _SAMPLES))
    own, foreign = list(body), list(others)
    if foreign:
        nearest = cKDTree(solid.points[own + foreign]).query(solid.points[sample])[1]
        sample = sample[nearest < len(own)]
    places: FloatArray = mirror.image(solid.points[sample])
    return float(solid.inside(places).mean()) if len(sample) else 0.0
