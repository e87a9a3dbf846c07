"""A convolution over the voxels that there are (Graham and van der Maaten, "Submanifold Sparse Convolutional Networks",
2017), with the names of spconv 2, in plain torch.
"""

from __future__ import annotations

import enum
import itertools
from typing import Any

import torch

#: More than any coordinate; keys of four coordinates fit into 64 bits.
_SIDE = 1 << 12


class ConvAlgo(enum.Enum):
    Native = 0
    MaskImplicitGemm = 1


class SparseConvTensor:
    """Features (N, C) of voxels at `indices` (N, 4): batch, x, y, z."""

    def __init__(
        self,
        features: torch.Tensor,
        indices: torch.Tensor,
        spatial_shape: Any,
        batch_size: int,
        grid: Any = None,
        voxel_num: Any = None,
        indice_dict: Any = None,
    ) -> None:
        self._features = features
        self.indices = indices
        self.spatial_shape, self.batch_size, self.grid, self.voxel_num = spatial_shape, batch_size, grid, voxel_num
        self.indice_dict = {} if indice_dict is None else indice_dict
        self.benchmark, self.thrust_allocator = False, None
        self.benchmark_record: dict[str, Any] = {}
        self._timer, self.force_algo, self.int8_scale = None, None, None

    @property
    def features(self) -> torch.Tensor:
        return self._features

    def replace_feature(self, features: torch.Tensor) -> SparseConvTensor:
        return SparseConvTensor(
            features,
            self.indices,
            self.spatial_shape,
            self.batch_size,
            self.grid,
            self.voxel_num,
            self.indice_dict,
        )


class SubMConv3d(torch.nn.Module):
    """The output has the voxels of the input. Weights are (out, k, k, k, in), as spconv's."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int = 1,
        bias: bool = True,
        indice_key: str | None = None,
        algo: Any = None,
    ) -> None:
        super().__init__()
        assert dilation == 1 and kernel_size % 2 == 1, "the only ones that TRELLIS asks for"
        self.out_channels, self._size = out_channels, kernel_size
        self.weight = torch.nn.Parameter(torch.empty(out_channels, *[kernel_size] * 3, in_channels))
        torch.nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.bias = torch.nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, given: SparseConvTensor) -> SparseConvTensor:
        features, at = given.features, given.indices.long()
        keys, order = _keys(at).sort()
        half = self._size // 2
        total = features.new_zeros(len(features), self.out_channels)
        for offset in itertools.product(range(self._size), repeat=3):
            step = torch.tensor([0, *(each - half for each in offset)], device=at.device)
            wanted = _keys(at + step)
            place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
            there = keys[place] == wanted
            near = features[order[place[there]]] @ self.weight[:, offset[0], offset[1], offset[2]].T
            total[there] += near.to(total.dtype)
        return given.replace_feature(total if self.bias is None else total + self.bias)


def _keys(at: torch.Tensor) -> torch.Tensor:
    """One number for each row; neighbours outside of the grid have numbers of their own."""
    batch, x, y, z = (at + 1).unbind(1)
    return ((batch * _SIDE + x) * _SIDE + y) * _SIDE + z
