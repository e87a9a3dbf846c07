"""Finds openings in a subject: places inside its mask that show the background, as the hole of a ring does.

Iterated colour models do not find them by themselves: what began as foreground stays in the foreground's mixture.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...mesh.triangles import BoolArray, FloatArray
from .grabcut import Mixture

#: An opening has at least this share of the subject's filled outline; smaller ones are glints.
SMALLEST_OPENING = 0.01
#: What is left of the subject is at least so many pixels thick on average: a line drawing has no openings.
_THINNEST = 3.0
#: Background pixels that are rarer in the background's own model than this share of them are no proof.
_RAREST = 0.02
#: Nats below that which count as rounding: a wall of one colour has one likelihood.
_SLACK = 0.5
#: How sharp an opening's edge is: the step over its first pixels, as a share of the step some more pixels away. A glint
#: fades.
_SHARPEST_GLINT = 0.6
_EDGE_NEAR, _EDGE_FAR = 3, 6
#: Nats by which the background explains an opening better than what is left of the subject does.
_MARGIN = 2.0
_LEAST_PIXELS = 12


def find_openings(lab: FloatArray, mask: BoolArray, seed: int = 0) -> BoolArray:
    """(H, W) the pixels of a subject's `mask` through which the background is seen, in an (H, W, 3) Lab image."""
    none = np.zeros_like(mask)
    behind = ndimage.binary_erosion(~mask, iterations=2, border_value=1)
    if behind.sum() < 64 or mask.sum() < 64:
        return none
    away = lab - _shading(lab, behind)
    rng = np.random.default_rng(seed)
    background = Mixture(away[behind], rng)
    own = background.log_likelihood(away[behind])
    likely = background.log_likelihood(away.reshape(-1, 3)).reshape(mask.shape)
    alike = mask & (likely > np.quantile(own, _RAREST) - _SLACK)
    alike = ndimage.binary_opening(alike, structure=np.ones((3, 3)))
    labels, count = ndimage.label(alike)
    if count == 0:
        return none
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    smallest = max(SMALLEST_OPENING * mask.sum(), _LEAST_PIXELS)
    sound = np.zeros(count + 1, dtype=bool)
    for number in np.flatnonzero(sizes[1:] >= smallest) + 1:
        sound[number] = _is_sharp(lab, mask, labels == number)
    found = sound[labels]
    rest = mask & ~ndimage.binary_dilation(found, iterations=2)
    if not found.any() or rest.sum() < 64 or _thickness(mask & ~found) < _THINNEST:
        return none
    subject = Mixture(away[rest], rng)
    gain = likely - subject.log_likelihood(away.reshape(-1, 3)).reshape(mask.shape)
    for number in np.flatnonzero(sound):
        if float(np.median(gain[labels == number])) < _MARGIN:
            sound[number] = False
    opened: BoolArray = sound[labels]
    return opened


def _shading(lab: FloatArray, behind: BoolArray) -> FloatArray:
    """The background's light as a second-order polynomial of the place, fitted where it is seen, without outliers."""
    height, width, _ = lab.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    known, colours = terms[behind], lab[behind]
    kept = np.ones(len(known), dtype=bool)
    for _ in range(2):
        factors = np.linalg.lstsq(known[kept], colours[kept], rcond=None)[0]
        error = np.linalg.norm(colours - known @ factors, axis=1)
        kept = error <= max(3 * float(np.median(error)), 1e-6)
    shading: FloatArray = terms @ factors
    return shading


def _is_sharp(lab: FloatArray, mask: BoolArray, region: BoolArray) -> bool:
    """Whether the colour changes at the region's edge, and not over a distance as a glint's does."""
    apart = ndimage.distance_transform_edt(~region)
    near = mask & (apart > _EDGE_NEAR - 0.5) & (apart < _EDGE_NEAR + 0.9)
    far = mask & (apart > _EDGE_FAR - 0.5) & (apart < _EDGE_FAR + 2)
    if not near.any():
        return False
    own = np.median(lab[region], axis=0)
    first = float(np.median(np.linalg.norm(lab[near] - own, axis=1)))
    if not far.any():
        return first > 1
    return first >= _SHARPEST_GLINT * float(np.median(np.linalg.norm(lab[far] - own, axis=1)))


def _thickness(mask: BoolArray) -> float:
    """Mean thickness in pixels: twice the area over the length of the outline."""
    inner = ndimage.binary_erosion(mask)
    outline = int((mask & ~inner).sum())
    return 2.0 * float(mask.sum()) / max(outline, 1)
