"""Makes texture coordinates with xatlas, and finds the point of the surface that each texel shows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...mesh.triangles import FloatArray, IntArray
from ..unwrapping.layout import Layout
from ..unwrapping.packing import lay_out_planes

#: Pairs of texel and triangle looked at together.
_CHUNK = 2_000_000
_EDGE = 1e-6


class Texels(NamedTuple):
    """The texels that show a surface."""

    #: (N,) row * resolution + column.
    where: Tensor
    #: (N,) triangle, over all meshes in turn.
    triangle: Tensor
    #: (N, 3) weights of its corners.
    weights: Tensor
    #: Texels whose middle lies inside more than one triangle, edges left out: 0 unless charts overlap.
    overlapping: int


def unwrap(
    meshes: Sequence[tuple[FloatArray, IntArray]], resolution: int, check: Callable[[], None]
) -> tuple[list[Layout], int]:
    """Cut all meshes into charts and pack them into one square: a layout for each, and the number of charts.

    `check` is called meanwhile, and raises to end it.

    Raises:
        NoUnwrap: no triangle has an area, or the charts do not fit.
    """
    return lay_out_planes(meshes, resolution=resolution, folder=Path(tempfile.gettempdir()), check=check)


def rasterise(
    corners: FloatArray, resolution: int, device: str, between: Callable[[float], None] = lambda share: None
) -> Texels:
    """Find the triangle in which the middle of each texel lies.

    `corners` are (F, 3, 2) texture coordinates; `between` is called with the share that is done.
    """
    placed = torch.as_tensor(corners, dtype=torch.float64, device=device) * resolution - 0.5
    low = torch.ceil(placed.amin(dim=1) - _EDGE).long().clamp(0, resolution - 1)
    high = torch.floor(placed.amax(dim=1) + _EDGE).long().clamp(0, resolution - 1)
    size = (high - low + 1).clamp(min=0)
    count = size[:, 0] * size[:, 1]
    ends = torch.cumsum(count, 0)
    total = int(ends[-1])
    owner = torch.full((resolution * resolution,), -1, dtype=torch.int64, device=device)
    weights_of = torch.zeros((resolution * resolution, 3), dtype=torch.float32, device=device)
    inside_of = torch.zeros(resolution * resolution, dtype=torch.int32, device=device)
    for start in range(0, total, _CHUNK):
        between(start / total)
        pair = torch.arange(start, min(start + _CHUNK, total), device=device)
        triangle = torch.searchsorted(ends, pair, right=True)
        rest = pair - (ends[triangle] - count[triangle])
        column = low[triangle, 0] + rest % size[triangle, 0]
        row = low[triangle, 1] + torch.div(rest, size[triangle, 0], rounding_mode="floor")
        weights = _weights(placed[triangle], column.double(), row.double())
        least = weights.amin(dim=1)
        hit = least >= -_EDGE
        texel, found = row[hit] * resolution + column[hit], triangle[hit]
        # On an edge that two triangles share the last one has it; torch's threads would write them in any order.
        owner.scatter_reduce_(0, texel, found, "amax")
        mine = owner[texel] == found
        weights_of[texel[mine]] = weights[hit][mine].float()
        strictly = least > 1e-4
        inside_of.index_add_(
            0,
            row[strictly] * resolution + column[strictly],
            torch.ones(int(strictly.sum()), dtype=torch.int32, device=device),
        )
    covered = torch.nonzero(owner >= 0).flatten()
    return Texels(covered, owner[covered], weights_of[covered], int((inside_of > 1).sum()))


def fill(pixels: npt.NDArray[np.uint8], covered: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Give every texel between the charts the value of the nearest covered one."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    filled: npt.NDArray[np.uint8] = pixels[rows, columns]
    return filled


def _weights(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(N, 3) barycentric coordinates of points in triangles; -1 where a triangle has no area."""
    a, b, c = corners.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    of_b = (x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (y - a[:, 1])
    of_c = (b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (x - a[:, 0]) * (b[:, 1] - a[:, 1])
    flat = area.abs() < 1e-12
    safe = torch.where(flat, torch.ones_like(area), area)
    weights = torch.stack([1 - (of_b + of_c) / safe, of_b / safe, of_c / safe], dim=1)
    return torch.where(flat[:, None], torch.full_like(weights, -1.0), weights)
