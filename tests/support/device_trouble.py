"""What libraries say when a device goes wrong, and a stand-in for the part of torch that asks the device."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

#: What a library says when a device's memory ran out.
OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; 23.69 GiB total capacity)",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:830, please report a bug to PyTorch.",
    "cupy.cuda.driver.CUDADriverError: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    "Cuda error: 2[cudaMalloc(&m_gpuPtr, bytes);]",
    "/io/spconv/indice.cu 125\ncuda execution failed with error 2",
    "cuda failed with error 2 out of memory. use CUDA_LAUNCH_BLOCKING=1 to get correct traceback",
    "Triton Error [CUDA]: out of memory",
    "[CUDA ERROR] in rasterizer_impl.cu\nLine 340: out of memory",
    "HIP out of memory. Tried to allocate 2.00 GiB",
    "MPS backend out of memory (MPS allocated: 8.00 GB)",
)
#: What a library says when its calls on the device fail, and will fail again.
BROKEN = (
    "CUDA error: device-side assert triggered",
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported at some other API call",
    "CUDA driver error: unknown error",
    "Cuda error: 700[cudaStreamSynchronize(stream);]",
    "cuda execution failed with error 700",
    "cuda failed with error 700 an illegal memory access was encountered. use CUDA_LAUNCH_BLOCKING=1",
    "[CUDA ERROR] in rasterizer_impl.cu\nLine 340: an illegal memory access was encountered",
    "an illegal memory access was encountered",
    "Triton Error [CUDA]: an illegal memory access was encountered",
    "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "cudaErrorIllegalAddress: an illegal memory access was encountered",
    "HIP error: an illegal memory access was encountered",
    "CUDA error: GPU is lost",
)


class StandInTorch:
    """What the worker asks torch for, and how a device would answer."""

    uint8 = "uint8"
    __version__ = "2.7.0"

    def __init__(self, state: str = "sound", *, initialised: bool = True) -> None:
        self.state = state
        #: What was asked of the device.
        self.calls: list[str] = []
        #: Set it to let a device answer that hangs.
        self.answer = threading.Event()
        self.cuda = SimpleNamespace(
            is_initialized=lambda: initialised,
            synchronize=lambda: self._ask("synchronize"),
            memory_reserved=lambda: 0,
            max_memory_reserved=lambda: 0,
            reset_peak_memory_stats=lambda: None,
            empty_cache=lambda: None,
            mem_get_info=lambda: (0, 0),
            get_device_capability=lambda: (9, 0),
            get_arch_list=lambda: ["sm_90"],
        )

    def empty(self, size: int, *, dtype: str, device: str) -> Any:
        assert (size, dtype, device) == (1024 * 1024, "uint8", "cuda")
        self._ask("allocate")
        return SimpleNamespace(fill_=lambda value: self._ask("write"))

    def _ask(self, what: str) -> None:
        self.calls.append(what)
        if self.state == "hanging":
            self.answer.wait()
        if self.state == "broken":
            raise RuntimeError("CUDA error: device-side assert triggered")
