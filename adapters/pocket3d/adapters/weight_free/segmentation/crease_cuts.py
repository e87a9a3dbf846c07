"""Closes creases that run out in a flush side by minimum cuts of the face graph (Katz and Tal, "Hierarchical Mesh
Decomposition using Fuzzy Clustering and Cuts", 2003).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from ...mesh.triangles import BoolArray, IntArray
from .closed_surface import Surface, one_way
from .tidying import LEAST_SHARE, ONE_WAY

#: Share of a cut's length that must be crease.
_CREASED = 0.42
#: A concave angle, radians, along which a cut is nearly free.
_DEEP = np.radians(35)
#: Cuts are sought in parts of at most so many faces, and so many of them.
_CUT_FACES, _MOST_CUTS = 60_000, 40


def with_cuts(surface: Surface, labels: IntArray, creases: BoolArray) -> IntArray:
    """The labels with parts cut in two where an open crease can be closed by a cut that is mostly crease."""
    labels = labels.copy()
    tried: set[int] = set()
    for _ in range(_MOST_CUTS):
        inside = np.flatnonzero(creases & (labels[surface.pairs[:, 0]] == labels[surface.pairs[:, 1]]))
        of = labels[surface.pairs[inside, 0]]
        chains = [
            chain
            for part in np.unique(of)
            for chain in _chains(surface, inside[of == part])
            if not tried.issuperset(chain[0])
        ]
        if not chains:
            break
        edges, left, right = max(chains, key=lambda chain: surface.lengths[chain[0]].sum())
        tried.update(edges)
        part = int(labels[left[0]])
        if (labels == part).sum() > _CUT_FACES:
            continue
        side = _cut(surface, np.flatnonzero(labels == part), left, right)
        if side is not None:
            labels[side] = labels.max() + 1
    return labels


def _chains(surface: Surface, edges: IntArray) -> list[tuple[list[int], list[int], list[int]]]:
    """Creases as chains of edges, with the faces on the left and on the right of each as one goes along it."""
    at: dict[int, list[int]] = {}
    for edge, (start, end) in zip(edges.tolist(), surface.ends[edges].tolist(), strict=True):
        at.setdefault(start, []).append(edge)
        at.setdefault(end, []).append(edge)
    free = set(edges.tolist())
    chains = []
    while free:
        first = min(free)
        free.discard(first)
        members, left, right = [first], [int(surface.pairs[first, 0])], [int(surface.pairs[first, 1])]
        for tip, forward in ((int(surface.ends[first, 1]), True), (int(surface.ends[first, 0]), False)):
            while len(at[tip]) == 2:
                (following,) = (set(at[tip]) & free) or (None,)
                if following is None:
                    break
                free.discard(following)
                start, end = surface.ends[following].tolist()
                along = (start == tip) == forward
                members.append(following)
                left.append(int(surface.pairs[following, 0 if along else 1]))
                right.append(int(surface.pairs[following, 1 if along else 0]))
                tip = end if start == tip else start
        chains.append((members, left, right))
    return chains


def _cut(surface: Surface, part: IntArray, left: list[int], right: list[int]) -> IntArray | None:
    """The faces of a part on one side of the shortest cut between two sides of a crease; None if it is no boundary."""
    number = np.full(len(surface.faces), -1)
    number[part] = np.arange(len(part))
    within = np.flatnonzero((number[surface.pairs] >= 0).all(axis=1))
    pairs, lengths = number[surface.pairs[within]], surface.lengths[within]
    concave = -surface.turns[within]
    # Along a crease a cut is free; the flatter, the dearer.
    cost = lengths * np.exp(-((np.maximum(concave, 0) / _DEEP) ** 2))
    unit = 1e6 / max(float(cost.sum()), 1e-300)
    size = len(part) + 2
    source, sink = len(part), len(part) + 1
    one, other = set(left) - set(right), set(right) - set(left)
    if not one or not other:
        return None
    a, b = pairs.T
    seeds = [(source, number[face]) for face in one] + [(number[face], sink) for face in other]
    rows = np.concatenate([a, b, [s for s, _ in seeds]])
    columns = np.concatenate([b, a, [t for _, t in seeds]])
    capacity = np.concatenate([np.maximum(cost * unit, 1)] * 2 + [np.full(len(seeds), 2e6)]).astype(np.int32)
    graph = csr_matrix((capacity, (rows, columns)), shape=(size, size))
    flow = maximum_flow(graph, source, sink)
    left_over = graph - flow.flow
    left_over.data[left_over.data < 0] = 0
    left_over.eliminate_zeros()
    reached = breadth_first_order(left_over, source, return_predecessors=False)
    inside = np.zeros(size, dtype=bool)
    inside[reached] = True
    cut = inside[a] != inside[b]
    total = float(lengths[cut].sum())
    creased = float((lengths[cut] * (1 - np.exp(-((np.maximum(concave[cut], 0) / _DEEP) ** 2)))).sum())
    mine, others = part[inside[:-2]], part[~inside[:-2]]
    if creased < _CREASED * total:
        return None
    least = LEAST_SHARE * surface.areas.sum()
    for side in (mine, others):
        if surface.areas[side].sum() < least or one_way(surface, side) > ONE_WAY:
            return None
    return mine
