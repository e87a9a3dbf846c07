"""Pictures of one subject each, made so that its mask is known: shapes with holes and without, on many backgrounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

Array = Any
#: Samples along each side of a pixel.
_SAMPLES = 3


class Picture(NamedTuple):
    """A picture and what is its subject."""

    name: str
    #: (H, W, 3) uint8.
    rgb: Array
    #: (H, W) bool.
    truth: Array
    #: How many holes the subject has.
    holes: int


def _ellipse(x: Array, y: Array, u: float, v: float, a: float, b: float) -> Array:
    return ((x - u) / a) ** 2 + ((y - v) / b) ** 2 <= 1


def _box(x: Array, y: Array, left: float, top: float, right: float, bottom: float) -> Array:
    return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def _disc(x: Array, y: Array) -> Array:
    return _ellipse(x, y, 0, 0, 0.7, 0.7)


def _ring(x: Array, y: Array) -> Array:
    return _disc(x, y) & ~_ellipse(x, y, 0, 0, 0.33, 0.33)


def _mug(x: Array, y: Array) -> Array:
    handle = _ellipse(x, y, 0.32, 0, 0.36, 0.42) & ~_ellipse(x, y, 0.32, 0, 0.2, 0.25)
    return _box(x, y, -0.6, -0.6, 0.32, 0.62) | (handle & (x > 0.3))


def _chair(x: Array, y: Array) -> Array:
    back = (
        _box(x, y, -0.5, -0.85, 0.5, 0.15) & ~_box(x, y, -0.36, -0.7, -0.07, 0.0) & ~_box(x, y, 0.07, -0.7, 0.36, 0.0)
    )
    legs = _box(x, y, -0.55, 0.1, -0.4, 0.85) | _box(x, y, 0.4, 0.1, 0.55, 0.85)
    return back | legs | _box(x, y, -0.58, 0.08, 0.58, 0.3)


def _animal(x: Array, y: Array) -> Array:
    body = _ellipse(x, y, 0, 0.05, 0.55, 0.27) | _ellipse(x, y, -0.62, -0.3, 0.2, 0.17)
    neck = _box(x, y, -0.62, -0.4, -0.4, 0.05)
    legs = [_box(x, y, u, 0.1, u + 0.13, 0.75) for u in (-0.45, -0.22, 0.15, 0.38)]
    return np.any([body, neck, *legs], axis=0)


def _star(x: Array, y: Array) -> Array:
    angle = np.arctan2(y, x)
    return np.hypot(x, y) <= 0.55 + 0.22 * np.cos(5 * angle + 1.57)


def _eight(x: Array, y: Array) -> Array:
    outer = _ellipse(x, y, 0, -0.4, 0.4, 0.42) | _ellipse(x, y, 0, 0.35, 0.48, 0.48)
    return outer & ~_ellipse(x, y, 0, -0.4, 0.17, 0.18) & ~_ellipse(x, y, 0, 0.35, 0.22, 0.22)


def _bottle(x: Array, y: Array) -> Array:
    return _box(x, y, -0.28, -0.2, 0.28, 0.8) | _box(x, y, -0.1, -0.8, 0.1, -0.1) | _ellipse(x, y, 0, -0.2, 0.28, 0.25)


SHAPES: dict[str, tuple[Callable[[Array, Array], Array], int]] = {
    "disc": (_disc, 0),
    "ring": (_ring, 1),
    "mug": (_mug, 1),
    "chair": (_chair, 2),
    "animal": (_animal, 0),
    "star": (_star, 0),
    "eight": (_eight, 2),
    "bottle": (_bottle, 0),
}
BACKGROUNDS = ("plain", "gradient", "boards", "noise", "clutter")
_SUBJECTS = ((178, 84, 26), (46, 92, 160), (150, 40, 60), (60, 120, 70), (215, 180, 60), (40, 40, 46))
_GROUNDS = ((234, 233, 231), (120, 150, 160), (205, 200, 180), (90, 110, 90))


def picture(
    shape: str, background: str, size: tuple[int, int], seed: int = 0, shift: tuple[float, float] = (0.0, 0.0)
) -> Picture:
    """A shaded subject before a background, (height, width) pixels, moved by `shift` of half the shorter side."""
    rng = np.random.default_rng(seed)
    height, width = size
    half = min(size) / 2
    grid_y, grid_x = np.mgrid[0 : height * _SAMPLES, 0 : width * _SAMPLES]
    x = ((grid_x + 0.5) / _SAMPLES - width / 2) / half - shift[0]
    y = ((grid_y + 0.5) / _SAMPLES - height / 2) / half - shift[1]
    outline, holes = SHAPES[shape]
    covered = outline(x, y).reshape(height, _SAMPLES, width, _SAMPLES).mean(axis=(1, 3))
    yy, xx = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ground = np.broadcast_to(np.array(_GROUNDS[seed % len(_GROUNDS)], dtype=float), (height, width, 3)).copy()
    if background == "gradient":
        ground *= (0.7 + 0.35 * yy + 0.1 * xx)[..., None]
    elif background == "boards":
        boards = np.sin(2 * np.pi * (7 * yy + 0.3 * np.sin(3 * xx)))
        ground *= (0.9 + 0.06 * boards)[..., None]
    elif background == "noise":
        ground += rng.normal(scale=14, size=ground.shape)
    elif background == "clutter":
        blobs = ndimage.gaussian_filter(rng.normal(size=ground.shape), (half / 8, half / 8, 0))
        ground += 22 * blobs / blobs.std()
    subject = np.array(_SUBJECTS[seed % len(_SUBJECTS)]) * (1.1 - 0.35 * yy - 0.1 * xx)[..., None]
    if seed % 3 == 1:
        band = (np.abs(y) < 0.18).reshape(height, _SAMPLES, width, _SAMPLES).mean(axis=(1, 3))[..., None]
        subject = subject * (1 - band) + np.array([200, 60, 50]) * band
    mixed = ground * (1 - covered[..., None]) + subject * covered[..., None]
    mixed += rng.normal(scale=2.5, size=mixed.shape)
    return Picture(
        f"{shape}, {background}, {width} x {height}", mixed.clip(0, 255).astype(np.uint8), covered > 0.5, holes
    )


def gallery(most: int = 1024) -> Iterator[Picture]:
    """Every shape before every background, at sizes from 32 to `most` pixels; some are cut off by the frame."""
    sizes = ((150, 200), (192, 192), (64, 64), (300, 220), (32, 32), (256, 384), (96, 128), (1024, 768))
    for row, shape in enumerate(SHAPES):
        for column, background in enumerate(BACKGROUNDS):
            number = len(BACKGROUNDS) * row + column
            size = sizes[number % len(sizes)]
            if max(size) > most:
                size = (most, most * 3 // 4)
            shift = (
                ((0.0, 0.0), (0.0, 0.45), (0.12, -0.05), (-0.42, 0.0))[number % 4] if number % 3 == 2 else (0.0, 0.0)
            )
            yield picture(shape, background, size, number, shift)
