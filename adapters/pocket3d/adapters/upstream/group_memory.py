"""VRAM of processes that an adapter started, by NVML: torch's own count knows this process alone."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from typing import Any

#: Seconds between two readings.
_LOOK_S = 0.5
_MB = 1024 * 1024


class GroupMemory:
    """The highest sum over the processes of a group.

    Stays unknown where `pynvml` is not installed, there is no driver, or it numbers processes differently (containers).
    """

    def __init__(self) -> None:
        self.peak_mb: int | None = None
        self._nvml: Any = None
        self._next = 0.0
        if importlib.util.find_spec("pynvml") is not None:
            nvml = importlib.import_module("pynvml")
            # The second where a driver was updated and its module not yet loaded anew; it is no kind of the first.
            self._errors = (nvml.NVMLError, nvml.NVMLLibraryMismatchError)
            try:
                nvml.nvmlInit()
            except self._errors:
                return
            self._nvml = nvml

    def look(self, group: int) -> None:
        """Read NVML, if it is time to."""
        now = time.monotonic()
        if self._nvml is None or now < self._next:
            return
        self._next = now + _LOOK_S
        used = 0
        try:
            for index in range(self._nvml.nvmlDeviceGetCount()):
                device = self._nvml.nvmlDeviceGetHandleByIndex(index)
                for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(device):
                    if process.usedGpuMemory is not None and _in_group(process.pid, group):
                        used += process.usedGpuMemory
        except self._errors:
            return
        if used:
            self.peak_mb = max(self.peak_mb or 0, -(-used // _MB))


def _in_group(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except (ProcessLookupError, PermissionError):
        return False
