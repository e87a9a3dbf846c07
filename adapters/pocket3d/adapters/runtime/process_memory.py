"""What this process holds of the host's memory, as Linux tells it: now, and at most during a run.

Counted is what the kernel cannot drop, as the agent does where it limits a worker: the heap and shared memory, and not
the pages of files that are mapped, such as libraries and weights.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
#: Of all that is in memory the peak since it was reset, and what is there now of the heap, shared memory and files.
_PEAK, _HEAP, _SHARED, _FILES = "VmHWM", "RssAnon", "RssShmem", "RssFile"

#: The most that a helper process held which ended since the peak was reset, MB.
_helper_mb = 0


def reset_host_peak() -> None:
    """Begin to measure the peak anew. Where the system does not allow it, it is that of the process's whole life."""
    global _helper_mb
    _helper_mb = 0
    with contextlib.suppress(OSError):
        _RESET.write_text("5")


def host_peak_mb(status: Path = _STATUS) -> int | None:
    """The most that was held since the last `reset_host_peak`, MB; None where the system does not tell. Helpers count
    as if they had lived when this process was largest.
    """
    kb = _kilobytes(status)
    if _PEAK not in kb or _FILES not in kb:
        return None
    # Pages of files that came or went since the peak are few beside what a run allocates.
    return max(kb[_PEAK] - kb[_FILES], 0) // 1024 + _helper_mb


def host_held_mb(status: Path = _STATUS) -> int | None:
    """What is held now, MB; None where the system does not tell."""
    kb = _kilobytes(status)
    return (kb[_HEAP] + kb.get(_SHARED, 0)) // 1024 if _HEAP in kb else None


def note_helper(peak_mb: int) -> None:
    """A process that worked for this one has ended; it held so many MB at most."""
    global _helper_mb
    _helper_mb = max(_helper_mb, peak_mb)


def _kilobytes(status: Path) -> dict[str, int]:
    try:
        lines = status.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    fields = (line.partition(":") for line in lines)
    return {name: int(rest.split()[0]) for name, _, rest in fields if name in (_PEAK, _HEAP, _SHARED, _FILES)}
