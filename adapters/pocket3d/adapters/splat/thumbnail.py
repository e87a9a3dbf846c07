"""Draws a small picture of Gaussians on the CPU, each as a round blot of its mean size.

The blots of a pixel are blended from front to back, in sRGB, as splat viewers do (Kerbl et al. 2023, equation 3).
The projection is parallel: proportions stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .gaussians import FAINTEST, Floats, Gaussians

SIZE = 256
#: Seen from the front, to the right and from above, degrees: as the pictures of meshes.
_AZIMUTH, _ELEVATION = 35.0, 22.0
_BORDER = 0.94
_BACKGROUND_TOP = (0.96, 0.965, 0.975)
_BACKGROUND_BOTTOM = (0.80, 0.82, 0.85)
#: Blots are cut off after so many standard deviations.
_REACH = 2.0
#: Radii of blots, pixels; one that is larger is drawn with the largest.
_RADII = (1, 2, 4, 8, 16)
#: Most pixels of all blots together (each takes some 50 bytes); beyond it they are drawn smaller.
_MOST_PIXELS = 4_000_000
#: Share of the centres that lie within the picture for certain: a few strays would make the subject a speck.
_FRAMED = 0.99
_MOST_OPAQUE = 0.99


def draw_gaussians(cloud: Gaussians, to_view: Floats, size: int = SIZE) -> Any:
    """A `PIL.Image.Image` (size x size, RGB).

    `to_view` is the rotation (3, 3) that takes the file's axes to +Y up and +Z towards the viewer.
    """
    from PIL import Image

    picture = _background(size).reshape(-1, 3)
    seen = cloud.opacities >= FAINTEST
    if seen.any():
        _draw(cloud, seen, to_view, size, picture)
    pixels = np.clip(picture, 0, 1).reshape(size, size, 3)
    return Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))


def _draw(cloud: Gaussians, seen: Any, to_view: Floats, size: int, picture: Floats) -> None:
    places = cloud.positions[seen] @ (_camera() @ to_view).T
    tail = (1 - _FRAMED) / 2
    low, high = np.quantile(places, [tail, 1 - tail], axis=0)
    half = max(float((high - low)[:2].max()) / 2, 1e-9)
    zoom = size / 2 * _BORDER / half
    middle = (low + high) / 2
    flat = (places[:, :2] - middle[:2]) * [zoom, -zoom] + size / 2
    # The nearest first; ties stay in the file's order.
    order = np.argsort(-places[:, 2], kind="stable")
    sigma = np.clip(np.cbrt(cloud.scales[seen].prod(axis=1)) * zoom, 0.5, _RADII[-1] / _REACH)[order]
    blots = _blots(flat[order], sigma, cloud.opacities[seen][order], size)
    pixel, owner, alpha = blots
    colours = np.clip(cloud.colours[seen][order], 0, 1)[owner]
    # Of each blot, what those before it in the same pixel let through: a product within the pixel, as a sum of logs.
    logs = np.log1p(-alpha)
    before = np.cumsum(logs) - logs
    first = np.r_[True, pixel[1:] != pixel[:-1]] if len(pixel) else np.zeros(0, dtype=bool)
    weight = alpha * np.exp(before - before[first][np.cumsum(first) - 1])
    covered = np.bincount(pixel, weight, size * size)
    picture *= (1 - covered)[:, None]
    for channel in range(3):
        picture[:, channel] += np.bincount(pixel, weight * colours[:, channel], size * size)


def _camera() -> Floats:
    """The rotation (3, 3) to right, up and back of the picture."""
    azimuth, elevation = np.radians(_AZIMUTH), np.radians(_ELEVATION)
    back = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])


def _blots(flat: Floats, sigma: Floats, opacity: Floats, size: int) -> tuple[Any, Any, Any]:
    """Pixel index, index of the Gaussian and opacity of every pixel of every blot, by pixel and then from the front.

    `flat` (N, 2) are places in pixels, from the front to the back.
    """
    needed = np.searchsorted(_RADII, np.ceil(sigma * _REACH))
    while ((2 * np.asarray(_RADII)[needed] + 1) ** 2).sum() > _MOST_PIXELS and needed.max() > 0:
        needed = np.minimum(needed, needed.max() - 1)
    pixels, owners, alphas = [], [], []
    for number, radius in enumerate(_RADII):
        index = np.flatnonzero(needed == number)
        near = np.arange(-radius, radius + 1)
        dx, dy = (each.ravel() for each in np.meshgrid(near, near))
        corner = np.floor(flat[index]).astype(np.int64)
        x, y = corner[:, :1] + dx, corner[:, 1:] + dy
        distance = (x + 0.5 - flat[index, :1]) ** 2 + (y + 0.5 - flat[index, 1:]) ** 2
        alpha = opacity[index, None] * np.exp(-distance / (2 * sigma[index, None] ** 2))
        kept = (alpha >= FAINTEST) & (x >= 0) & (x < size) & (y >= 0) & (y < size)
        pixels.append((y * size + x)[kept])
        owners.append(np.broadcast_to(index[:, None], kept.shape)[kept])
        alphas.append(np.minimum(alpha[kept], _MOST_OPAQUE))
    pixel, owner, alpha = (np.concatenate(each) for each in (pixels, owners, alphas))
    order = np.argsort(pixel * len(flat) + owner)
    return pixel[order], owner[order], alpha[order]


def _background(size: int) -> Floats:
    share = np.linspace(0, 1, size)[:, None]
    rows = (1 - share) * np.array(_BACKGROUND_TOP) + share * np.array(_BACKGROUND_BOTTOM)
    shown: Floats = np.repeat(rows, size, axis=0)
    return shown
