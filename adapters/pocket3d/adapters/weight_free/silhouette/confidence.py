"""Says in words what makes a cut-out doubtful, from what was measured on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ...mesh.triangles import BoolArray, FloatArray

#: Lab distance across the outline below which it is a guess: about what people see at a glance.
_FAINT = 6.0
#: Share of a side of the frame that a subject touches before it counts as cut off there.
_TOUCHING = 0.04
#: Share of all foreground pixels below which the largest piece is not all that stood out.
_ALONE = 0.85
_SMALL = 0.03
_HINT = "mask_path or box says where the subject is"
_SIDES = ("upper", "lower", "left", "right")


class Confidence(NamedTuple):
    """How far a cut-out can be trusted."""

    #: high, medium or low.
    level: str
    #: What is doubtful, for people; empty where the level is high.
    warnings: list[str]


def judge(
    mask: BoolArray, lab: FloatArray, *, method: str, component_share: float, openings: int, given: bool
) -> Confidence:
    """Judge the (H, W) mask of a subject in its (H, W, 3) Lab image.

    Args:
        mask: of the subject.
        lab: the image.
        method: how it was found.
        component_share: share of all foreground pixels that the mask has.
        openings: openings that were found by their colour.
        given: the outline was given, by an alpha channel or a mask; then its colours prove nothing.
    """
    grave, slight = [], []
    if not given:
        step = edge_contrast(mask, lab)
        if step < _FAINT:
            grave.append(
                f"the subject hardly differs from its background at its outline (by {step:.1f} in CIE Lab); {_HINT}"
            )
        if method == "grabcut-centre":
            grave.append(f"nothing stood out clearly, so what lies in the middle of the frame was taken; {_HINT}")
    if openings == 1:
        slight.append("an opening shows what looks like the background and stays open; mask_path says if it should not")
    elif openings:
        slight.append(f"{openings} openings show what looks like the background and stay open; mask_path says if not")
    if component_share < _ALONE:
        slight.append(f"several pieces stand out; only the largest is made, {component_share:.0%} of them; {_HINT}")
    sides = touched_sides(mask)
    if sides:
        named = " and ".join([", ".join(sides[:-1]), sides[-1]] if len(sides) > 1 else sides)
        slight.append(f"the frame cuts the subject off at its {named} edge: it ends there")
    if mask.mean() < _SMALL:
        slight.append(f"the subject covers {mask.mean():.1%} of the frame, so its outline is coarse; crop the image")
    level = "low" if grave else "medium" if slight else "high"
    return Confidence(level, [*grave, *slight])


def edge_contrast(mask: BoolArray, lab: FloatArray) -> float:
    """Median Lab distance between the pixels inside the outline and the nearest ones outside, two pixels from it."""
    deep, apart = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    inner, outer = (deep > 1) & (deep <= 3), (apart > 1) & (apart <= 3)
    if not inner.any() or not outer.any():
        return 0.0
    soft = ndimage.median_filter(lab, size=(3, 3, 1))
    nearest = ndimage.distance_transform_edt(~outer, return_distances=False, return_indices=True)
    across = soft[nearest[0][inner], nearest[1][inner]]
    return float(np.median(np.linalg.norm(soft[inner] - across, axis=1)))


def touched_sides(mask: BoolArray) -> list[str]:
    """The sides of the frame that a mask touches along more than a few pixels."""
    rims = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return [side for side, rim in zip(_SIDES, rims, strict=True) if rim.mean() > _TOUCHING]
