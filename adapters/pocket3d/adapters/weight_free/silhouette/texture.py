"""Cuts the texture out of the photograph and paints over the background, which would show at the rim otherwise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from ...mesh.triangles import FloatArray

#: Pixels of the mask's grid next to the outline that are painted over as well: they mix subject and background.
_RIM = 1.0


class Texture(NamedTuple):
    """A cut-out of the photograph and where it lies on the mask's grid."""

    #: (h, w, 3) uint8 sRGB.
    pixels: npt.NDArray[np.uint8]
    #: (x, y) of the cut-out's upper left corner, in pixels of the mask's grid counted from its own corner.
    origin: tuple[float, float]
    #: (width, height) of the cut-out, in pixels of the mask's grid.
    size: tuple[float, float]

    def uv(self, points: FloatArray) -> FloatArray:
        """(N, 2) texture coordinates, origin upper left, of (N, 2) points whose whole numbers are pixel centres."""
        uv: FloatArray = np.clip((points + 0.5 - np.array(self.origin)) / np.array(self.size), 0, 1)
        return uv


def cut_texture(photo: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> Texture:
    """Cut the subject's box out of the photo and spread its colours over the background.

    `photo` is (H, W, 3) of any resolution, `mask` (h, w) of the same frame.
    """
    rows, columns = np.nonzero(mask)
    top, bottom = max(0, int(rows.min()) - 2), min(mask.shape[0], int(rows.max()) + 3)
    left, right = max(0, int(columns.min()) - 2), min(mask.shape[1], int(columns.max()) + 3)
    down, across = photo.shape[0] / mask.shape[0], photo.shape[1] / mask.shape[1]
    box = [round(left * across), round(top * down), round(right * across), round(bottom * down)]
    pixels = photo[box[1] : box[3], box[0] : box[2]].copy()
    size = (pixels.shape[1], pixels.shape[0])
    core = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] > _RIM
    if not core.any():
        core = mask
    region = Image.fromarray((core[top:bottom, left:right] * 255).astype(np.uint8))
    keep = np.asarray(region.resize(size, Image.Resampling.BILINEAR)) > 127
    if keep.any():
        nearest = ndimage.distance_transform_edt(~keep, return_distances=False, return_indices=True)
        pixels = pixels[nearest[0], nearest[1]]
    return Texture(
        np.ascontiguousarray(pixels),
        (box[0] / across, box[1] / down),
        ((box[2] - box[0]) / across, (box[3] - box[1]) / down),
    )
