"""NVIDIA GPUs through NVML: the only module that imports pynvml.

Devices are known by UUID, never by index: NVML counts GPUs by bus address and knows nothing of CUDA_VISIBLE_DEVICES,
CUDA counts them by its own guess of speed. A GPU in MIG mode appears as its MIG instances.

A GPU that stops answering makes its own reading `unavailable`. NVML keeps a lost GPU lost until it is shut down and
started again, so while one is missing the library is reopened every `retry_s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .port import Reading

_MB = 1024 * 1024


class NvmlUnavailableError(Exception):
    """NVML cannot be used on this machine; the message says why."""


class Gpu(NamedTuple):
    """One GPU or MIG instance."""

    uuid: str
    name: str
    #: Memory without what the driver keeps for itself (where the driver tells), MB.
    total_mb: int


class NvmlProbe:
    """Measures every GPU that was there when it was opened.

    Attributes:
        gpus: those that are measured, in NVML's order, that of the bus addresses.
        notes: GPUs that could not be opened, and why.
    """

    def __init__(self, *, retry_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Load NVML and look for GPUs.

        Raises:
            NvmlUnavailableError: no nvidia-ml-py, no driver, or the driver refuses.
        """
        try:
            import pynvml
        except ImportError as error:
            raise NvmlUnavailableError(
                f"the Python package nvidia-ml-py cannot be imported ({error}); pip install 'pocket3d-studio[agent]'"
            ) from error
        self._nvml: Any = pynvml
        self._retry_s = retry_s
        self._clock = clock
        self._open = False
        self._handles: dict[str, Any] = {}
        self.notes: list[str] = []
        self._reasons: dict[str, str] = {}
        self._reopen_at = 0.0
        try:
            self.gpus = self._start()
        except pynvml.NVMLError as error:
            self.close()
            raise NvmlUnavailableError(f"NVML: {error}") from error

    def read(self) -> dict[str, Reading]:
        """Free memory and memory per process of each GPU, by UUID."""
        if self._reasons and self._clock() >= self._reopen_at:
            self._reopen()
        return {gpu.uuid: self._read_one(gpu.uuid) for gpu in self.gpus}

    def close(self) -> None:
        """Shut NVML down."""
        if not self._open:
            return
        self._open = False
        self._handles = {}
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            # The driver went first: there is nothing left to shut down.
            return

    def _start(self) -> list[Gpu]:
        """Start NVML and open each GPU. One that does not open is left out, with a note."""
        nvml = self._nvml
        nvml.nvmlInit()
        self._open = True
        found: list[Gpu] = []
        self.notes = []
        self._handles = {}
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                for each in self._instances(handle):
                    uuid = str(nvml.nvmlDeviceGetUUID(each))
                    found.append(Gpu(uuid, str(nvml.nvmlDeviceGetName(each)), self._total_mb(each)))
                    self._handles[uuid] = each
            except nvml.NVMLError as error:
                self.notes.append(f"GPU {index} cannot be opened: {error}")
        return found

    def _instances(self, handle: Any) -> list[Any]:
        """The GPU itself, or its MIG instances when it is in MIG mode (CUDA cannot then use the whole)."""
        nvml = self._nvml
        try:
            current, _ = nvml.nvmlDeviceGetMigMode(handle)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            return [handle]
        if current != nvml.NVML_DEVICE_MIG_ENABLE:
            return [handle]
        instances = []
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            try:
                instances.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
            except nvml.NVMLError_NotFound:
                # Slots without an instance.
                continue
        return instances

    def _total_mb(self, handle: Any) -> int:
        """Only the newer call tells what the driver keeps for itself; older drivers and some instances lack it."""
        nvml = self._nvml
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        except nvml.NVMLError:
            return int(nvml.nvmlDeviceGetMemoryInfo(handle).total) // _MB
        return (int(memory.total) - int(memory.reserved)) // _MB

    def _reopen(self) -> None:
        self.close()
        try:
            self._start()
        except self._nvml.NVMLError as error:
            self._reasons = {gpu.uuid: f"NVML: {error}" for gpu in self.gpus}
        self._reopen_at = self._clock() + self._retry_s

    def _read_one(self, uuid: str) -> Reading:
        nvml = self._nvml
        handle = self._handles.get(uuid)
        if handle is None:
            reason = self._reasons.setdefault(uuid, "the GPU is not there any more")
            return Reading(0, None, reason)
        try:
            free = int(nvml.nvmlDeviceGetMemoryInfo(handle).free) // _MB
        except nvml.NVMLError as error:
            if uuid not in self._reasons:
                self._reopen_at = self._clock() + self._retry_s
            self._reasons[uuid] = f"NVML: {error}"
            return Reading(0, None, self._reasons[uuid])
        self._reasons.pop(uuid, None)
        return Reading(free, self._processes(handle))

    def _processes(self, handle: Any) -> dict[int, int] | None:
        """MB per process; None where the driver does not tell (no permission, WDDM, some virtual GPUs)."""
        nvml = self._nvml
        try:
            processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError):
            return None
        known = {int(p.pid): int(p.usedGpuMemory) // _MB for p in processes if p.usedGpuMemory is not None}
        return known if known or not processes else None
