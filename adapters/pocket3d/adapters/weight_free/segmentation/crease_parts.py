"""Finds the parts of a closed mesh by its own creases."""

from __future__ import annotations

import numpy as np

from ...mesh.triangles import BoolArray, IntArray
from .closed_surface import Surface, components
from .crease_cuts import with_cuts
from .creases import find_creases
from .through import joined_through
from .tidying import tidied

#: More creases than this share of all edges is a texture (voxels, fur, noise), and says nothing about parts.
_TEXTURE = 0.25
_MOST_PARTS = 64
#: Small pieces are looked at one by one, in a tenth of a millisecond and more than once: more of them are no parts.
MOST_PIECES = 20_000
#: Of a plain part's bending, weighted by length, at most this share is inwards; less than so much of a mesh is plain.
_PLAIN, _WORTH_SPLITTING = 0.12, 0.05
#: What has less than this share of a finer part is its rim that lies across the crease.
_RIM = 0.2


def crease_parts(surface: Surface) -> IntArray | None:
    """(F,) parts 0..k-1 that the creases show; None where they are too many to mean parts."""
    creases = find_creases(surface)
    if surface.lengths[creases].sum() > _TEXTURE * surface.lengths.sum():
        return None
    pieces = components(surface, ~creases)
    if pieces.max() >= MOST_PIECES:
        return None
    labels = tidied(surface, pieces)
    if labels.max() >= _MOST_PARTS:
        return None
    labels = joined_through(surface, tidied(surface, with_cuts(surface, labels, creases)))
    return labels if labels.max() < _MOST_PARTS else None


def is_plain(surface: Surface, labels: IntArray) -> BoolArray:
    """(K,) which parts bend outwards all over, as the solids do that things are built of: there is nothing to split.

    A ball, a box, a cone and a ring do; a figure modelled in one piece does not.
    """
    count = int(labels.max()) + 1
    a, b = labels[surface.pairs].T
    inside = a == b
    bend = surface.lengths * np.abs(surface.turns)
    hollow = inside & (surface.turns < 0)
    total = np.bincount(a[inside], bend[inside], minlength=count)
    plain: BoolArray = np.bincount(a[hollow], bend[hollow], minlength=count) <= _PLAIN * total
    small: BoolArray = np.bincount(labels, surface.areas, minlength=count) < _WORTH_SPLITTING * surface.areas.sum()
    return plain | small


def split_further(surface: Surface, labels: IntArray, parts: BoolArray, finer: IntArray) -> IntArray:
    """The labels with the chosen parts, (K,), split by others, (F,); what is only the rim of another is not."""
    areas = surface.areas
    whole = np.bincount(finer, areas)
    mixed = labels * (int(finer.max()) + 1) + np.where(parts[labels], finer, 0)
    mixed = np.unique(mixed, return_inverse=True)[1]
    share = np.bincount(mixed, areas) / whole[finer[np.unique(mixed, return_index=True)[1]]]
    rim = (share < _RIM)[mixed] & parts[labels]
    return tidied(surface, mixed, rim=np.unique(mixed[rim]), within=labels)
