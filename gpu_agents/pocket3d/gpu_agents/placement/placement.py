"""Placement of one job on one device: the worker, the claims and the evictions. Used for bids and for awards."""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.fit import Need, Shortfall, fits
from pocket3d.contracts.variants import Choice
from pocket3d.contracts.worker_frames import AdapterDescription

from ..engine.lifecycle import WorkerState
from ..engine.records import DeviceRecord, Worker
from .estimates import Estimates


class Placement(NamedTuple):
    """How a device would take a job."""

    #: The worker that takes it; None for a new one.
    worker: Worker | None
    #: MB that the job needs in all.
    need_mb: int
    #: A new worker's own claim.
    resident_mb: int
    #: MB newly claimed, the worker's own included.
    claim_mb: int
    #: MB that each further such job would newly claim on the same worker.
    claim_next_mb: int
    #: Of the adapter, None if it has none.
    variant: str | None = None
    #: Idle workers to stop.
    evict: tuple[Worker, ...] = ()
    #: Claims whose memory it must wait for: the evicted ones' and those of workers that are leaving already.
    waits_for: tuple[str, ...] = ()


def requirement_mb(
    device: DeviceRecord, adapter_id: str, choice: Choice, estimates: Estimates, size_class: str | None
) -> int:
    """What a job of an adapter, in a variant, is promised on a device, as declared or learned, MB."""
    key = adapter_id, device.spec.id, choice.variant
    capacity_mb = device.ledger.capacity_mb
    if device.spec.kind == "cpu":
        return estimates.cpu_requirement_mb(key, size_class, choice.declared_mb, capacity_mb)
    return estimates.requirement_mb(adapter_id, device.spec.id, choice.declared_mb, capacity_mb, choice.variant)


def claims(
    device: DeviceRecord,
    adapter: AdapterDescription,
    choice: Choice,
    estimates: Estimates,
    size_class: str | None = None,
) -> Placement:
    """What a job of an adapter, in a variant, would claim on a device, whether there is room or not.

    It needs what is declared or was learned (`requirement_mb`), unless it says itself what it needs.
    """
    variant = choice.variant
    declared = requirement_mb(device, adapter.adapter_id, choice, estimates, size_class)
    need_mb = declared if choice.asked_mb is None else choice.asked_mb
    worker = device.worker_for(adapter.adapter_id, variant)
    if worker is not None:
        extra_mb = max(0, need_mb - worker.resident_mb)
        return Placement(worker, need_mb, worker.resident_mb, extra_mb, extra_mb, variant)
    # The rest is each run's own: a worker that gives its memory back holds up nobody while it is idle.
    resident_mb = min(declared if adapter.idle_vram_mb is None else adapter.idle_vram_mb, need_mb)
    return Placement(None, need_mb, resident_mb, need_mb, need_mb - resident_mb, variant)


def place(
    device: DeviceRecord,
    adapter: AdapterDescription,
    choice: Choice,
    estimates: Estimates,
    now_mono: float,
    size_class: str | None = None,
) -> Placement | Shortfall:
    """Place one job of an adapter on a device, or say what is short.

    Args:
        device: the device.
        adapter: the adapter, available.
        choice: the variant, and what the job needs there.
        estimates: what was learned.
        now_mono: monotonic seconds.
        size_class: of the job's files; None for none, and where that is not known.
    """
    found = claims(device, adapter, choice, estimates, size_class)
    if device.spec.kind in adapter.devices and found.need_mb > device.ledger.capacity_mb:
        return Shortfall("vram_total", found.need_mb, device.ledger.capacity_mb)
    # A new worker has a slot for it.
    slots = found.worker.free_slots if found.worker is not None else 1
    need = Need(found.claim_mb, tuple(adapter.devices), slots)
    short = fits(need, device.ledger.room(now_mono, device.running))
    if short is None or short.dimension != "vram":
        return short or found
    return _with_evictions(device, found, need, estimates, now_mono)


def _with_evictions(
    device: DeviceRecord, found: Placement, need: Need, estimates: Estimates, now_mono: float
) -> Placement | Shortfall:
    # Claims that will be released without anybody's doing and that nobody waits for yet.
    waited_for = device.ledger.waited_for()
    leaving = [key for key in device.ledger.ending() if key not in waited_for]
    evict: list[Worker] = []
    candidates = eviction_order(device, found.worker, estimates, now_mono)
    while True:
        without = [*leaving, *(worker.worker_id for worker in evict)]
        short = fits(need, device.ledger.room(now_mono, device.running, without))
        if short is None:
            break
        if not candidates:
            return short
        evict.append(candidates.pop(0))
    # The last ones taken may be large enough alone: spare the earlier ones that are not needed.
    for worker in list(evict):
        fewer = [*leaving, *(w.worker_id for w in evict if w is not worker)]
        if fits(need, device.ledger.room(now_mono, device.running, fewer)) is None:
            evict.remove(worker)
    waits_for = (*leaving, *(worker.worker_id for worker in evict))
    return found._replace(evict=tuple(evict), waits_for=waits_for)


def eviction_order(device: DeviceRecord, spare: Worker | None, estimates: Estimates, now_mono: float) -> list[Worker]:
    """Idle workers, the one whose loss costs least first.

    That is the one idle longest in terms of its own reload: least recently used, weighed by what a reload costs. What
    an operator wants warm goes last.
    """

    def worth_keeping(worker: Worker) -> tuple[bool, float, str]:
        reload_s = max(estimates.load_s(*worker.key) or 1.0, 0.1)
        idle_s = now_mono - (worker.idle_since if worker.idle_since is not None else now_mono)
        return worker.pinned, -idle_s / reload_s, worker.worker_id

    idle = [w for w in device.workers.values() if w.state is WorkerState.IDLE and w is not spare]
    return sorted(idle, key=worth_keeping)
