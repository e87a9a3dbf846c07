"""Makes bones of a curve skeleton: joints at branchings, where limbs leave the body, at bends, on long limbs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...mesh.skinned_glb import Skeleton
from ...mesh.triangles import FloatArray
from .curves import CurveTree, without_last_end
from .solid import Solid

#: A branching nearer to the one before it than this share of the thickness there becomes one with it.
_CONTRACT = 0.8
#: A bend deviates from the straight bone by this share of the mean radius.
_BEND = 0.45
#: Bones are about so long: a share of the bounding diagonal, at least so many radii.
_BONE_LENGTH = 0.16
_BONE_RADII = 4.0
#: A limb of so many radii gets a joint in between even if it is straight: arms bend.
_LIMB_RADII = 6.0
_MOST_PIECES = 6
#: Of a bone's samples this share may lie outside before it is split.
_OUTSIDE = 0.05
_SMOOTHING = 12
#: What is nearer to the surface than this share of a limb's radius, at its end and no longer than so many radii.
_END_RADIUS, _END_LENGTH = 0.75, 1.8


class _Chain(NamedTuple):
    """A path from one branching to the next, or to an end: (K, 3) positions, (K,) radii."""

    start: int
    stop: int
    points: FloatArray
    radius: FloatArray


def make_bones(solid: Solid, tree: CurveTree, diagonal: float, most: int | None) -> tuple[Skeleton, int]:
    """Make the bones; returns them and the number of limbs that were left out.

    `diagonal` is that of the mesh's bounding box. Over `most` joints (3 or more), first long bones stay whole, then the
    least limbs go.
    """
    dropped = 0
    while True:
        chains = _chains(solid, tree)
        for detail in (1.0, 0.5, 0.0):
            skeleton = _skeleton(solid, tree.root, chains, diagonal, detail)
            if most is None or len(skeleton.names) <= most:
                return skeleton, dropped
        if len(tree.ends) == 1:
            return skeleton, dropped
        tree = without_last_end(tree)
        dropped += 1


def _chains(solid: Solid, tree: CurveTree) -> list[_Chain]:
    """The tree's paths between branchings, smoothed, with near branchings merged; each after the one it starts from."""
    children: dict[int, list[int]] = {}
    for node, parent in tree.parent.items():
        children.setdefault(parent, []).append(node)
    chains: list[_Chain] = []
    waiting = [(tree.root, [tree.root, child]) for child in sorted(children.get(tree.root, []))]
    while waiting:
        start, path = waiting.pop(0)
        while len(children.get(path[-1], [])) == 1:
            path.append(children[path[-1]][0])
        stop = path[-1]
        points = solid.points[path]
        length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
        branches = children.get(stop, [])
        if branches and length < _CONTRACT * max(solid.radius[start], solid.radius[stop]):
            waiting = [(start, [*path, child]) for child in sorted(branches)] + waiting
            continue
        if not branches:
            path = path[: _end_of_limb(solid, path)]
        chains.append(_Chain(start, stop, _smooth(solid, solid.points[path]), solid.radius[path]))
        waiting.extend((stop, [stop, child]) for child in sorted(branches))
    return chains


def _end_of_limb(solid: Solid, path: list[int]) -> int:
    """Number of voxels of a limb's path to keep: the last ones lead from the middle into a corner of the limb's end."""
    thick = float(np.median(solid.radius[path]))
    steps = np.linalg.norm(np.diff(solid.points[path], axis=0), axis=1)
    left = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    keep = len(path)
    while keep > 3 and solid.radius[path[keep - 1]] < _END_RADIUS * thick and left[keep - 2] < _END_LENGTH * thick:
        keep -= 1
    return keep


def _smooth(solid: Solid, points: FloatArray) -> FloatArray:
    """Smooth away the steps of the grid; a path that would leave the solid by that stays as it is."""
    soft: FloatArray = np.array(points)
    for _ in range(_SMOOTHING):
        soft[1:-1] = (soft[:-2] + 2 * soft[1:-1] + soft[2:]) / 4
    away = ~solid.inside(soft)
    soft[away] = points[away]
    return soft


