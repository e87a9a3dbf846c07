"""Reads torch's count of its memory, if an adapter imported it. Nothing here imports torch."""

from __future__ import annotations

import math
import sys
from typing import Any

_MB = 1024 * 1024


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
