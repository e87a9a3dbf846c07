"""A ceiling on what a stretch of code may allocate, for decoders that read strangers' files."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_lock = threading.RLock()


@contextlib.contextmanager
def limited_memory(more_mb: int) -> Iterator[None]:
    """Let this process allocate at most so much more while the block runs; past it, `MemoryError`.

    By the soft RLIMIT_DATA (getrlimit(2): heap and private writable mappings, Linux 4.7 and later), which other threads
    of the process share meanwhile; elsewhere nothing is limited. One block at a time.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    with _lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        wanted = (int(found[1]) * 1024 if found else 0) + more_mb * 2**20
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft <= wanted:
            yield
            return
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
