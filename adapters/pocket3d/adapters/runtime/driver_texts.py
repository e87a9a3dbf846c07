"""What libraries say when a device's memory ran out, or when a process can use its device no more. Pure.

The worker's own proof (`device_proof`) is the first line; these texts are the second: for libraries that the proof does
not see (no torch, or a child process), and for what an error says of the device's memory.
"""

from __future__ import annotations

import re

#: Memory of a device ran out, in the words of:
_OUT_OF_MEMORY = re.compile(
    "|".join(
        (
            r"CUDA out of memory|HIP out of memory|MPS backend out of memory",  # torch's allocators
            r"(?:CUDA|HIP)(?: driver)? error: out of memory",  # torch, outside of its allocator
            r"NVML_SUCCESS == r INTERNAL ASSERT FAILED",  # torch, while it writes its message on a full device
            r"CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|hipErrorOutOfMemory",  # cupy, jax, numba, drivers
            r"CU[A-Z]+(?:_STATUS)?_ALLOC_FAILED",  # cuBLAS, cuSOLVER, cuSPARSE, cuDNN, cuFFT
            r"Cuda error: 2\[",  # nvdiffrast: the number of cudaErrorMemoryAllocation
            r"cuda (?:execution )?failed with error 2\b",  # cumm and spconv, the same number
            r"Triton Error \[CUDA\]: out of memory",
            r"\[CUDA ERROR\] in [^\n]*(?:\n[^\n]*)?: out of memory",  # diff-gaussian-rasterization and its kin
        )
    )
)
#: A call on the device failed so that the next ones may fail too. CUDA's sticky errors are not told from the others,
#: which are rare: to replace a worker for nothing costs a load, to keep a broken one costs the next job.
_BROKEN = re.compile(
    "|".join(
        (
            r"(?:CUDA|HIP)(?: driver)? error",  # torch
            r"CUDA_ERROR_[A-Z]|cudaError[A-Z]|hipError[A-Z]",  # cupy, jax, numba, drivers
            r"CU[A-Z]+_STATUS_[A-Z]|CUFFT_[A-Z]",  # cuBLAS, cuSOLVER, cuSPARSE, cuDNN; cuFFT
            r"Cuda error: \d+\[",  # nvdiffrast
            r"cuda (?:execution )?failed with error \d",  # cumm and spconv
            r"Triton Error \[CUDA\]",
            r"\[CUDA ERROR\]",  # diff-gaussian-rasterization and its kin
            # CUDA's own words, which some raise bare.
            r"device-side assert|an illegal memory access was encountered|an illegal instruction was encountered",
            r"misaligned address|unspecified launch failure|the launch timed out and was terminated",
            r"hardware stack error|invalid program counter|uncorrectable (?:ECC|NVLink) error|GPU is lost",
        )
    )
)


def says_out_of_memory(text: str) -> bool:
    """True if a text says that memory of a device ran out."""
    return _OUT_OF_MEMORY.search(text) is not None


def says_broken(text: str) -> bool:
    """True if a text says that a call on the device failed, other than for memory or not."""
    return _BROKEN.search(text) is not None
