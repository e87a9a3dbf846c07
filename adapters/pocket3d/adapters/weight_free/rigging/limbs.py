"""The limbs of a curve skeleton as paths, and which of them mirror each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ...mesh.triangles import FloatArray
from .curves import CurveTree
from .solid import Solid
from .symmetry import Mirror

Limb = list[int]
#: A limb's end is the mirror image of another's path up to this share of the longest side; those of legs that walk up
#: to another, of which what lies along the body counts so much.
_PAIRED, _WALKING, _STRIDE = 0.1, 0.16, 0.4
#: Paths are alike up to this share, and two limbs that end otherwise are a pair if they are alike for so long.
_ALIKE, _LONG = 0.05, 0.15
#: Nearer to the plane than this share of the longest side is in the middle; ends further off are to the side.
CENTRAL = 0.06
#: A leg ends below this share of the height.
GROUND = 0.14
#: Of a leg's length, from the middle of the body on, so much goes down, or so much of the outer half of it; it is so
#: long, as a share of the height.
_FALLS, _OUTER_FALLS, _LEG = 0.6, 0.8, 0.2


class _Match(NamedTuple):
    #: Smaller is better.
    cost: float
    ends: tuple[int, int]
    limbs: tuple[Limb, Limb]


class Limbs:
    """A curve tree's paths, seen from one plane."""

    def __init__(self, solid: Solid, tree: CurveTree, mirror: Mirror) -> None:
        self.solid, self.tree, self.mirror = solid, tree, mirror
        self.low, high = solid.points.min(axis=0), solid.points.max(axis=0)
        self.size = float((high - self.low).max())
        self.height = float(high[1] - self.low[1])

    def path(self, start: int, end: int) -> list[int]:
        """Voxels from one to another, along the tree."""
        up, down = self._to_root(start), self._to_root(end)
        common = set(down)
        first = next(i for i, node in enumerate(up) if node in common)
        return up[: first + 1] + down[: down.index(up[first])][::-1]

    def _to_root(self, node: int) -> list[int]:
        path = [node]
        while path[-1] != self.tree.root:
            path.append(self.tree.parent[path[-1]])
        return path

    def rise(self, node: int) -> float:
        """Height above the ground, as a share of the whole."""
        return float(self.solid.points[node, 1] - self.low[1]) / max(self.height, 1e-30)

    def side(self, node: int) -> float:
        """Distance from the plane, as a share of the longest side, signed."""
        return float(self.mirror.side(self.solid.points[node])) / self.size

    def is_leg(self, limb: Limb) -> bool:
        """Whether a limb goes down to the ground, and mostly down: wheels and fins go sideways."""
        points = self.solid.points[limb]
        fall = float(points[0, 1] - points[-1, 1])
        if self.rise(limb[-1]) >= GROUND or fall <= _LEG * self.height:
            return False
        # In a wide body the way to the leg is long.
        outer = points[len(points) // 2 :]
        return fall > _FALLS * length(points) or float(outer[0, 1] - outer[-1, 1]) > _OUTER_FALLS * length(outer)

    def pairs(self) -> list[tuple[Limb, Limb]]:
        """Limbs that mirror each other, as paths from the middle to the end; what hands hold is cut off."""
        outer = [end for end in self.tree.ends if abs(self.side(end)) > CENTRAL / 2]
        found: list[_Match] = []
        for one in (end for end in outer if self.side(end) > 0):
            for other in (end for end in outer if self.side(end) < 0):
                found += self._matches(one, other)
        chosen: list[tuple[Limb, Limb]] = []
        used: set[int] = set()
        for match in sorted(found):
            if not used & set(match.ends):
                used |= set(match.ends)
                chosen.append(match.limbs)
        return chosen

    def _matches(self, one: int, other: int) -> list[_Match]:
        path = self.path(one, other)
        sides = self.mirror.side(self.solid.points[path])
        middle = [i for i in range(len(path)) if abs(sides[i]) <= self.solid.pitch]
        middle = middle or [int(np.argmin(np.abs(sides)))]
        centre = middle[len(middle) // 2]
        first, second = path[centre::-1], path[centre:]
        ends = (one, other)
        if self.is_leg(first) and self.is_leg(second):
            # Legs that walk: one foot is before the other.
            apart = self.solid.points[one] - self.mirror.image(self.solid.points[other])
            apart[2 - self.mirror.axis] *= _STRIDE
            away = float(np.linalg.norm(apart))
            return [_Match(away - self.size, ends, (first, second))] if away < _WALKING * self.size else []
        found = []
        for mine, others in ((first, second), (second, first)):
            # `mine` ends where the other one's end is mirrored; equal limbs are not cut.
            image = self.mirror.image(self.solid.points[others[-1]])
            away_from = np.linalg.norm(self.solid.points[mine] - image, axis=1)
            cut = int(np.argmin(away_from))
            if away_from[cut] < _PAIRED * self.size and cut > 0:
                kept = mine[: cut + 1]
                limbs = (kept, others) if mine is first else (others, kept)
                found.append(_Match(float(away_from[cut]) + 1e-3 * (len(mine) - cut), ends, limbs))
        alike = self._begin_alike(first, second)
        if alike is None:
            return found
        if not found:
            return [_Match(self.size - length(self.solid.points[alike[0]]), ends, alike)]
        # Swords and shields may end alike though they are not.
        return [match._replace(limbs=alike) for match in found]

    def _begin_alike(self, first: Limb, second: Limb) -> tuple[Limb, Limb] | None:
        """Two limbs that both hold something, up to where they are no longer alike; None if they hold nothing."""
        points = self.solid.points
        kept, apart = [], 0.0
        for mine, others in ((first, second), (second, first)):
            away = cKDTree(self.mirror.image(points[others])).query(points[mine])[0]
            unlike = np.flatnonzero(away > _ALIKE * self.size)
            kept.append(mine[: int(unlike[0])] if len(unlike) else mine)
            apart = max(apart, float(away.max()))
        short = any(len(limb) < 2 or length(points[limb]) < _LONG * self.size for limb in kept)
        if short or apart < 2 * _ALIKE * self.size or any(abs(self.side(limb[-1])) < CENTRAL for limb in kept):
            return None
        return kept[0], kept[1]


def length(points: FloatArray) -> float:
    """Of a path (K, 3)."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
