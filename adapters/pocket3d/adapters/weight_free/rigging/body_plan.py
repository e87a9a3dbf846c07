"""Reads the body plan off a curve skeleton: which limbs are legs, arms, head and tail, by height, symmetry and place.

+Y is up. Left and right are the character's own: it stands on the ground and looks to where its toes or its head point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

from ...mesh.triangles import FloatArray
from .accessories import accessories, even_share, flatness
from .curves import CurveTree
from .limbs import CENTRAL, Limbs, length
from .solid import Solid
from .symmetry import Mirror, find_mirrors

#: Of the way from the hips to the head this share must go up for a body to stand upright.
_UPRIGHT = 0.8
#: Arms begin this share of the height above the legs; those that are not held alike are at least so long.
_LOW, _ARM = 0.12, 0.2
#: Of several pairs those are arms that are at least so long, as a share of the longest.
_AS_LONG = 0.6
#: An end without a counterpart is of the middle up to this share of the longest side from the plane.
_BROAD = 0.12
#: What is flatter is a brim or a cape.
_SLEEVE = 2.1
#: What is so low, as a share of the height, is the sole of a foot.
_SOLE = 0.045
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


def read_plan(solid: Solid, tree: CurveTree) -> Plan | None:
    """The plan of a body that stands upright in the file, or None if it is none of those known."""
    for mirror in find_mirrors(solid):
        plan = _plan(Limbs(solid, tree, mirror))
        if plan is not None:
            return plan
    return None


def _plan(reader: Limbs) -> Plan | None:
    points = reader.solid.points
    pairs = reader.pairs()
    legs = [pair for pair in pairs if all(reader.is_leg(limb) for limb in pair)]
    along = 2 - reader.mirror.axis
    if not legs or len(legs) > 2:
        return None
    raised = [pair for pair in pairs if pair not in legs]
    central = [end for end in reader.tree.ends if abs(reader.side(end)) < CENTRAL]
    # A broad snout ends at one of its corners.
    alone = set(reader.tree.ends) - {limb[-1] for pair in pairs for limb in pair}
    broad = [end for end in sorted(alone) if CENTRAL <= abs(reader.side(end)) < _BROAD]
    if len(legs) == 2:
        legs.sort(key=lambda pair: float(points[pair[0][-1], along] + points[pair[1][-1], along]))
        spread = float(points[legs[1][0][-1], along] - points[legs[0][0][-1], along])
        # A raised tail says nothing of how high a head is: the legs do.
        tops = max(reader.rise(pair[0][0]) for pair in legs)
        central += broad
        heads = [end for end in central if reader.rise(end) > min(0.35, 0.6 * tops)]
        if spread < _APART * reader.size or not heads:
            return None
        return _quadruped(reader, legs, heads, central, along)
    (leg,) = legs
    hips = leg[0][0]
    arms = _arms(reader, [pair for pair in raised if _above(reader, pair, hips)])
    heads = [end for end in central if reader.rise(end) > reader.rise(hips) + 0.1 and end not in (hips,)]
    if not heads:
        # In a wide head the skeleton ends at its sides: the head is where it parts.
        middle = [node for node in reader.tree.parent if abs(reader.side(node)) < CENTRAL / 2]
        heads = [node for node in middle if reader.rise(node) > reader.rise(hips) + 0.2]
    if not heads:
        return None
    head = max(heads, key=lambda end: float(points[end, 1]))
    way = points[head] - points[hips]
    upright = float(way[1]) > _UPRIGHT * float(np.linalg.norm(way))
    if upright:
        posed = _posed_arms(reader, hips, head, {limb[-1] for pair in raised for limb in pair} if arms else set())
        arms = posed if arms is None or (posed and _horns(reader, arms, posed)) else arms
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


def _arms(reader: Limbs, pairs: list[tuple[list[int], list[int]]]) -> tuple[list[int], list[int]] | None:
    """Of two limbs that mirror each other the lowest: ears, horns and the brim of a hat are above the arms."""
    points = reader.solid.points
    long = [min(length(points[limb]) for limb in pair) for pair in pairs]
    arms = [pair for pair, each in zip(pairs, long, strict=True) if each > _AS_LONG * max(long)]
    return min(arms, key=lambda pair: float(points[pair[0][0], 1]), default=None)


def _horns(reader: Limbs, arms: tuple[list[int], list[int]], posed: tuple[list[int], list[int]]) -> bool:
    """Whether limbs that mirror each other are above and shorter than two that are not held alike: then they are the
    horns or the corners of a head.
    """
    points = reader.solid.points
    alike, longer = (min(length(points[limb]) for limb in pair) for pair in (arms, posed))
    return alike < _AS_LONG * longer and all(points[limb[0], 1] < points[arms[0][0], 1] for limb in posed)


def _posed_arms(reader: Limbs, hips: int, head: int, taken: set[int]) -> tuple[list[int], list[int]] | None:
    """The longest limb on each side that leaves the spine, not held alike; as long as the shorter one, because what is
    longer is in a hand. Limbs through a voxel in `taken` do not count.
    """
    points = reader.solid.points
    spine = reader.path(hips, head)
    found: list[list[int]] = []
    for sign in (1, -1):
        limbs = []
        for end in reader.tree.ends:
            path = reader.path(hips, end)
            leaves = max((k for k, node in enumerate(path) if node in spine), default=0)
            limb = path[leaves:]
            outside = sign * reader.side(end) > CENTRAL and reader.rise(limb[0]) > reader.rise(hips)
            outside = outside and not taken & set(limb)
            if outside and path[leaves] not in (hips, head) and flatness(reader.solid, limb) < _SLEEVE:
                limbs.append(limb)
        if not limbs:
            return None
        found.append(max(limbs, key=lambda limb: length(points[limb])))
    shorter = min(length(points[limb]) for limb in found)
    if shorter < _ARM * reader.height:
        return None
    cut = []
    for limb in found:
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[limb], axis=0), axis=1))])
        cut.append(limb[: int(np.searchsorted(along, shorter * (1 + 1e-9)))])
    # The chest is where the higher one begins.
    cut.sort(key=lambda limb: -float(points[limb[0], 1]))
    return cut[0], cut[1]


def _above(reader: Limbs, pair: tuple[list[int], list[int]], hips: int) -> bool:
    """Whether two limbs begin above the hips, or rise well above them on their way."""
    rise = reader.rise(hips)
    begins = reader.rise(pair[0][0]) > rise + 0.05
    return begins or all(max(map(reader.rise, limb)) > rise + _LOW for limb in pair)


def _quadruped(
    reader: Limbs, legs: list[tuple[list[int], list[int]]], heads: list[int], central: list[int], along: int
) -> Plan:
    points = reader.solid.points
    middle = float(points[[legs[0][0][0], legs[1][0][0]], along].mean())

    def like_a_head(end: int) -> float:
        # High, thick and with much about it: a raised tail is thin.
        path = min((reader.path(end, pair[0][0]) for pair in legs), key=len)
        outer = reader.solid.radius[path[: max(1, round(0.4 * len(path)))]]
        about = reader.solid.tree.query_ball_point(points[end], 0.2 * reader.size, return_length=True) / len(points)
        return 0.5 * reader.rise(end) + 4 * float(outer.max()) / reader.size + 2 * float(about)

    head = max(heads, key=like_a_head)
    sign = 1.0 if points[head, along] > middle else -1.0
    hind, front = legs if sign > 0 else legs[::-1]
    forward = _axis(along, sign)
    behind = [end for end in central if end != head and float((points[end] - points[hind[0][0]]) @ forward) < 0]
    tail = min(behind, key=lambda end: float(points[end] @ forward), default=None)
    return _made(reader, "quadruped", forward, hind, front, head, tail)


def _made(
    reader: Limbs,
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
    others = accessories(solid, reader.tree, used, reader.size)
    # What one hand holds, beyond where the limbs are alike, is no part of the body either.
    loose = set(reader.tree.parent) - used
    mirror = reader.mirror._replace(share=even_share(solid, reader.mirror, used, loose))
    return Plan(
        kind,
        mirror,
        forward,
        pair(legs),
        None if arms is None else pair(arms),
        solid.points[spine],
        solid.radius[spine],
        chest,
        tail_path,
        tail_radius,
        tuple(solid.points[path] for path in others),
    )


def _toes(reader: Limbs, legs: tuple[list[int], list[int]], along: int) -> FloatArray | None:
    """Where the feet point, or None if they point nowhere: their soles beside what is above them."""
    points = reader.solid.points
    low = np.flatnonzero(points[:, 1] < reader.low[1] + _SOLE * reader.height)
    if not len(low):
        return None
    # Only what hangs together with a foot: a cape reaches the ground too.
    piece = connected_components(reader.solid.graph[low][:, low], directed=False)[1]
    ahead = []
    for limb in legs:
        ankle = [node for node in limb if 0.06 < reader.rise(node) < 0.2]
        nearest = int(np.argmin(np.linalg.norm(points[low] - points[limb[-1]], axis=1)))
        sole = points[low[piece == piece[nearest]], along]
        if ankle:
            ahead.append(float(sole.min() + sole.max()) / 2 - float(points[ankle, along].mean()))
    if not ahead or abs(np.mean(ahead)) <= 0.012 * reader.height:
        return None
    return _axis(along, float(np.sign(np.mean(ahead))))


def _axis(along: int, sign: float) -> FloatArray:
    axis = np.zeros(3)
    axis[along] = sign
    return axis
