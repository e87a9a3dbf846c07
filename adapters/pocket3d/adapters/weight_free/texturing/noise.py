"""Noise functions of a position on torch tensors: gradient noise, its sums, and cellular noise. They are seeded, and
the same on every device up to rounding.

- `perlin`: Perlin, "Improving Noise" (SIGGRAPH 2002): quintic fade, twelve gradients, permutation table.
- `fbm`, `turbulence`: sums of octaves (Perlin, "An Image Synthesizer", SIGGRAPH 1985).
- `worley`: distances to the nearest feature points, one a cell (Worley, "A Cellular Texture Basis Function",
  SIGGRAPH 1996).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

_GRADIENTS = (
    (1, 1, 0), (-1, 1, 0), (1, -1, 0), (-1, -1, 0), (1, 0, 1), (-1, 0, 1), (1, 0, -1), (-1, 0, -1),
    (0, 1, 1), (0, -1, 1), (0, 1, -1), (0, -1, -1), (1, 1, 0), (-1, 1, 0), (0, -1, 1), (0, -1, -1),
)  # fmt: skip
_SIZE = 256


class Noise:
    """Noise functions of one seed. The seed is any whole number of 32 bits."""

    def __init__(self, seed: int, device: str) -> None:
        # On the CPU, so that every device gets the same tables.
        dice = torch.Generator().manual_seed(seed)
        order = torch.randperm(_SIZE, generator=dice)
        self._order = torch.cat([order, order, order[:2]]).to(device)
        self._gradients = torch.tensor(_GRADIENTS, dtype=torch.float32, device=device)
        self._features = torch.rand((_SIZE, 3), generator=dice).to(device)
        self._values = torch.rand(_SIZE, generator=dice).to(device)

    def perlin(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N,), about -1..1, 0 on the lattice, features of the size 1."""
        whole = torch.floor(points)
        offset = points - whole
        cell = whole.to(torch.int64) % _SIZE
        fade = offset**3 * (offset * (offset * 6 - 15) + 10)
        x, y, z = cell.unbind(1)
        order = self._order
        total = torch.zeros(len(points), device=points.device)
        for i in (0, 1):
            along_x = order[x + i]
            weight_x = fade[:, 0] if i else 1 - fade[:, 0]
            for j in (0, 1):
                along_y = order[along_x + y + j]
                weight_y = weight_x * (fade[:, 1] if j else 1 - fade[:, 1])
                for k in (0, 1):
                    corner = order[along_y + z + k] % len(_GRADIENTS)
                    gradient = self._gradients[corner]
                    reach = offset - torch.tensor([i, j, k], dtype=torch.float32, device=points.device)
                    total += weight_y * (fade[:, 2] if k else 1 - fade[:, 2]) * (gradient * reach).sum(dim=1)
        return total

    def fbm(self, points: Tensor, octaves: int = 4) -> Tensor:
        """(N,) about -1..1: each octave twice as fine and half as strong."""
        return sum(self._octaves(points, octaves), torch.zeros_like(points[:, 0]))

    def turbulence(self, points: Tensor, octaves: int = 4) -> Tensor:
        """(N,) 0..about 1.5: as `fbm`, of absolute values, so with creases."""
        return sum((noise.abs() for noise in self._octaves(points, octaves)), torch.zeros_like(points[:, 0]))

    def _octaves(self, points: Tensor, octaves: int) -> Iterator[Tensor]:
        for octave in range(octaves):
            yield self.perlin(points * 2.0**octave + 17.3 * octave) * 0.5**octave

    def worley(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N,) each: distance to the nearest feature point, to the second nearest, and a number 0..1 of that cell."""
        whole = torch.floor(points)
        offset = points - whole
        cell = whole.to(torch.int64)
        first = torch.full((len(points),), 1e9, device=points.device)
        second = first.clone()
        which = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        for around in itertools.product((-1, 0, 1), repeat=3):
            step = torch.tensor(around, dtype=torch.int64, device=points.device)
            index = self._hash(cell + step)
            away = (self._features[index] + step - offset).norm(dim=1)
            nearer = away < first
            second = torch.where(nearer, first, torch.minimum(second, away))
            which = torch.where(nearer, index, which)
            first = torch.where(nearer, away, first)
        return first, second, self._values[which]

    def cell_value(self, cells: Tensor) -> Tensor:
        """(N, 3) whole numbers -> (N,) 0..1, one number for each cell."""
        return self._values[self._hash(cells.to(torch.int64))]

    def _hash(self, cells: Tensor) -> Tensor:
        x, y, z = (cells % _SIZE).unbind(1)
        return self._order[self._order[self._order[x] + y] + z]
