"""A ceiling on what a stretch of code may allocate, for decoders that read strangers' files.

The kernel knows such a ceiling of whole processes only. So it leaves room for what other threads begin meanwhile, and
memory that runs out while other runs are in this process is nobody's fault: neither the file's nor theirs.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

#: Of one thread of a pool (OpenBLAS, OpenMP) that first starts inside a block: a stack of 8 MB (glibc's default) and
#: OpenBLAS's buffer of 32 MB (its BUFFER_SIZE on x86-64).
_THREAD_MB = 40

_lock = threading.RLock()
#: Runs in this process now, and how many have begun.
_runs = 0
_begun = 0


class SharedMemoryRanOut(Exception):
    """Memory ran out under a ceiling while other runs were in the process: it is not known whose fault it was."""


@contextlib.contextmanager
def counted_run() -> Iterator[None]:
    """Count a run of this process while the block runs."""
    global _runs, _begun
    _runs += 1
    _begun += 1
    try:
        yield
    finally:
        _runs -= 1


def pools_mb() -> int:
    """MB that thread pools of this machine's size take when they start."""
    return _THREAD_MB * (os.cpu_count() or 1)


@contextlib.contextmanager
def limited_memory(more_mb: int) -> Iterator[None]:
    """Let this process allocate at most so much more while the block runs, thread pools aside; past it, `MemoryError`.

    By the soft RLIMIT_DATA (getrlimit(2): heap and private writable mappings, Linux 4.7 and later), which other threads
    of the process share meanwhile; elsewhere nothing is limited. One block at a time.

    Raises:
        SharedMemoryRanOut: instead of a `MemoryError`, if other runs were in this process.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    with _lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        found = re.search(rb"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_bytes(), re.MULTILINE)
        wanted = (int(found[1]) * 1024 if found else 0) + (more_mb + pools_mb()) * 2**20
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft <= wanted:
            yield
            return
        alone, begun = _runs <= 1, _begun
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
        try:
            yield
        except MemoryError as error:
            if alone and begun == _begun:
                raise
            raise SharedMemoryRanOut("memory ran out while other jobs were being worked on beside this one") from error
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
