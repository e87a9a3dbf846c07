"""Finds a picture's subject as image_to_mesh does, and compares the solid's silhouette with the known mask."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from pocket3d.adapters.weight_free.silhouette.mask import find_foreground
from pocket3d.adapters.weight_free.silhouette.photo import resized
from pocket3d.adapters.weight_free.silhouette.surface import close_surface, silhouette, smooth_field

from .photo_making import overlap
from .subject_pictures import Picture


class Measured(NamedTuple):
    """What was made of a picture."""

    #: Intersection over union with the truth, 0..1, in the picture's pixels.
    overlap: float
    holes: int
    #: Of the confidence.
    level: str
    #: (H, W) the silhouette.
    made: Any


def measured(picture: Picture, longest: int = 192, shortest: int = 128) -> Measured:
    """Cut the subject out on a grid of `longest` pixels, smooth it, close it, and look at it from the front."""
    found = find_foreground(resized(picture.rgb, longest, shortest), None)
    field = smooth_field(found.mask)
    surface = close_surface(field, np.zeros_like(field))
    shape = (found.mask.shape[0], found.mask.shape[1])
    drawn = silhouette(surface, shape)
    size = (picture.truth.shape[1], picture.truth.shape[0])
    shown = Image.fromarray((drawn * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    made = np.asarray(shown) > 127
    outside = ndimage.label(~np.pad(drawn, 1), structure=np.ones((3, 3)))[1]
    return Measured(overlap(made, picture.truth), outside - 1, found.confidence.level, made)
