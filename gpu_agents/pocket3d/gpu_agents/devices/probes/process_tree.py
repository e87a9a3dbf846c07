"""Who started whom, from /proc: a driver lists the children of a worker by their own process ids."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

#: The inode of the machine's own PID namespace, the same on every Linux (PROC_PID_INIT_INO of its proc_ns.h).
_FIRST_NAMESPACE = 0xEFFFFFFC


def sees_all_processes(proc: Path = Path("/proc")) -> bool:
    """True where this process numbers processes as the driver does: not in a container with a PID namespace of its
    own, where the driver shows the machine's ids, or its own container's, or none, by version. True without /proc.
    """
    try:
        return (proc / "self/ns/pid").stat().st_ino == _FIRST_NAMESPACE
    except OSError:
        return True


def parents_of(pids: Iterable[int], proc: Path = Path("/proc")) -> dict[int, int]:
    """The parent of each of these processes, of that parent, and so on. A process that is gone has none."""
    parents: dict[int, int] = {}
    for pid in pids:
        current = pid
        while current not in parents and (parent := _parent(proc / str(current) / "stat")):
            parents[current] = parent
            current = parent
    return parents


def _parent(stat: Path) -> int | None:
    try:
        text = stat.read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses, which may hold anything; the fourth is the parent.
    return int(text.rpartition(")")[2].split()[1])
