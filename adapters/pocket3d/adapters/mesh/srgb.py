"""sRGB and linear light, each 0..1 (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np

from .triangles import FloatArray


def from_srgb(values: FloatArray) -> FloatArray:
    """Convert sRGB to linear."""
    linear: FloatArray = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear


def to_srgb(values: FloatArray) -> FloatArray:
    """Convert linear to sRGB, clipped to 0..1."""
    clipped = np.clip(values, 0, 1)
    encoded: FloatArray = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return encoded


#: (256,) linear light of the bytes of sRGB.
LINEAR_BYTES: FloatArray = from_srgb(np.arange(256) / 255)
