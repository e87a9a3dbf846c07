"""The CPU lane: a memory budget, bounded by what the machine still has.

`free_mb` is the smaller of the budget and the memory that could be had without swapping: /proc/meminfo's MemAvailable,
or what is left of the control group's limit where that is less (a container). Workers do not show in it until memory
gets scarce, so the ledger counts every claim on a CPU lane as reserved (`DeviceSpec.budgeted`). When the machine is
short, memory that a worker already uses is then counted twice, which errs on the safe side.
"""

from __future__ import annotations

import os
from pathlib import Path

from pocket3d.contracts.bounds import decimal

from ..spec import DeviceSpec
from .port import Reading

_MB = 1024 * 1024


class CpuProbe:
    """Measures the CPU lane.

    Args:
        device: the CPU lane.
        root: where `proc` and `sys` are; another one in tests.
    """

    def __init__(self, device: DeviceSpec, root: Path = Path("/")) -> None:
        self._device = device
        self._root = root

    def read(self) -> dict[str, Reading]:
        """The lane's free memory. On a system without /proc it is the budget itself."""
        free_mb = self._device.total_mb
        available = _meminfo(self._root).get("MemAvailable")
        if available is not None:
            # Bytes that can be had now.
            available = min([available, *(limit - used for limit, used in _groups(self._root))])
            free_mb = min(free_mb, max(0, available) // _MB)
        return {self._device.id: Reading(free_mb)}

    def close(self) -> None:
        """Nothing to let go of."""


def memory_mb(root: Path = Path("/")) -> int:
    """Memory that this process could ever have: the machine's, or its control group's limit if that is less. MB."""
    total = _meminfo(root).get("MemTotal")
    if total is None:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([total, *(limit for limit, _ in _groups(root))]) // _MB


def _meminfo(root: Path) -> dict[str, int]:
    """/proc/meminfo in bytes; empty where there is none."""
    try:
        text = (root / "proc/meminfo").read_text()
    except OSError:
        return {}
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        kb = decimal(words[0]) if len(words) == 2 and words[1] == "kB" else None
        if kb is not None:
            values[name] = kb * 1024
    return values


def _groups(root: Path) -> list[tuple[int, int]]:
    """(limit, used) in bytes of this process's control group and those above it that have a limit (version 2)."""
    top = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    own_folder = top / own.lstrip("/")
    folders = [each for each in (own_folder, *own_folder.parents) if each == top or top in each.parents]
    return [group for group in map(_group, folders) if group is not None]


def _group(folder: Path) -> tuple[int, int] | None:
    """(limit, used) of one control group. File cache that the kernel would drop is not counted as used."""
    try:
        limit = decimal((folder / "memory.max").read_text().strip())
        current = int((folder / "memory.current").read_text())
        stat = (folder / "memory.stat").read_text()
    except (OSError, ValueError):
        return None
    if limit is None:
        return None
    cache = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")), 0)
    return limit, max(0, current - cache)
