"""Finds the foreground of a photograph: the pixels of its subject, the method that found them and how clear it was.

Everything here works on small arrays (a long side of a few hundred pixels) and on values; files are `photo`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ...mesh.triangles import BoolArray, FloatArray
from .confidence import Confidence, judge
from .grabcut import GAMMA, grabcut
from .openings import find_openings
from .outline import refined
from .saliency import saliency, slic, srgb_to_lab

#: A subject smaller than this share of the frame is noise, a larger one is the frame itself.
SMALLEST_SUBJECT = 0.01
LARGEST_SUBJECT = 0.95
#: Holes smaller than this share of the mask are glints and spots, and are filled; larger ones stay open.
_SMALLEST_HOLE = 0.01
#: A mask this small and this torn is a few striking spots (the eyes of a cat that fills the frame), not a subject.
_SPOTS_FRACTION = 0.10
_SPOTS_SHARE = 0.75
#: How far from the cut an outline is looked for, in pixels.
_REACH = 2
#: The prior in an opening, and in the rest of a given box.
_IN_OPENING, _IN_BOX = 0.03, 0.8
#: The box for subjects that fill the frame: this share of the frame lies inside, on each axis.
_CENTRE_BOX = 0.84
_HINT = "a photo of one subject that stands out from its background works best, or an image with an alpha channel"
_METHOD_NAMES = {
    "alpha": "alpha channel of the image, threshold 0.5",
    "grabcut": (
        "GrabCut (iterated Gaussian mixtures and graph cuts; Rother et al. 2004), started from robust background"
        " detection on SLIC superpixels (Zhu et al. 2014)"
    ),
    "grabcut-centre": "GrabCut (Rother et al. 2004), started from a box in the middle of the frame",
    "grabcut-box": "GrabCut (Rother et al. 2004), started from the box of the request",
    "mask": "the mask of the request",
}


class NoSubject(ValueError):
    """No subject could be parted from its background; the message says why and what helps."""


class Foreground(NamedTuple):
    """A subject's mask and where it came from."""

    #: (H, W)
    mask: BoolArray
    #: A mask method (see `PhotoOptions`) other than `auto`; `mask` or `grabcut-box` where the request said where it is.
    method: str
    #: The method in words, with its source.
    description: str
    #: Share of the frame that the mask covers.
    fraction: float
    #: Share of all foreground pixels that lie in this, the largest, component.
    component_share: float
    confidence: Confidence


def find_foreground(
    rgb: FloatArray,
    alpha: FloatArray | None,
    method: str = "auto",
    *,
    given: BoolArray | None = None,
    box: tuple[float, float, float, float] | None = None,
    seed: int = 0,
    between: Callable[[str], None] = lambda _stage: None,
) -> Foreground:
    """The subject of an image.

    Args:
        rgb: (H, W, 3) sRGB in 0..1.
        alpha: (H, W) in 0..1, or None if the image has no channel that says anything.
        method: a mask method (see `PhotoOptions`). `auto` takes a real alpha channel, else `grabcut`, and falls back on
            `grabcut-centre` if only scattered spots were found.
        given: (H, W) the subject's mask, in place of a method.
        box: left, upper, right and lower edge of what holds the subject, as shares of the frame.
        seed: of the colour models.
        between: called with a word before each stage, so that a caller can report and cancel.

    Raises:
        NoSubject: nothing, next to nothing, next to everything, or with `auto` only scattered spots are foreground.
    """
    lab = srgb_to_lab(rgb)
    within = np.ones(lab.shape[:2], dtype=bool) if box is None else _inside(box, (lab.shape[0], lab.shape[1]))
    if given is not None:
        return _judge(given & within, "mask", lab)
    if method == "alpha" or (method == "auto" and alpha is not None):
        if alpha is None:
            raise NoSubject("the image has no alpha channel with transparent pixels; use mask_method auto or grabcut")
        return _judge((alpha > 0.5) & within, "alpha", lab)
    if float(lab.std(axis=(0, 1)).max()) < 0.5:
        raise NoSubject("the image is of one even colour; no subject can be told from its background")
    if method == "grabcut-centre":
        between("cutting the foreground")
        prior = np.where(within, _centre_prior(lab), 0)
        return _judge_cut(_cut(lab, prior, seed, between), "grabcut-centre", lab)
    if box is not None:
        between("cutting the foreground")
        return _judge_cut(_cut(lab, np.where(within, _IN_BOX, 0), seed, between), "grabcut-box", lab)
    between("looking for the subject")
    regions = slic(lab)
    prior = saliency(regions, (lab.shape[0], lab.shape[1]))[regions.labels]
    between("cutting the foreground")
    cut = _cut(lab, prior, seed, between)
    if method == "grabcut" or not _only_spots(cut[0]):
        return _judge_cut(cut, "grabcut", lab)
    between("cutting the foreground again, from the middle")
    cut = _cut(lab, _centre_prior(lab), seed, between)
    share = largest_component(cut[0])[0].mean()
    if _only_spots(cut[0]) and share >= SMALLEST_SUBJECT:
        raise NoSubject(f"only scattered spots stand out, the largest covers {share:.1%} of the image; {_HINT}")
    return _judge_cut(cut, "grabcut-centre", lab)


