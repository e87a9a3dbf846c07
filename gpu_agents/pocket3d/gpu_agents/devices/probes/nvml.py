"""NVIDIA GPUs through NVML: the only module that imports pynvml.

Devices are known by UUID, never by index: NVML counts GPUs by bus address and knows nothing of CUDA_VISIBLE_DEVICES,
CUDA counts them by its own guess of speed. A GPU in MIG mode appears as its MIG instances.

A GPU that stops answering makes its own reading `unavailable`, and one whose call hangs has none: each GPU is asked in
a thread of its own. NVML keeps a lost GPU lost until it is shut down and started again, so while one is missing, and
none hangs, the library is reopened every `retry_s`.

Memory per process is told only where the driver's process ids are this process's own, and only for processes of which
the driver tells bytes: in containers newer drivers list processes with 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .nvml_faults import FaultWatch
from .patience import NotYet, PatientCall
from .port import Reading
from .process_tree import parents_of, sees_all_processes

_MB = 1024 * 1024
#: A GPU that has not answered by then has no reading, seconds: a driver that works answers within milliseconds.
_PATIENCE_S = 2.0
#: Without persistence mode the driver initialises each GPU anew when the library opens it, seconds.
_OPEN_PATIENCE_S = 30.0


class NvmlUnavailableError(Exception):
    """NVML cannot be used on this machine; the message says why."""


class Gpu(NamedTuple):
    """One GPU or MIG instance."""

    uuid: str
    name: str
    #: Memory without what the driver keeps for itself (where the driver tells), MB.
    total_mb: int
    #: The compute capability, as (12, 0); None where the driver does not tell.
    capability: tuple[int, int] | None = None


class _Opened(NamedTuple):
    """A GPU or MIG instance of which NVML has given a handle."""

    gpu: Gpu
    handle: Any
    watch: FaultWatch


class NvmlProbe:
    """Measures every GPU that was there when it was opened.

    Args:
        retry_s: between two reopenings while a GPU is lost.
        clock: monotonic seconds.
        patience_s: how long one GPU may take to answer.
        open_patience_s: how long the library, and each GPU, may take to open.
        own_pids: whether the driver's process ids are this process's; None to find out.

    Attributes:
        gpus: those that are measured, in NVML's order, that of the bus addresses.
        notes: GPUs that could not be opened, and why.
    """

    def __init__(
        self,
        *,
        retry_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = _PATIENCE_S,
        open_patience_s: float = _OPEN_PATIENCE_S,
        own_pids: bool | None = None,
    ) -> None:
        """Load NVML and look for GPUs.

        Raises:
            NvmlUnavailableError: no nvidia-ml-py, no driver, or the driver refuses or does not answer.
        """
        try:
            import pynvml
        except ImportError as error:
            raise NvmlUnavailableError(
                f"the Python package nvidia-ml-py cannot be imported ({error}); in a checkout: pip install '.[agent]'"
            ) from error
        self._nvml: Any = pynvml
        self._retry_s = retry_s
        self._clock = clock
        self._patience_s = patience_s
        self._open_patience_s = open_patience_s
        self._own_pids = sees_all_processes() if own_pids is None else own_pids
        self._open = False
        self._opened: dict[str, _Opened] = {}
        self._watches: dict[str, FaultWatch] = {}
        self.notes: list[str] = []
        self._reasons: dict[str, str] = {}
        self._reopen_at = 0.0
        self._library = PatientCall(self._start, "nvml-open")
        self._library.begin()
        try:
            self.gpus = self._library.result(2 * open_patience_s)
        except pynvml.NVMLError as error:
            self.close()
            raise NvmlUnavailableError(f"NVML: {error}") from error
        except NotYet:
            raise NvmlUnavailableError(
                f"the driver has not answered for {2 * open_patience_s:g} s; nvidia-smi hangs in the same way, and "
                "mostly only a restart of the machine helps"
            ) from None
        self._calls = {
            gpu.uuid: PatientCall(partial(self._read_one, gpu.uuid), f"nvml-{gpu.uuid}") for gpu in self.gpus
        }

    def read(self) -> dict[str, Reading]:
        """Free memory, memory per process and faults of each GPU that answers in time, by UUID."""
        hangs = any(call.busy for call in self._calls.values())
        if self._reasons and self._clock() >= self._reopen_at and not hangs and not self._library.busy:
            self._reopen()
        if self._library.busy:
            # Nothing may be asked of a library that is being opened.
            return {}
        asked = {gpu.uuid: self._calls[gpu.uuid] for gpu in self.gpus if not self._calls[gpu.uuid].busy}
        for call in asked.values():
            call.begin()
        until = time.monotonic() + self._patience_s
        readings = {}
        for uuid, call in asked.items():
            try:
                readings[uuid] = call.result(until - time.monotonic())
            except NotYet:
                # Its answer is of no use by the time it comes. It is asked again once it has come.
                continue
        return readings

    def close(self) -> None:
        """Shut NVML down, unless a call hangs in it."""
        if not self._open or self._library.busy or any(call.busy for call in self._calls.values()):
            return
        self._shut_down()

    def _shut_down(self) -> None:
        self._open = False
        self._opened = {}
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            # The driver went first: there is nothing left to shut down.
            return

    # -- opening

    def _start(self) -> list[Gpu]:
        """Start NVML and open each GPU. One that does not open is left out, with a note."""
        nvml = self._nvml
        nvml.nvmlInit()
        self._open = True
        self.notes = []
        opening = [
            PatientCall(partial(self._open_gpu, index), f"nvml-open-{index}")
            for index in range(nvml.nvmlDeviceGetCount())
        ]
        for call in opening:
            call.begin()
        until = time.monotonic() + self._open_patience_s
        opened: dict[str, _Opened] = {}
        for index, call in enumerate(opening):
            try:
                opened.update((each.gpu.uuid, each) for each in call.result(until - time.monotonic()))
            except NotYet:
                self.notes.append(
                    f"GPU {index} cannot be opened: the driver has not answered for {self._open_patience_s:g} s; "
                    "reset the GPU or restart the machine"
                )
            except nvml.NVMLError as error:
                self.notes.append(f"GPU {index} cannot be opened: {error}")
            except _NoMemoryFigures as error:
                self.notes.append(f"GPU {index} cannot be used: {error}")
        self._opened = opened
        return [each.gpu for each in opened.values()]

    def _open_gpu(self, index: int) -> list[_Opened]:
        """One GPU, or its MIG instances when it is in MIG mode (CUDA cannot then use the whole)."""
        nvml = self._nvml
        whole = nvml.nvmlDeviceGetHandleByIndex(index)
        capability = self._capability(whole)
        opened = []
        for handle in self._instances(whole):
            uuid, name = str(nvml.nvmlDeviceGetUUID(handle)), str(nvml.nvmlDeviceGetName(handle))
            # One that was lost and is there again has been reset.
            former = None if uuid in self._reasons else self._watches.get(uuid)
            self._watches[uuid] = FaultWatch(nvml, whole, former)
            opened.append(
                _Opened(Gpu(uuid, name, self._total_mb(handle, name), capability), handle, self._watches[uuid])
            )
        return opened

    def _instances(self, handle: Any) -> list[Any]:
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

    def _capability(self, handle: Any) -> tuple[int, int] | None:
        try:
            major, minor = self._nvml.nvmlDeviceGetCudaComputeCapability(handle)
        except self._nvml.NVMLError:
            return None
        return int(major), int(minor)

    def _total_mb(self, handle: Any, name: str) -> int:
        """Only the newer call tells what the driver keeps for itself; older drivers and some instances lack it."""
        nvml = self._nvml
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        except nvml.NVMLError:
            try:
                return int(nvml.nvmlDeviceGetMemoryInfo(handle).total) // _MB
            except nvml.NVMLError_NotSupported as error:
                raise _NoMemoryFigures(
                    f"the driver tells no memory figures of {name}, which shares the machine's memory (as Jetson and "
                    "GB10 do); such GPUs are not supported"
                ) from error
        return (int(memory.total) - int(memory.reserved)) // _MB

    def _reopen(self) -> None:
        self._shut_down()
        self._library.begin()
        try:
            self._library.result(self._patience_s)
        except self._nvml.NVMLError as error:
            self._reasons = {gpu.uuid: f"NVML: {error}" for gpu in self.gpus}
        except NotYet:
            # It may come later: until then no GPU is asked.
            self._reasons = {gpu.uuid: "NVML does not open again" for gpu in self.gpus}
        self._reopen_at = self._clock() + self._retry_s

    # -- reading

    def _read_one(self, uuid: str) -> Reading:
        nvml = self._nvml
        opened = self._opened.get(uuid)
        if opened is None:
            reason = self._reasons.setdefault(uuid, "the GPU is not there any more")
            return Reading(0, None, reason)
        try:
            free = int(nvml.nvmlDeviceGetMemoryInfo(opened.handle).free) // _MB
        except nvml.NVMLError as error:
            if uuid not in self._reasons:
                self._reopen_at = self._clock() + self._retry_s
            self._reasons[uuid] = f"NVML: {error}"
            return Reading(0, None, self._reasons[uuid])
        self._reasons.pop(uuid, None)
        used = self._processes(opened.handle)
        return Reading(free, used, faults=opened.watch.faults(), parents=parents_of(used or ()))

    def _processes(self, handle: Any) -> dict[int, int] | None:
        """MB per process; None where the driver does not tell (no permission, WDDM, some virtual GPUs), or not by ids
        that mean anything here.
        """
        if not self._own_pids:
            return None
        nvml = self._nvml
        try:
            processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError):
            return None
        known = {int(p.pid): -(-int(p.usedGpuMemory) // _MB) for p in processes if p.usedGpuMemory}
        return known if known or not processes else None


class _NoMemoryFigures(Exception):
    """The driver does not tell how much memory a GPU has."""
