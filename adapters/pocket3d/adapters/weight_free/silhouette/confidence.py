"""Says in words what makes a cut-out doubtful, from what was measured on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ...mesh.triangles import BoolArray, FloatArray
from .grabcut import Mixture

#: Lab distance across the outline below which it is a guess: about what people see at a glance.
_FAINT = 6.0
#: Share of the background whose colours the subject explains better, and the other way round, from which on colours do
#: not part them: well cut photographs have up to 0.05 and 0.2.
_BACKGROUND_ALIKE, _SUBJECT_ALIKE = 0.08, 0.3
#: Share of a side of the frame that a subject touches before it counts as cut off there.
_TOUCHING = 0.04
#: Share of all foreground pixels below which the largest piece is not all that stood out.
_ALONE = 0.85
_SMALL = 0.03
#: Pixels of which colours are modelled at least.
_FEWEST = 64
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
        behind, within = alike(mask, lab)
        if behind > _BACKGROUND_ALIKE or within > _SUBJECT_ALIKE:
            grave.append(f"subject and background share colours, so its outline is partly a guess; {_HINT}")
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


def alike(mask: BoolArray, lab: FloatArray) -> tuple[float, float]:
    """The share of the background that looks more like the subject, and of the subject that looks more like the
    background, by the mixtures of their colours.
    """
    if min(mask.sum(), (~mask).sum()) < _FEWEST:
        return 0.0, 0.0
    rng = np.random.default_rng(0)
    subject, background = lab[mask], lab[~mask]
    of_subject, of_background = Mixture(subject, rng), Mixture(background, rng)
    behind = of_subject.log_likelihood(background) > of_background.log_likelihood(background)
    within = of_background.log_likelihood(subject) > of_subject.log_likelihood(subject)
    return float(behind.mean()), float(within.mean())


def touched_sides(mask: BoolArray) -> list[str]:
    """The sides of the frame that a mask touches along more than a few pixels."""
    rims = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return [side for side, rim in zip(_SIDES, rims, strict=True) if rim.mean() > _TOUCHING]
