"""Kernels that write where there is nothing."""

from __future__ import annotations


def by_triton() -> None:
    import torch
    import triton
    import triton.language as tl

    @triton.jit
    def beyond(pointer, offset):  # type: ignore[no-untyped-def]
        tl.store(pointer + offset, 1.0)

    beyond[(1,)](torch.zeros(4, device="cuda"), 1 << 40)
    torch.cuda.synchronize()


def by_cupy() -> None:
    import cupy
    import torch

    text = 'extern "C" __global__ void beyond(float* p) { p[1ull << 40] = 1.0f; }'
    cupy.RawKernel(text, "beyond")((1,), (1,), (cupy.zeros(4, dtype=cupy.float32),))
    torch.cuda.synchronize()