def _skeleton(solid: Solid, root: int, chains: Sequence[_Chain], diagonal: float, detail: float) -> Skeleton:
    names, parents = ["root"], [-1]
    heads, tails = [solid.points[root]], [solid.points[root]]
    joint_at = {root: 0}
    starts = [chain.start for chain in chains]
    limbs = trunks = 0
    for chain in chains:
        is_limb = chain.stop not in starts
        if is_limb:
            limbs += 1
        else:
            trunks += 1
        name = f"limb_{limbs}" if is_limb else f"trunk_{trunks}"
        degree = starts.count(chain.start) + (chain.start != root)
        cuts = _cuts(solid, chain, diagonal, detail, is_limb, leaves_body=is_limb and degree > 2)
        above = joint_at[chain.start]
        for place, (first, last) in enumerate(itertools.pairwise(cuts), 1):
            names.append(f"{name}_{place}")
            parents.append(above)
            heads.append(chain.points[first])
            tails.append(chain.points[last])
            above = len(names) - 1
        joint_at[chain.stop] = above
    return Skeleton(tuple(names), np.array(parents), np.array(heads), np.array(tails))


def _cuts(solid: Solid, chain: _Chain, diagonal: float, detail: float, is_limb: bool, leaves_body: bool) -> list[int]:
    """Indices into the chain between which bones lie, its first and last included."""
    steps = np.linalg.norm(np.diff(chain.points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    last = len(along) - 1
    begin = 0
    fixed = [0]
    if leaves_body and detail > 0:
        # Where the way leaves the largest ball about the branching: the shoulder, not the middle of the chest.
        out = np.flatnonzero(np.linalg.norm(chain.points - chain.points[0], axis=1) > chain.radius[0])
        if len(out) and along[last] - along[out[0]] > 2 * float(np.median(chain.radius[out[0] :])):
            begin = int(out[0])
            fixed.append(begin)
    corners = _bends(chain, begin, last, solid.pitch) if detail > 0 else [begin, last]
    cuts = list(corners)
    for a, b in itertools.pairwise(corners):
        thick = float(np.median(chain.radius[a : b + 1]))
        length = along[b] - along[a]
        pieces = round(detail * length / max(_BONE_LENGTH * diagonal, _BONE_RADII * thick))
        if is_limb and detail == 1 and len(corners) == 2 and length > _LIMB_RADII * thick:
            pieces = max(pieces, 2)
        pieces = min(pieces, _MOST_PIECES)
        cuts += [int(np.searchsorted(along, along[a] + length * k / pieces)) for k in range(1, pieces)]
    cuts = sorted({*fixed, *cuts, last})
    if detail == 0:
        return cuts
    whole: list[int] = [0]
    for a, b in itertools.pairwise(cuts):
        whole += _kept_inside(solid, chain.points, a, b)
    return whole


def _bends(chain: _Chain, first: int, last: int, pitch: float) -> list[int]:
    """Indices of the corners of the path (Ramer 1972; Douglas and Peucker 1973), both ends included."""
    worst, deviation = _deviation(chain.points, first, last)
    allowed = max(_BEND * float(np.mean(chain.radius[first : last + 1])), 1.5 * pitch)
    if deviation <= allowed:
        return [first, last]
    return [*_bends(chain, first, worst, pitch)[:-1], *_bends(chain, worst, last, pitch)]


def _kept_inside(solid: Solid, points: FloatArray, first: int, last: int) -> list[int]:
    """Indices after `first` at which the bone between the two must be cut so that it stays inside."""
    if last - first < 4:
        return [last]
    samples = points[first] + np.linspace(0, 1, 33)[:, None] * (points[last] - points[first])
    if (~solid.inside(samples)).mean() <= _OUTSIDE:
        return [last]
    worst, _ = _deviation(points, first, last)
    worst = min(max(worst, first + 2), last - 2)
    return [*_kept_inside(solid, points, first, worst), *_kept_inside(solid, points, worst, last)]


def _deviation(points: FloatArray, first: int, last: int) -> tuple[int, float]:
    """Index of the position farthest from the straight line between two, and its distance."""
    line = points[last] - points[first]
    offset = points[first : last + 1] - points[first]
    share = np.clip(offset @ line / max(float(line @ line), 1e-30), 0, 1)
    away = np.linalg.norm(offset - share[:, None] * line, axis=1)
    worst = int(np.argmax(away))
    return first + worst, float(away[worst])
