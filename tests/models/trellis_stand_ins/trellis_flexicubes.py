"""A surface from a grid, with the signature of TRELLIS's fork of FlexiCubes: naive surface nets (Gibson, "Constrained
Elastic Surface Nets", 1998): one vertex in each cube that the surface crosses, at the mean of the crossings of its
edges, and one quad for each crossed edge of the grid. The learned weights are not used.
"""

from __future__ import annotations

from typing import Any

import torch

#: Corner i of a cube lies at bits x = 1, y = 2, z = 4 of i, as in TRELLIS's `cube_corners`.
_EDGES = [(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit]


class FlexiCubes:
    def __init__(self, device: str = "cuda") -> None:
        self.device = device

    def __call__(
        self,
        voxelgrid_vertices: torch.Tensor,
        scalar_field: torch.Tensor,
        cube_idx: torch.Tensor,
        resolution: int,
        voxelgrid_colors: torch.Tensor | None = None,
        training: bool = False,
        **_weights: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
        inside = scalar_field < 0
        first = torch.tensor([a for a, _ in _EDGES])
        second = torch.tensor([b for _, b in _EDGES])
        corners = inside[cube_idx]
        active = torch.nonzero(corners.any(1) & ~corners.all(1)).flatten()
        cubes = cube_idx[active]
        start, end = cubes[:, first], cubes[:, second]
        crossed = inside[start] != inside[end]
        low, high = scalar_field[start], scalar_field[end]
        share = torch.where(crossed, low / torch.where(crossed, low - high, 1.0), 0.0)[..., None]
        points = voxelgrid_vertices[start] * (1 - share) + voxelgrid_vertices[end] * share
        count = crossed.sum(1, keepdim=True)
        vertices = (points * crossed[..., None]).sum(1) / count
        colours = None
        if voxelgrid_colors is not None:
            colours = torch.sigmoid(voxelgrid_colors[cubes].mean(1))
        number = torch.full((cube_idx.shape[0],), -1, dtype=torch.long, device=active.device)
        number[active] = torch.arange(len(active), device=active.device)
        faces = _faces(inside.reshape([resolution + 1] * 3), number.reshape([resolution] * 3))
        return vertices, faces, torch.zeros(()), colours


def _faces(inside: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
    """(F, 3), counter-clockwise seen from where the field is positive."""
    found = []
    for axis in range(3):
        # Cyclic, so that the second axis times the third is the first.
        turned = inside.permute(axis, (axis + 1) % 3, (axis + 2) % 3)
        cubes = number.permute(axis, (axis + 1) % 3, (axis + 2) % 3)
        low, high = turned[:-1, 1:-1, 1:-1], turned[1:, 1:-1, 1:-1]
        at = torch.nonzero(low != high)
        x, y, z = at[:, 0], at[:, 1], at[:, 2]
        quad = torch.stack([cubes[x, y, z], cubes[x, y + 1, z], cubes[x, y + 1, z + 1], cubes[x, y, z + 1]], dim=1)
        quad = torch.where(low[x, y, z][:, None], quad, quad.flip(1))
        found += [quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]
    return torch.cat(found)
