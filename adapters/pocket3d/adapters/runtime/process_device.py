"""The kind of device that this process may use."""

from __future__ import annotations

import importlib
import importlib.util
import sys

#: What the worker said its device is; None outside a worker.
_process_device: str | None = None


def set_process_device(kind: str) -> None:
    """State once, before any adapter is built, whether this process may use `cuda` or only the `cpu`."""
    global _process_device
    _process_device = kind


def process_device() -> str:
    """The kind that was stated, or `cuda` where torch finds one; `cpu` otherwise."""
    return _process_device if _process_device is not None else _detect_device()


def _detect_device() -> str:
    """Outside a worker nobody said; torch knows, if it is installed."""
    if importlib.util.find_spec("torch") is None:
        return "cpu"
    return "cuda" if importlib.import_module("torch").cuda.is_available() else "cpu"


def empty_cuda_cache() -> None:
    """Give cached memory back to the driver, if this process uses CUDA at all; imports nothing."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_available() and cuda.is_initialized():
        cuda.empty_cache()
