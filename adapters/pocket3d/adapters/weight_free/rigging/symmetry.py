"""Finds the upright plane on whose sides a body is alike. +Y is up; a character looks along +Z or along X."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...mesh.triangles import FloatArray
from .solid import Solid

#: Offsets of the plane that are tried about the middle, as shares of the width.
_OFFSETS = np.linspace(-0.1, 0.1, 9)
#: A body of which so much lies on its own mirror image is symmetric.
SYMMETRIC = 0.85
_SAMPLES = 4000
#: The lowest and the highest part of a body, as a share of its height.
_END = 0.15


class Mirror(NamedTuple):
    """A plane x = offset (axis 0) or z = offset (axis 2)."""

    axis: int
    offset: float
    #: Share of the body that lies on its mirror image, 0..1.
    share: float

    def side(self, places: FloatArray) -> FloatArray:
        """Signed distance of positions (P, 3) from the plane."""
        found: FloatArray = places[..., self.axis] - self.offset
        return found

    def image(self, places: FloatArray) -> FloatArray:
        """The mirror images of positions (P, 3)."""
        image = np.array(places, dtype=float)
        image[..., self.axis] = 2 * self.offset - image[..., self.axis]
        return image


def _slice(solid: Solid, low: float, high: float) -> FloatArray:
    """The voxels between two heights, shares of the whole; all of them if there are none."""
    up = solid.points[:, 1]
    rise = (up - up.min()) / max(float(np.ptp(up)), 1e-30)
    found: FloatArray = solid.points[(rise >= low) & (rise <= high)]
    return found if len(found) else solid.points


def find_mirrors(solid: Solid) -> list[Mirror]:
    """The best plane across x and the best across z, the better one first."""
    sample = solid.points[:: max(1, len(solid.points) // _SAMPLES)]
    found = []
    for axis in (0, 2):
        low, high = solid.points[:, axis].min(), solid.points[:, axis].max()
        # What one hand holds moves the middle of the box, less the median, and those of feet and head not at all.
        ends = [_slice(solid, 0.0, _END), _slice(solid, 1 - _END, 1.0)]
        middles = {float(np.median(each[:, axis])) for each in (solid.points, *ends)}
        middles |= {float(each[:, axis].min() + each[:, axis].max()) / 2 for each in (solid.points, *ends)}
        steps = {0.0, *(float(step) * float(high - low) for step in _OFFSETS), *(k * solid.pitch for k in (-1, 1))}
        tried = [Mirror(axis, middle + step, 0.0) for middle in sorted(middles) for step in sorted(steps)]
        scored = [plane._replace(share=float(solid.inside(plane.image(sample)).mean())) for plane in tried]
        found.append(max(scored, key=lambda plane: plane.share))
    return sorted(found, key=lambda plane: -plane.share)
