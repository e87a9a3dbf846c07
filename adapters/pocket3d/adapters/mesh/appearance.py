"""What a part's surface looks like at places on it: for meshes that are made anew and keep their colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .nearest import Places
from .triangles import FloatArray
from .write import MeshPart


def colours_at(part: MeshPart, places: Places) -> npt.NDArray[np.uint8] | None:
    """(N, 4) sRGB with alpha at places on the part's faces, to be multiplied with its material; None where it has
    neither a texture nor colours at its vertices.
    """
    if part.colours is None and part.texture is None:
        return None
    found = np.full((len(places.triangle), 4), 255.0)
    if part.colours is not None:
        found *= _between(part.colours.astype(np.float64), part, places) / 255
    if part.texture is not None and part.uv is not None:
        found[:, :3] *= texels(part.texture, _between(part.uv, part, places)) / 255
    return (found.clip(0, 255) + 0.5).astype(np.uint8)


def uv_at(part: MeshPart, places: Places) -> FloatArray | None:
    """(N, 2) texture coordinates at places on the part's faces; None without."""
    return None if part.uv is None else _between(part.uv, part, places)


def texels(texture: npt.NDArray[np.uint8], uv: FloatArray) -> FloatArray:
    """(N, C) of a (H, W, C) texture at (N, 2), origin upper left, bilinear, repeated beyond its edges."""
    height, width = texture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    left, top = np.floor(x), np.floor(y)
    right, down = (x - left)[:, None], (y - top)[:, None]
    columns = [(left.astype(np.int64) + step) % width for step in (0, 1)]
    rows = [(top.astype(np.int64) + step) % height for step in (0, 1)]
    corner = [[texture[row, column].astype(np.float64) for column in columns] for row in rows]
    upper = corner[0][0] * (1 - right) + corner[0][1] * right
    lower = corner[1][0] * (1 - right) + corner[1][1] * right
    mixed: FloatArray = upper * (1 - down) + lower * down
    return mixed


def _between(values: Any, part: MeshPart, places: Places) -> FloatArray:
    corners = np.asarray(values)[part.faces[places.triangle]]
    mixed: FloatArray = (corners * places.weights[..., None]).sum(axis=1)
    return mixed
