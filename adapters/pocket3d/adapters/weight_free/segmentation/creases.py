"""Finds the concave creases of a closed surface, where solids were joined (the minima rule, Hoffman and Richards 1984),
and tells them from the tessellation of something round.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...mesh.triangles import BoolArray, FloatArray
from .closed_surface import FLAT_TURN, Surface, components

#: A concave angle, radians, from which on an edge is a crease; and one that continues a crease that it touches.
_SHARP, _SHALLOW = np.radians(20), np.radians(10)
#: From here on, no tessellation of a round surface turns from one facet to the next.
_NEVER_ROUND = np.radians(62)
#: Edges are parallel up to the angle of this cosine; angles alike up to this share.
_PARALLEL, _ALIKE = 0.8, 0.5
#: A facet with more edges is a plane that others stand on.
_MOST_EDGES = 16


def find_creases(surface: Surface) -> BoolArray:
    """(E,) which edges are concave creases, and not the tessellation of something round."""
    concave = -surface.turns
    candidate = (concave > _SHALLOW) & ~_is_round(surface, concave)
    strong = candidate & (concave > _SHARP)
    # Shallow ones count where their chain has a sharp one.
    chosen = np.flatnonzero(candidate)
    ends = surface.ends[chosen]
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(surface.points),) * 2)
    chain = connected_components(links, directed=False)[1]
    sharp = np.zeros(len(surface.points), dtype=bool)
    sharp[chain[surface.ends[strong, 0]]] = True
    found: BoolArray = np.zeros(len(concave), dtype=bool)
    found[chosen] = sharp[chain[ends[:, 0]]]
    return found


def _is_round(surface: Surface, concave: FloatArray) -> BoolArray:
    """(E,) whether on both sides the next parallel edge of the facet turns about as much: a tessellated hollow."""
    facet = components(surface, np.abs(surface.turns) < FLAT_TURN)
    bent = np.flatnonzero((concave > _SHALLOW / 2) & (facet[surface.pairs[:, 0]] != facet[surface.pairs[:, 1]]))
    direction = surface.points[surface.ends[bent, 1]] - surface.points[surface.ends[bent, 0]]
    direction /= np.maximum(surface.lengths[bent], 1e-300)[:, None]
    smooth = np.zeros((2, len(bent)), dtype=bool)
    for side in (0, 1):
        own, other = facet[surface.pairs[bent, side]], facet[surface.pairs[bent, 1 - side]]
        # All bent edges of a facet, whichever side it is on.
        members = np.concatenate([facet[surface.pairs[bent, 0]], facet[surface.pairs[bent, 1]]])
        beyond = np.concatenate([facet[surface.pairs[bent, 1]], facet[surface.pairs[bent, 0]]])
        edge = np.tile(np.arange(len(bent)), 2)
        order = np.argsort(members, kind="stable")
        low = np.searchsorted(members[order], own)
        count = np.searchsorted(members[order], own, side="right") - low
        count[count > _MOST_EDGES] = 0
        rows = np.repeat(np.arange(len(bent)), count)
        near = order[low[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)]
        alike = (
            (beyond[near] != other[rows])
            & (np.abs((direction[rows] * direction[edge[near]]).sum(axis=1)) > _PARALLEL)
            & (concave[bent[edge[near]]] > _ALIKE * concave[bent[rows]])
        )
        np.logical_or.at(smooth[side], rows, alike)
    found: BoolArray = np.zeros(len(concave), dtype=bool)
    found[bent] = smooth.all(axis=0) & (concave[bent] < _NEVER_ROUND)
    return found
