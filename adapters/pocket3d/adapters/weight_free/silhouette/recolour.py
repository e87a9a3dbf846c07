"""Gives a photograph another colour and keeps its light and shade."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...mesh.srgb import from_srgb, to_srgb

#: Luminance of linear sRGB (Rec. 709).
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
#: Keeps the deepest shadows of a dark subject from becoming noise.
_FLOOR = 0.02
#: A pure colour cannot be brighter, so bright places turn white: from how many times the median's brightness on, up to
#: how much, and from where on so much.
_BRIGHT, _WHITEST, _BRIGHTEST = 1.3, 0.6, 2.5


def recoloured(pixels: npt.NDArray[np.uint8], colour: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) sRGB pixels in one colour, sRGB 0..1, as bright against it as each is against their median."""
    light = from_srgb(pixels / 255) @ _LUMINANCE
    share = np.clip((light + _FLOOR) / (float(np.median(light)) + _FLOOR), 0, _BRIGHTEST)
    white = _WHITEST * np.clip((share - _BRIGHT) / (_BRIGHTEST - _BRIGHT), 0, 1)[..., None]
    found = to_srgb(from_srgb(np.array(colour)) * np.minimum(share, 1)[..., None] * (1 - white) + white)
    return (found * 255 + 0.5).astype(np.uint8)
