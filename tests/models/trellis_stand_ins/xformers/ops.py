"""`memory_efficient_attention` on (batch, tokens, heads, channels), and the block diagonal mask, in plain torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


class BlockDiagonalMask:
    """Lengths of the blocks along queries and keys."""

    def __init__(self, queries: list[int], keys: list[int]) -> None:
        self.queries = queries
        self.keys = keys

    @classmethod
    def from_seqlens(cls, queries: list[int], keys: list[int] | None = None) -> BlockDiagonalMask:
        return cls(list(queries), list(queries if keys is None else keys))


class fmha:  # upstream's name of a module
    BlockDiagonalMask = BlockDiagonalMask


def memory_efficient_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_bias: BlockDiagonalMask | None = None
) -> torch.Tensor:
    if attn_bias is None:
        return _attend(query, key, value)
    blocks: Any = zip(
        query.split(attn_bias.queries, dim=1),
        key.split(attn_bias.keys, dim=1),
        value.split(attn_bias.keys, dim=1),
        strict=True,
    )
    return torch.cat([_attend(*block) for block in blocks], dim=1)


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    swapped = [each.transpose(1, 2) for each in (query, key, value)]
    return scaled_dot_product_attention(*swapped).transpose(1, 2)
