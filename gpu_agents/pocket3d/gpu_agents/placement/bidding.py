"""The bids of this agent for a lot: device, start and cost of each, or the reasons for none. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import structs

from pocket3d.contracts.commands import BidDeclined, BidPlaced, Lot, Reason
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.fit import Need, Shortfall, fits
from pocket3d.contracts.size_classes import known_class
from pocket3d.contracts.variants import Choice, Wish, choices, equal_starts
from pocket3d.contracts.worker_frames import AdapterDescription

from ..engine.lifecycle import RunState, WorkerState
from ..engine.records import DeviceRecord, Run, Worker
from ..settings import AgentSettings
from .estimates import Estimates, Key
from .placement import Placement, claims, place

_CODES = {
    "device_kind": DeclineCode.NO_DEVICE,
    "max_running": DeclineCode.NO_SLOT,
    "max_concurrent": DeclineCode.NO_SLOT,
    "vram_total": DeclineCode.VRAM_TOTAL,
    "vram": DeclineCode.VRAM_BUSY,
}
_MEGABYTES = ("vram_total", "vram")
#: A run that is past its estimate is expected to take at least this share of its time again.
_OVERDUE = 0.1


class Bidder(NamedTuple):
    """The state of the agent that bids are made from."""

    agent_id: str
    adapters: Mapping[str, AdapterDescription]
    devices: Mapping[str, DeviceRecord]
    estimates: Estimates
    settings: AgentSettings
    now_mono: float
    #: How much longer a job may wait for a better variant.
    variant_wait_s: float


def bid(bidder: Bidder, lot: Lot) -> tuple[list[BidPlaced], BidDeclined | None]:
    """Offers for one lot, one per adapter and device that could take it now or later; or the reasons for none.

    Of an adapter with variants it is the best that can start now on that device; lesser ones follow where the lot has
    more jobs than that one takes.
    """
    bids: list[BidPlaced] = []
    reasons: list[Reason] = []
    for adapter in bidder.adapters.values():
        for offer in _offers(bidder, adapter, lot):
            if isinstance(offer, BidPlaced):
                bids.append(offer)
            else:
                reasons.append(offer)
    if not bids and not reasons:
        wanted = f"{lot.feature} by {', '.join(lot.adapters)}" if lot.adapters is not None else lot.feature
        message = f"no adapter here serves {wanted}"
        reasons.append(Reason(agent_id=bidder.agent_id, code=DeclineCode.NO_ADAPTER.value, message=message))
    if len(bids) == 1 and _stands(bidder, lot, bids[0]):
        bids = [structs.replace(bids[0], stands=True)]
    return bids, None if bids else BidDeclined(lot=lot.lot, reasons=reasons)


def _wish(lot: Lot) -> Wish:
    return Wish(lot.variant, lot.vram_mb, tuple(lot.raised))


def _stands(bidder: Bidder, lot: Lot, only: BidPlaced) -> bool:
    """True if the coordinator may use the only bid again without another call: a loaded worker would take the job at
    once, without memory of its own, and nothing else of this agent could do it, or do it better.
    """
    best = choices(bidder.adapters[only.adapter_id], _wish(lot))[0]
    return only.warm and only.slots > 0 and only.claim_mb == 0 and only.variant == best.variant


def _offers(bidder: Bidder, adapter: AdapterDescription, lot: Lot) -> Iterator[BidPlaced | Reason]:
    """What an adapter can do for a lot, device by device; nothing if it does not serve it."""
    if lot.adapters is not None and adapter.adapter_id not in lot.adapters:
        return
    # Binding ids do not change what an adapter serves.
    if canonical(adapter.feature) != canonical(lot.feature) and (lot.adapters is None or adapter.available):
        return

    def no(code: DeclineCode, message: str, device: str | None = None) -> Reason:
        return Reason(
            agent_id=bidder.agent_id, device=device, code=code.value, adapter_id=adapter.adapter_id, message=message
        )

    devices = [device for device in bidder.devices.values() if device.spec.kind in adapter.devices]
    ways = choices(adapter, _wish(lot))
    if adapter.adapter_id in lot.without:
        yield no(DeclineCode.BENCHED, "the coordinator keeps it off this agent for these jobs")
    elif not adapter.available:
        yield no(DeclineCode.ADAPTER_UNAVAILABLE, adapter.reason or "not available")
    elif not ways:
        yield no(DeclineCode.NO_ADAPTER, _no_variant(adapter, lot))
    elif not devices:
        kinds = " or ".join(adapter.devices)
        yield no(DeclineCode.NO_DEVICE, f"{adapter.adapter_id} runs on {kinds}; this agent has no such device")
    else:
        for device in devices:
            shut = device.shut(bidder.now_mono)
            if shut is not None:
                yield no(shut.code, shut.reason, device.spec.id)
                continue
            benched = {
                each.variant
                for each in lot.benched
                if (each.adapter_id, each.device) == (adapter.adapter_id, device.spec.id)
            }
            open_ways = [choice for choice in ways if choice.variant not in benched]
            if open_ways:
                yield from _in_variants(bidder, device, adapter, lot, open_ways)
            else:
                text = "the coordinator keeps it off this device in each variant that these jobs may take"
                yield no(DeclineCode.BENCHED, text, device.spec.id)


def _no_variant(adapter: AdapterDescription, lot: Lot) -> str:
    known = ", ".join(each.name for each in adapter.variants) or "none"
    if lot.variant is not None:
        return f"{adapter.adapter_id} has no variant {lot.variant} here; it has {known}"
    return f"these jobs ran out of memory in each variant of {adapter.adapter_id}: {known}"


def _in_variants(
    bidder: Bidder, device: DeviceRecord, adapter: AdapterDescription, lot: Lot, ways: list[Choice]
) -> Iterator[BidPlaced | Reason]:
    """What a device can do for a lot: in the best variant that can start now, in lesser ones where that has no slots
    for all jobs; where none could ever start, the reason of the one that needs least.
    """
    offers = [_offer(bidder, device, adapter, choice, lot) for choice in ways]
    bids = [offer for offer in offers if isinstance(offer, BidPlaced)]
    if not bids:
        least = min(range(len(ways)), key=lambda index: ways[index].need_mb)
        yield offers[least]
        return
    soon = equal_starts([each.est_queue_s for each in bids], bidder.variant_wait_s)
    told: list[BidPlaced] = []
    for each in itertools.compress(bids, soon):
        # One to wait for is enough.
        if not told or (each.slots and sum(other.slots for other in told) < lot.jobs):
            told.append(each)
    yield from told


def _offer(
    bidder: Bidder, device: DeviceRecord, adapter: AdapterDescription, choice: Choice, lot: Lot
) -> BidPlaced | Reason:
    found = place(device, adapter, choice, bidder.estimates, bidder.now_mono, lot.size_class)
    key = adapter.adapter_id, device.spec.id, choice.variant
    worker = device.worker_for(adapter.adapter_id, choice.variant)
    slots, queue_s = 0, 0.0
    evicted: tuple[Worker, ...] = ()
    load_s = expected_load_s(bidder, key) if worker is None else 0.0
    if isinstance(found, Placement):
        slots, evicted = _slots(bidder, device, adapter, lot.jobs, found), found.evict
        if worker is not None:
            load_s = _load_left_s(bidder, worker)
    else:
        wait = wait_s(bidder, device, adapter, choice, lot.size_class)
        if found.dimension in ("device_kind", "vram_total") or wait is None:
            return shortfall_reason(bidder.agent_id, device.spec.id, adapter.adapter_id, choice.variant, found)
        queue_s = wait
        found = claims(device, adapter, choice, bidder.estimates, lot.size_class)
    return BidPlaced(
        lot=lot.lot,
        adapter_id=adapter.adapter_id,
        variant=choice.variant,
        device=device.spec.id,
        claim_mb=found.claim_mb,
        claim_next_mb=found.claim_next_mb,
        slots=slots,
        max_concurrent=worker.capacity if worker else max(1, adapter.max_concurrent),
        warm=worker is not None and worker.loaded,
        evict_mb=sum(device.ledger.claim_mb(w.worker_id) for w in evicted),
        est_queue_s=queue_s,
        est_load_s=load_s,
        est_run_s=bidder.estimates.run_s(*key),
        size_class=known_class(lot.size_class),
        expected_run_s=bidder.estimates.sized_run_s(key, lot.size_class),
        expected_mb=bidder.estimates.sized_peak_mb(key, lot.size_class),
    )


def _slots(bidder: Bidder, device: DeviceRecord, adapter: AdapterDescription, jobs: int, found: Placement) -> int:
    """How many such jobs could start at once, of which one can: slots of the worker, cap of the device, memory."""
    room = device.ledger.room(bidder.now_mono, device.running, found.waits_for)
    worker = found.worker
    slots = worker.free_slots if worker else max(1, adapter.max_concurrent)
    slots = min(slots, max(1, jobs))
    if room.max_running is not None:
        slots = min(slots, room.max_running - room.running)
    if found.claim_next_mb > 0:
        slots = min(slots, 1 + (room.available_mb - found.claim_mb) // found.claim_next_mb)
    return slots


# ---------------------------------------------------------------- how long until it could start


def expected_load_s(bidder: Bidder, key: Key) -> float:
    """Seconds that a load takes: the median of earlier ones, or the assumption of the settings."""
    known = bidder.estimates.load_s(*key)
    return bidder.settings.assumed_load_s if known is None else known


def _load_left_s(bidder: Bidder, worker: Worker) -> float:
    if worker.loaded:
        return 0.0
    expected = expected_load_s(bidder, worker.key)
    if worker.load_started is None:
        return expected
    elapsed = bidder.now_mono - worker.load_started
    return max(expected - elapsed, _OVERDUE * elapsed)


def _left_s(bidder: Bidder, run: Run) -> float:
    """Seconds until a run is expected to leave its slot."""
    worker = run.worker
    expected = bidder.estimates.run_s(*worker.key)
    if expected is None:
        expected = bidder.settings.assumed_run_s
    if run.state is RunState.CANCELLING:
        grace = run.grace_deadline
        return max(0.0, grace - bidder.now_mono) if grace is not None else 0.0
    if run.run_started is None:
        return _load_left_s(bidder, worker) + expected
    elapsed = bidder.now_mono - run.run_started
    return max(expected - elapsed, _OVERDUE * elapsed)


def wait_s(
    bidder: Bidder, device: DeviceRecord, adapter: AdapterDescription, choice: Choice, size_class: str | None = None
) -> float | None:
    """When the job could start here, in seconds from now, if nothing else came in between; None for never.

    Runs leave one after the other by their estimates; a worker without runs counts as evictable. Also None when other
    processes on the device hold what is missing.
    """
    worker = device.worker_for(adapter.adapter_id, choice.variant)
    claim_mb = claims(device, adapter, choice, bidder.estimates, size_class).claim_mb
    left = {run.token: _left_s(bidder, run) for each in device.workers.values() for run in each.runs.values()}
    ends = sorted({*left.values(), *(_idle_in(bidder, w, left) for w in device.workers.values())})
    waited_for = device.ledger.waited_for()
    for at in ends:
        remaining = [token for token, end in left.items() if end > at]
        slots = 1 if worker is None else worker.capacity - sum(token in worker.runs for token in remaining)
        without = [
            w.worker_id
            for w in device.workers.values()
            if w is not worker and w.worker_id not in waited_for and _idle_in(bidder, w, left) <= at
        ]
        without += [key for key in device.ledger.ending() if key not in waited_for and key not in without]
        room = device.ledger.room(bidder.now_mono, len(remaining), without)
        if fits(Need(claim_mb, tuple(adapter.devices), slots), room) is None:
            return at
    return None


def _idle_in(bidder: Bidder, worker: Worker, left: Mapping[str, float]) -> float:
    if worker.runs:
        return max(left[token] for token in worker.runs)
    if worker.state is WorkerState.IDLE or worker.state is WorkerState.STOPPING:
        return 0.0
    return _load_left_s(bidder, worker)


# ---------------------------------------------------------------- reasons


def shortfall_reason(agent_id: str, device: str, adapter_id: str, variant: str | None, short: Shortfall) -> Reason:
    """A shortfall as a reason that `explain` can give."""
    in_mb = short.dimension in _MEGABYTES
    return Reason(
        agent_id=agent_id,
        device=device,
        code=_CODES[short.dimension].value,
        need_mb=short.need if in_mb else None,
        have_mb=max(0, short.have) if in_mb else None,
        short_mb=short.need - max(0, short.have) if in_mb else None,
        adapter_id=adapter_id,
        variant=variant,
    )
