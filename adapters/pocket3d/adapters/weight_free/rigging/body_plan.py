"""Reads the body plan off a curve skeleton: which limbs are legs, arms, head and tail, by height, symmetry and place.

+Y is up. Left and right are the character's own: it stands on the ground and looks to where its toes or its head point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...mesh.triangles import FloatArray
from .curves import CurveTree
from .solid import Solid
from .symmetry import Mirror, find_mirrors

#: A limb's end is the mirror image of another's path up to this share of the longest side.
_PAIRED = 0.1
#: Nearer to the plane than this share of the longest side is in the middle; ends further off are to the side.
_CENTRAL = 0.06
#: A leg ends below this share of the height.
_GROUND = 0.14
#: Of a leg's length, from the middle of the body on, so much goes down; it is so long, as a share of the height.
_FALLS, _LEG = 0.6, 0.2
#: Of the way from the hips to the head this share must go up for a body to stand upright.
_UPRIGHT = 0.8
#: What is shorter than this share of the longest side gets no bones of its own.
_STANDS_OUT = 0.08
#: Arms begin this share of the height above the legs.
_LOW = 0.12
#: Legs of a quadruped's two pairs are so far apart along its body, as a share of its longest side.
_APART = 0.2


class Pair(NamedTuple):
    """Two limbs that mirror each other: paths (K, 3) and (K,) radii from the middle of the body to their ends."""

    left: FloatArray
    right: FloatArray
    left_radius: FloatArray
    right_radius: FloatArray

    @property
    def middle(self) -> FloatArray:
        """Where both begin."""
        found: FloatArray = (self.left[0] + self.right[0]) / 2
        return found


class Plan(NamedTuple):
    """What stands where. Paths run from the body outwards."""

    #: humanoid, quadruped, biped bird
    kind: str
    mirror: Mirror
    #: Unit vector.
    forward: FloatArray
    #: Legs; of a quadruped the hind ones.
    legs: Pair
    #: Arms, wings, or a quadruped's front legs.
    arms: Pair | None
    #: From the hips to where the arms begin, on to the end of the head.
    spine: FloatArray
    spine_radius: FloatArray
    #: Index into the spine at which the arms begin.
    chest: int
    tail: FloatArray | None
    tail_radius: FloatArray | None
    #: What else stands out, as paths: hats, ears, what a hand holds.
    others: tuple[FloatArray, ...]


class _Reader:
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

    def pairs(self) -> list[tuple[list[int], list[int]]]:
        """Limbs that mirror each other, as paths from the middle to the end; what one hand holds is cut off."""
        outer = [end for end in self.tree.ends if abs(self.side(end)) > _CENTRAL / 2]
        there = [end for end in outer if self.side(end) > 0]
        here = [end for end in outer if self.side(end) < 0]
        found: list[tuple[float, tuple[int, int], tuple[list[int], list[int]]]] = []
        for one in there:
            for other in here:
                path = self.path(one, other)
                places = self.solid.points[path]
                sides = self.mirror.side(places)
                middle = [i for i in range(len(path)) if abs(sides[i]) <= self.solid.pitch]
                middle = middle or [int(np.argmin(np.abs(sides)))]
                centre = middle[len(middle) // 2]
                first, second = path[centre::-1], path[centre:]
                for mine, others in ((first, second), (second, first)):
                    # `mine` ends where the other one's end is mirrored; equal limbs are not cut.
                    image = self.mirror.image(self.solid.points[others[-1]])
                    away = np.linalg.norm(self.solid.points[mine] - image, axis=1)
                    cut = int(np.argmin(away))
                    if away[cut] < _PAIRED * self.size and cut > 0:
                        ends = (one, other)
                        kept = mine[: cut + 1]
                        limbs = (kept, others) if mine is first else (others, kept)
                        found.append((float(away[cut]) + 1e-3 * (len(mine) - cut), ends, limbs))
        chosen: list[tuple[list[int], list[int]]] = []
        used: set[int] = set()
        for _, ends, limbs in sorted(found, key=lambda each: each[0]):
            if not used & set(ends):
                used |= set(ends)
                chosen.append(limbs)
        return chosen


def read_plan(solid: Solid, tree: CurveTree) -> Plan | None:
    """The plan of a body that stands upright in the file, or None if it is none of those known."""
    for mirror in find_mirrors(solid):
        plan = _plan(_Reader(solid, tree, mirror))
        if plan is not None:
            return plan
    return None


def _plan(reader: _Reader) -> Plan | None:
    points = reader.solid.points
    pairs = reader.pairs()
    legs = [pair for pair in pairs if all(_is_leg(reader, limb) for limb in pair)]
    along = 2 - reader.mirror.axis
    if not legs or len(legs) > 2:
        return None
    raised = [pair for pair in pairs if pair not in legs]
    central = [end for end in reader.tree.ends if abs(reader.side(end)) < _CENTRAL]
    if len(legs) == 2:
        legs.sort(key=lambda pair: float(points[pair[0][-1], along] + points[pair[1][-1], along]))
        spread = float(points[legs[1][0][-1], along] - points[legs[0][0][-1], along])
        heads = [end for end in central if reader.rise(end) > 0.35]
        if spread < _APART * reader.size or not heads:
            return None
        return _quadruped(reader, legs, heads, central, along)
    (leg,) = legs
    hips = leg[0][0]
    arms = max(
        (pair for pair in raised if _above(reader, pair, hips)),
        key=lambda pair: _length(points[pair[0]]) + _length(points[pair[1]]),
        default=None,
    )
    heads = [end for end in central if reader.rise(end) > reader.rise(hips) + 0.1 and end not in (hips,)]
    if not heads:
        return None
    head = max(heads, key=lambda end: float(points[end, 1]))
    way = points[head] - points[hips]
    upright = float(way[1]) > _UPRIGHT * float(np.linalg.norm(way))
    tails = [end for end in central if end != head]
    toes = _toes(reader, leg, along)
    if upright and arms is not None and points[arms[0][0], 1] < points[head, 1]:
        forward = toes if toes is not None else _axis(along, 1.0)
        tail = next((end for end in tails if float((points[end] - points[hips]) @ forward) < -0.1 * reader.size), None)
        return _made(reader, "humanoid", forward, leg, arms, head, tail)
    level = abs(float(way[along]))
    if level > 0.1 * reader.size or tails:
        forward = toes if toes is not None else _axis(along, 1.0 if way[along] >= 0 else -1.0)
        if level > 0.15 * reader.size:
            forward = _axis(along, 1.0 if way[along] >= 0 else -1.0)
        tail = min(tails, key=lambda end: float(points[end] @ forward), default=None)
        return _made(reader, "biped bird", forward, leg, arms, head, tail)
    return None


def _above(reader: _Reader, pair: tuple[list[int], list[int]], hips: int) -> bool:
    """Whether two limbs begin above the hips, or rise well above them on their way."""
    rise = reader.rise(hips)
    begins = reader.rise(pair[0][0]) > rise + 0.05
    return begins or all(max(map(reader.rise, limb)) > rise + _LOW for limb in pair)


def _is_leg(reader: _Reader, limb: list[int]) -> bool:
    """Whether a limb goes down to the ground, and mostly down: wheels and fins go sideways."""
    points = reader.solid.points[limb]
    fall = float(points[0, 1] - points[-1, 1])
    return reader.rise(limb[-1]) < _GROUND and fall > max(_FALLS * _length(points), _LEG * reader.height)


def _quadruped(
    reader: _Reader, legs: list[tuple[list[int], list[int]]], heads: list[int], central: list[int], along: int
) -> Plan:
    points = reader.solid.points
    middle = float(points[[legs[0][0][0], legs[1][0][0]], along].mean())

    def like_a_head(end: int) -> float:
        # High and thick: a raised tail is thin.
        path = min((reader.path(end, pair[0][0]) for pair in legs), key=len)
        outer = reader.solid.radius[path[: max(1, round(0.4 * len(path)))]]
        return 0.5 * reader.rise(end) + 4 * float(outer.max()) / reader.size

    head = max(heads, key=like_a_head)
    sign = 1.0 if points[head, along] > middle else -1.0
    hind, front = legs if sign > 0 else legs[::-1]
    forward = _axis(along, sign)
    behind = [end for end in central if end != head and float((points[end] - points[hind[0][0]]) @ forward) < 0]
    tail = min(behind, key=lambda end: float(points[end] @ forward), default=None)
    return _made(reader, "quadruped", forward, hind, front, head, tail)


def _made(
    reader: _Reader,
    kind: str,
    forward: FloatArray,
    legs: tuple[list[int], list[int]],
    arms: tuple[list[int], list[int]] | None,
    head: int,
    tail: int | None,
) -> Plan:
    solid = reader.solid
    # Seen along +Z with +Y up, left is +X.
    left = np.cross([0.0, 1.0, 0.0], forward)

    def pair(limbs: tuple[list[int], list[int]]) -> Pair:
        one, other = limbs
        if float((solid.points[one[-1]] - solid.points[other[-1]]) @ left) < 0:
            one, other = other, one
        return Pair(solid.points[one], solid.points[other], solid.radius[one], solid.radius[other])

    hips = legs[0][0]
    if arms is None:
        spine = reader.path(hips, head)
        chest = round(0.6 * (len(spine) - 1))
    else:
        trunk = reader.path(hips, arms[0][0])
        spine = trunk[:-1] + reader.path(arms[0][0], head)
        chest = len(trunk) - 1
        if kind == "humanoid" and solid.points[arms[0][0], 1] < solid.points[hips, 1] + _LOW * reader.height:
            # In a broad body the paths of the arms begin below the shoulders.
            spine = reader.path(hips, head)
            high = max(arms[0][: len(arms[0]) // 2 + 1], key=lambda node: float(solid.points[node, 1]))
            chest = int(np.argmin(np.abs(solid.points[spine, 1] - solid.points[high, 1])))
            chest = min(max(chest, 1), max(len(spine) - 4, 1))
    used = {*spine, *legs[0], *legs[1], *(arms[0] if arms else ()), *(arms[1] if arms else ())}
    tail_path = tail_radius = None
    if tail is not None:
        path = reader.path(hips, tail)
        free = [i for i, node in enumerate(path) if node in used]
        tail_path, tail_radius = solid.points[path[max(free) :]], solid.radius[path[max(free) :]]
        used |= set(path)
    others = []
    for end in reader.tree.ends:
        path = [end]
        while path[-1] not in used and path[-1] != reader.tree.root:
            path.append(reader.tree.parent[path[-1]])
        if _length(solid.points[path]) > _STANDS_OUT * reader.size:
            others.append(solid.points[path[::-1]])
            used |= set(path)
    return Plan(
        kind,
        reader.mirror,
        forward,
        pair(legs),
        None if arms is None else pair(arms),
        solid.points[spine],
        solid.radius[spine],
        chest,
        tail_path,
        tail_radius,
        tuple(others),
    )


def _toes(reader: _Reader, legs: tuple[list[int], list[int]], along: int) -> FloatArray | None:
    """Where the feet point, or None if they point nowhere: what is on the ground beside what is above it."""
    points = reader.solid.points
    rise = (points[:, 1] - reader.low[1]) / max(reader.height, 1e-30)
    ankle = [node for limb in legs for node in limb if 0.06 < reader.rise(node) < 0.2]
    sole = rise < 0.045
    if not ankle or not sole.any():
        return None
    ahead = float(points[sole, along].min() + points[sole, along].max()) / 2 - float(points[ankle, along].mean())
    return _axis(along, np.sign(ahead)) if abs(ahead) > 0.012 * reader.height else None


def _axis(along: int, sign: float) -> FloatArray:
    axis = np.zeros(3)
    axis[along] = sign
    return axis


def _length(points: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
