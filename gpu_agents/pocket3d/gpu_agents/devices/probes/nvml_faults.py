"""What the NVIDIA driver says is broken about a GPU that still answers."""

from __future__ import annotations

from typing import Any

#: Xids after which the GPU itself is well: those that programs cause (the list of NVIDIA's k8s-device-plugin, from
#: docs.nvidia.com/deploy/xid-errors), and those of memory that the driver has dealt with: 63 (a row will be remapped,
#: which `nvmlDeviceGetRemappedRows` tells), 92 (corrected ECC errors) and 94 (one contained to its program).
HARMLESS_XIDS = frozenset({13, 31, 43, 45, 68, 109, 63, 92, 94})


class FaultWatch:
    """The faults of one GPU since it was opened. A figure that this GPU or driver does not tell is left out.

    Args:
        nvml: the module pynvml.
        handle: of the GPU; for a MIG instance that of the GPU it is on, to which these figures belong.
        former: what watched the same GPU before the library was reopened: its faults last.
    """

    def __init__(self, nvml: Any, handle: Any, former: FaultWatch | None = None) -> None:
        self._nvml = nvml
        self._handle = handle
        self._errors_before: int = former._errors_before if former else self._ecc_errors()
        self._xids: list[int] = former._xids if former else []
        self._events = self._listen()

    def faults(self) -> tuple[str, ...]:
        """A sentence for each."""
        found = [f"the driver reported Xid {xid}: reset the GPU" for xid in self._new_xids()]
        errors = self._ecc_errors()
        if errors < self._errors_before:
            # It was reset.
            self._errors_before = errors
        if errors > self._errors_before:
            found.append("its memory had ECC errors that could not be corrected: reset the GPU")
        try:
            _, _, pending, failed = self._nvml.nvmlDeviceGetRemappedRows(self._handle)
        except self._nvml.NVMLError:
            # Before Ampere, or a driver that does not tell.
            pending = failed = 0
        if failed:
            found.append("a broken row of its memory could not be remapped: replace the GPU")
        elif pending:
            found.append("a broken row of its memory is remapped at the next reset: reset the GPU")
        return tuple(found)

    def _ecc_errors(self) -> int:
        nvml = self._nvml
        try:
            return int(
                nvml.nvmlDeviceGetTotalEccErrors(
                    self._handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
                )
            )
        except nvml.NVMLError:
            return 0

    def _listen(self) -> Any | None:
        nvml = self._nvml
        try:
            events = nvml.nvmlEventSetCreate()
            nvml.nvmlDeviceRegisterEvents(self._handle, nvml.nvmlEventTypeXidCriticalError, events)
        except nvml.NVMLError:
            return None
        return events

    def _new_xids(self) -> list[int]:
        """All that came since the GPU was opened, each number once."""
        while self._events is not None:
            try:
                xid = int(self._nvml.nvmlEventSetWait_v2(self._events, 0).eventData)
            except self._nvml.NVMLError:
                # A timeout: there is none (any more).
                break
            if xid not in HARMLESS_XIDS and xid not in self._xids:
                self._xids.append(xid)
        return self._xids
