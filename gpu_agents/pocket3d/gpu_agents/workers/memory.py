"""How much memory a worker and its children hold, from /proc.

RLIMIT_AS cannot be the limit of a worker: it counts address space, and torch, CUDA and memory-mapped weights reserve
many times what they use. What counts here is anonymous and shared memory that is really in RAM; file pages (libraries,
mapped weights) are left out because the kernel can drop them.
"""

from __future__ import annotations

from pathlib import Path

_KEYS = (b"RssAnon:", b"RssShmem:")


def held_mb(pid: int, proc: Path = Path("/proc")) -> int:
    """MB held by `pid` and all its descendants; 0 when it is gone or the system has no /proc."""
    total_kb = 0
    seen: set[int] = set()
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        total_kb += _status_kb(proc / str(each) / "status")
        waiting += _children(proc / str(each) / "task")
    return total_kb // 1024


def _status_kb(status: Path) -> int:
    try:
        # Bytes: a process is called what it likes, and a name that was cut after 15 bytes may be no text.
        lines = status.read_bytes().split(b"\n")
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(_KEYS))


def _children(task: Path) -> list[int]:
    """Children are listed under the thread that started them."""
    found: list[int] = []
    try:
        threads = list(task.iterdir())
    except OSError:
        return []
    for thread in threads:
        try:
            found += [int(word) for word in (thread / "children").read_text().split()]
        except OSError:
            continue
    return found
