"""The device of this process, and torch's count of its memory, if an adapter imported torch."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import math
import sys
from typing import Any

_MB = 1024 * 1024

#: What the worker said its device is; None outside a worker.
_process_device: str | None = None


def set_process_device(kind: str) -> None:
    """State once, before any adapter is built, whether this process may use `cuda` or only the `cpu`."""
    global _process_device
    _process_device = kind


def process_device() -> str:
    """The kind that was stated; where nobody did, outside a worker, `cuda` if torch finds one, else `cpu`."""
    if _process_device is not None:
        return _process_device
    if importlib.util.find_spec("torch") is None:
        return "cpu"
    return "cuda" if importlib.import_module("torch").cuda.is_available() else "cpu"


def _cuda() -> Any:
    """`torch.cuda` when it is in use in this process, else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    initialised = getattr(cuda, "is_initialized", None)
    return cuda if initialised is not None and initialised() else None


def reserved_mb() -> int | None:
    """MB that torch's allocator holds on the device now; None without CUDA. The CUDA context is not in it."""
    cuda = _cuda()
    return None if cuda is None else math.ceil(cuda.memory_reserved() / _MB)


def peak_mb() -> int | None:
    """Highest `reserved_mb` since the last `reset_peak`; None without CUDA."""
    cuda = _cuda()
    return None if cuda is None else math.ceil(cuda.max_memory_reserved() / _MB)


def reset_peak() -> None:
    """Begin to measure the peak anew."""
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()


def empty_cuda_cache() -> None:
    """Give cached memory back to the driver, if this process uses CUDA at all."""
    cuda = _cuda()
    if cuda is not None:
        cuda.empty_cache()


def give_memory_back() -> None:
    """Free what a run that ended badly left behind in cycles, and what torch's allocator keeps of it. Does nothing
    where this process does not use CUDA.
    """
    if _cuda() is not None:
        gc.collect()
        empty_cuda_cache()
