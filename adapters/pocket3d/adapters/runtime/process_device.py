"""The device of this process, and torch's count of its memory, if an adapter imported torch."""

from __future__ import annotations

import contextlib
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


def cuda_in_use() -> Any:
    """The module `torch` where it has a CUDA context in this process, else None. Never makes one."""
    torch = sys.modules.get("torch")
    initialised = getattr(getattr(torch, "cuda", None), "is_initialized", None)
    return torch if initialised is not None and initialised() else None


def _cuda() -> Any:
    return getattr(cuda_in_use(), "cuda", None)


def reserved_mb() -> int | None:
    """MB that torch's allocator holds on the device now; None without CUDA. The CUDA context is not in it."""
    cuda = _cuda()
    return None if cuda is None else math.ceil(cuda.memory_reserved() / _MB)


def free_mb() -> int | None:
    """MB of the device that nobody holds, as the driver says; None without CUDA, or if it does not say."""
    cuda = _cuda()
    try:
        return None if cuda is None else int(cuda.mem_get_info()[0]) // _MB
    except RuntimeError:
        # After an error that spoils the context every call fails.
        return None


def peak_mb() -> int | None:
    """Highest `reserved_mb` since the last `reset_peak`; None without CUDA."""
    cuda = _cuda()
    return None if cuda is None else math.ceil(cuda.max_memory_reserved() / _MB)


def reset_peak() -> None:
    """Begin to measure the peak anew, without what earlier runs have left in torch's cache."""
    cuda = _cuda()
    if cuda is not None:
        # After an error that spoils the context this fails too. The next run says so itself.
        with contextlib.suppress(RuntimeError):
            cuda.empty_cache()
        cuda.reset_peak_memory_stats()


def cap_memory(mb: int) -> None:
    """Let torch's allocator hold no more than so much of the device; past it, it says `out of memory`. Nothing without
    CUDA: a process that has not begun to use it must not, for its children may.
    """
    cuda = _cuda()
    if cuda is not None:
        cuda.set_per_process_memory_fraction(min(1.0, mb * _MB / cuda.get_device_properties(0).total_memory))


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
