"""Puts the outline of a mask where the colour is half the subject's and half the background's.

A cut along whole pixels may run anywhere through a soft edge, which an enlarged or unsharp picture has everywhere.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...mesh.triangles import BoolArray, FloatArray

#: Colours less apart than this (CIE Lab) tell nothing.
_APART = 8.0


def refined(lab: FloatArray, mask: BoolArray, reach: int) -> BoolArray:
    """The (H, W) mask with the pixels up to `reach` from its outline judged anew by their colour in (H, W, 3) Lab: each
    belongs to the nearer of the colours that the subject and the background have just beyond that reach.
    """
    deep, apart = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    band = np.where(mask, deep, apart) <= reach
    inner, outer = deep > reach, apart > reach
    if not inner.any() or not outer.any():
        return mask
    soft = ndimage.gaussian_filter(lab, (0.7, 0.7, 0))
    sides = []
    near = band
    for known in (inner, outer):
        distance, place = ndimage.distance_transform_edt(~known, return_indices=True)
        sides.append(soft[place[0], place[1]])
        # Thin limbs have no inside of their own; the colour of something far away tells nothing.
        near = near & (distance <= 2 * reach + 1)
    subject, background = sides
    way = subject - background
    length = (way * way).sum(axis=-1)
    share = ((soft - background) * way).sum(axis=-1) / np.maximum(length, 1e-9)
    sure = near & (length > _APART**2)
    found: BoolArray = np.where(sure, share > 0.5, mask)
    return found
