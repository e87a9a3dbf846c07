"""What goes wrong between a program and its adapter."""

from __future__ import annotations

from collections.abc import Sequence

#: What allocators of ggml, CUDA, Vulkan and HIP say when a device is full, lower case. torch's own texts are known to
#: the worker.
OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "failed to allocate tensor buffer",
    "erroroutofdevicememory",
    "cublas_status_alloc_failed",
)


class ProgramFailed(RuntimeError):
    """The program did not start, ended, or did not answer; the text has the end of what it printed."""


class NoAnswer(ProgramFailed):
    """The connection broke, or the program answered with something that is not HTTP."""


class Overdue(ProgramFailed):
    """The program took longer for a request than it may."""


class BadAnswer(ProgramFailed):
    """An answer came that is no result: refused, cut off, too large, or of another kind."""


class OutOfMemoryError(ProgramFailed):
    """The program says that its device is full. Workers know the failure by the name of the class, which is torch's."""


def failure(text: str, printed: Sequence[str] = (), kind: type[ProgramFailed] = ProgramFailed) -> ProgramFailed:
    """The error of a program that printed these lines last; out of memory where it or they say so."""
    tail = "\n".join(printed)
    whole = f"{text}; it printed last:\n{tail}" if tail else text
    full = any(known in whole.lower() for known in OUT_OF_MEMORY_TEXTS)
    return (OutOfMemoryError if full else kind)(whole)