def _inside(box: tuple[float, float, float, float], shape: tuple[int, int]) -> BoolArray:
    left, upper, right, lower = box
    y, x = ((np.arange(side) + 0.5) / side for side in shape)
    return ((y > upper) & (y < lower))[:, None] & ((x > left) & (x < right))[None]


def _only_spots(mask: BoolArray) -> bool:
    component, share = largest_component(mask)
    return bool(component.mean() < _SPOTS_FRACTION and share < _SPOTS_SHARE)


def _cut(lab: FloatArray, prior: FloatArray, seed: int, between: Callable[[str], None]) -> tuple[BoolArray, BoolArray]:
    """GrabCut at half size until it converges, then once at full size: most work happens on a quarter of the pixels.

    Returns:
        The foreground, and the openings in it that were found in between.
    """
    coarse = _half(lab)
    start = grabcut(
        coarse, _half(prior), gamma=GAMMA / 2, seed=seed, between=lambda _round: between("cutting the foreground")
    )
    opened = find_openings(coarse, largest_component(start)[0], seed)
    if opened.sum() > _MOST_OPENED * start.sum():
        # That is the subject itself, which looks like what lies around it.
        opened = np.zeros_like(opened)
    start = start & ~opened
    height, width = prior.shape
    rows = np.minimum(np.arange(height) // 2, start.shape[0] - 1)
    columns = np.minimum(np.arange(width) // 2, start.shape[1] - 1)
    fine, opened = start[rows][:, columns], opened[rows][:, columns]
    between("refining the outline")
    refined = np.where(prior == 0, 0, 0.5 * prior + 0.5 * fine)
    refined[opened] = np.minimum(refined[opened], _IN_OPENING)
    return grabcut(lab, refined, start=fine, seed=seed, iterations=1), opened


def _half(values: FloatArray) -> FloatArray:
    height, width = values.shape[0] // 2 * 2, values.shape[1] // 2 * 2
    even = values[:height, :width]
    half: FloatArray = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
    return half


#: Openings take at most this share of a subject: that of a ring a twentieth as wide as it is large.
_MOST_OPENED = 0.8


def _centre_prior(lab: FloatArray) -> FloatArray:
    height, width, _ = lab.shape
    yy, xx = np.mgrid[0:height, 0:width]
    inside = (abs((yy + 0.5) / height - 0.5) < _CENTRE_BOX / 2) & (abs((xx + 0.5) / width - 0.5) < _CENTRE_BOX / 2)
    return np.where(inside, 0.8, 0.0)


def largest_component(mask: BoolArray) -> tuple[BoolArray, float]:
    """The largest 4-connected piece of a mask and its share of all its pixels (0 for an empty mask)."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros_like(mask), 0.0
    sizes = np.bincount(labels.ravel())[1:]
    return labels == int(sizes.argmax()) + 1, float(sizes.max() / sizes.sum())


def fill_small_holes(mask: BoolArray, smallest: float = _SMALLEST_HOLE) -> BoolArray:
    """Close holes of less than `smallest` of the mask's pixels."""
    # Background connects diagonally where the foreground does not: the two must not cross.
    labels, _ = ndimage.label(~mask, structure=np.ones((3, 3), dtype=int))
    sizes = np.bincount(labels.ravel())
    small = sizes < smallest * mask.sum()
    small[0] = False
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    small[outside] = False
    filled: BoolArray = mask | small[labels]
    return filled


def _judge_cut(cut: tuple[BoolArray, BoolArray], method: str, lab: FloatArray) -> Foreground:
    found, opened = cut
    still = ndimage.label(opened & ~found)[1]
    return _judge(refined(lab, found, _REACH), method, lab, still)


def _judge(raw: BoolArray, method: str, lab: FloatArray, openings: int = 0) -> Foreground:
    component, share = largest_component(raw)
    # A mask that somebody drew means its holes.
    mask = component if method == "mask" else fill_small_holes(component)
    fraction = float(mask.mean())
    if fraction < SMALLEST_SUBJECT:
        raise NoSubject(f"the subject found covers {fraction:.1%} of the image, at least 1 % is needed; {_HINT}")
    if fraction > LARGEST_SUBJECT:
        raise NoSubject(f"the subject found covers {fraction:.1%} of the image, so nothing is background; {_HINT}")
    confidence = judge(
        mask, lab, method=method, component_share=share, openings=openings, given=method in ("mask", "alpha")
    )
    return Foreground(mask, method, _METHOD_NAMES[method], fraction, share, confidence)
