"""What runs and drivers tell of devices: it begins and ends their quarantines, and is told in the log."""

from __future__ import annotations

from typing import Any, Literal

from pocket3d.contracts.clock import Now
from pocket3d.contracts.failures import FailureCode

from ..devices.probes.port import Reading
from .effects import LogLine
from .records import DeviceRecord, Worker
from .state import Core


def device_failed(core: Core, worker: Worker, job_id: str | None, why: str, now: Now) -> None:
    """A load or a run ended in a way that a broken device would explain. `job_id`: None without a job."""
    device = core.device_of(worker)
    if device.spec.kind != "cuda":
        return
    others = [each for each in core.devices.values() if each is not device]
    elsewhere = {name for name in core.adapters if any(each.health.fails(name) for each in others)}
    if device.health.failed(worker.adapter_id, job_id or worker.worker_id, elsewhere, now.mono):
        _tell(core, device, "warning", "a device gets no jobs for a while", now, job_id=job_id, last_failure=why)


def device_worked(core: Core, worker: Worker, now: Now) -> None:
    """A run on the device succeeded."""
    device = core.device_of(worker)
    if device.health.worked():
        _tell(core, device, "info", "a device gets jobs again: one succeeded on it", now)


def device_read(core: Core, device: DeviceRecord, reading: Reading, now: Now) -> bool:
    """Take in what the driver says of a device; true if it says from now on that the device is broken."""
    health = device.health
    former = health.faults, health.lost
    health.faults, health.lost = reading.faults, reading.unavailable
    if former == (health.faults, health.lost):
        return False
    if health.faults or health.lost is not None:
        _tell(core, device, "warning", "a device gets no jobs: its driver says that it is broken or lost", now)
    else:
        _tell(core, device, "info", "a device gets jobs again: its driver says no more that it is broken or lost", now)
    return bool(health.faults)


def is_the_devices(code: str) -> bool:
    """True if a broken device would explain that a worker's proof failed: not after it ran out of memory."""
    return code != FailureCode.OUT_OF_MEMORY.value


def _tell(
    core: Core, device: DeviceRecord, level: Literal["info", "warning"], text: str, now: Now, **fields: Any
) -> None:
    reason = device.health.quarantine(device.running, now.mono)
    told = {"device": device.spec.id, "reason": reason, **fields}
    core.effects.append(LogLine(level, text, {key: value for key, value in told.items() if value is not None}))
    core.changed = True
