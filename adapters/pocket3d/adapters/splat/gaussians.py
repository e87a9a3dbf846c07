"""A cloud of Gaussians as arrays, and what must hold of it before anybody is given its file.

The quantities are those of Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (2023).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Beyond it squares leave single precision, in which viewers compute.
MAX_COORDINATE = 1e15
#: Fainter ones are not drawn: less than one step of an 8-bit channel.
FAINTEST = 1 / 255
_DIGITS = 6


class BrokenSplat(RuntimeError):
    """The file is no sound cloud of Gaussians; the message says why, without its name."""


class Gaussians(NamedTuple):
    """N Gaussians in the units and axes of their file."""

    #: (N, 3) centres.
    positions: Floats
    #: (N, 3) standard deviations along the Gaussian's own axes.
    scales: Floats
    #: (N, 4) rotations of these axes, quaternions w, x, y, z of any length but 0.
    rotations: Floats
    #: (N, 3) sRGB; 0..1 is what a screen shows.
    colours: Floats
    #: (N,) 0..1.
    opacities: Floats

    def check(self) -> None:
        """Find what a viewer would choke on.

        Raises:
            BrokenSplat: there are none, or numbers that are not finite, or out of their range.
        """
        if len(self.positions) == 0:
            raise BrokenSplat("there are no Gaussians in it")
        for name, values in self._asdict().items():
            bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if bad.any():
                raise BrokenSplat(f"{int(bad.sum()):,} of {len(bad):,} Gaussians have {name} that are not finite")
        far = float(np.abs(self.positions).max())
        if far > MAX_COORDINATE:
            raise BrokenSplat(f"a Gaussian lies at {far:g}, at most {MAX_COORDINATE:g} is drawn")
        if not (self.scales > 0).all():
            raise BrokenSplat(f"the smallest scale is {float(self.scales.min()):g}; want more than 0")
        if not (np.abs(self.rotations).max(axis=1) > 0).all():
            raise BrokenSplat("a rotation is all zeros")
        if self.opacities.min() < 0 or self.opacities.max() > 1:
            raise BrokenSplat("an opacity is not within 0 to 1")

    def statistics(self) -> dict[str, object]:
        """Count and measure them.

        Returns:
            `gaussians`; `visible`, those that are not fainter than one step of an 8-bit channel; `bounds`, the lowest
            and the highest corner of the centres' box; `extents`, its sides; `largest_scale`. In the file's units.
        """
        low, high = self.positions.min(axis=0), self.positions.max(axis=0)
        return {
            "gaussians": len(self.positions),
            "visible": int((self.opacities >= FAINTEST).sum()),
            "bounds": [_rounded(low), _rounded(high)],
            "extents": _rounded(high - low),
            "largest_scale": round(float(self.scales.max()), _DIGITS),
        }


def _rounded(values: Floats) -> list[float]:
    return [round(float(each), _DIGITS) for each in values]
