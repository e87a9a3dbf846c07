"""Pictures made for tests, with the truth about their subject."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def disc(size: int, radius: float, centre: tuple[float, float] | None = None) -> npt.NDArray[np.bool_]:
    """A (size, size) mask of a disc."""
    row, column = centre or ((size - 1) / 2, (size - 1) / 2)
    yy, xx = np.mgrid[0:size, 0:size]
    return (yy - row) ** 2 + (xx - column) ** 2 <= radius**2


def noisy_scene(seed: int = 0) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """A reddish blob of two colours on a cluttered greenish ground, with shading and noise: (photo, truth)."""
    rng = np.random.default_rng(seed)
    height, width = 150, 220
    yy, xx = np.mgrid[0:height, 0:width]
    truth = ((yy - 80) / 50) ** 2 + ((xx - 115) / 62) ** 2 <= 1
    truth &= ~(((yy - 55) ** 2 + (xx - 160) ** 2) <= 14**2)
    ground = np.stack([90 + 0.1 * xx, 120 + 0.2 * yy, 70 + 0.0 * xx], axis=-1)
    ground += 25 * ndimage.gaussian_filter(rng.normal(size=(height, width, 3)), (6, 6, 0)) / 0.05 * 0.1
    subject = np.stack([190 - 0.4 * yy, 60 + 0.1 * xx, 50 + 0.0 * xx], axis=-1)
    subject[((yy - 95) ** 2 + (xx - 100) ** 2) <= 22**2] = [215, 180, 60]
    picture = np.where(truth[..., None], subject, ground)
    picture = ndimage.gaussian_filter(picture, (0.7, 0.7, 0)) + rng.normal(scale=6, size=picture.shape)
    return picture.clip(0, 255).astype(np.uint8), truth


def overlap(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())


def face_that_fills_the_frame() -> npt.NDArray[np.uint8]:
    """Fur that is lighter in the middle and reaches all edges; only two eyes and a nose differ much: (150, 200, 3)."""
    rng = np.random.default_rng(0)
    height, width = 150, 200
    yy, xx = np.mgrid[0:height, 0:width]
    far = np.hypot((yy - height / 2) / (0.55 * height), (xx - width / 2) / (0.55 * width))
    middle = np.clip(1 - far**2, 0, 1)[..., None]
    picture = np.array([110, 82, 60]) * (1 - middle) + np.array([190, 150, 110]) * middle
    picture += 107 * ndimage.gaussian_filter(rng.normal(size=(height, width, 1)), (2, 2, 0))
    for row, column, radius, colour in (
        (60, 70, 9, (60, 200, 80)),
        (60, 130, 9, (60, 200, 80)),
        (95, 100, 7, (240, 90, 120)),
    ):
        picture[(yy - row) ** 2 + (xx - column) ** 2 <= radius**2] = colour
    picture += rng.normal(scale=6, size=picture.shape)
    return picture.clip(0, 255).astype(np.uint8)
