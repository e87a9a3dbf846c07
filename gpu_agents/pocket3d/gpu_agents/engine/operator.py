"""Requests of operators to one agent (status, drain, load, unload), and the agent's own leaving."""

from __future__ import annotations

import itertools

from pocket3d.contracts.api import ControlAnswer
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.variants import Wish, choices, label

from ..placement.bidding import shortfall_reason
from ..placement.placement import Placement, place
from .effects import Exit, LogLine, RefuseRequest, Reply
from .events import DrainRequested, LoadRequested, Request, StatusRequested, UndrainRequested, UnloadRequested
from .intake import closed
from .lifecycle import ON_DEVICE, RunState, WorkerState
from .outbound import full_advert
from .records import StopReason
from .runs import stop_run
from .state import Core
from .storage import hand_back_waiting
from .workers import start_if_room, stop_worker, take_worker


def status_requested(core: Core, event: StatusRequested, now: Now) -> None:
    """Answer with a full advert."""
    core.effects.append(Reply(event.request, full_advert(core, now).advert))


def _answer(core: Core, request: Request | None, message: str) -> None:
    if request is not None:
        answer = ControlAnswer(agent_id=core.identity.agent_id, draining=core.draining, message=message)
        core.effects.append(Reply(request, answer))


def _refuse(core: Core, request: Request | None, code: int, message: str) -> None:
    if request is not None:
        core.effects.append(RefuseRequest(request, code, message))


# ---------------------------------------------------------------- drain


def drain_requested(core: Core, event: DrainRequested, now: Now) -> None:
    """Accept nothing new, hand back jobs that are not on their worker yet, and let the others finish within bounds."""
    settings = core.settings
    if not core.draining:
        core.draining = True
        core.drain_deadline = now.mono + (settings.leave_timeout_s if event.leave else settings.drain_timeout_s)
        hand_back_waiting(core, "the agent is draining", now)
    if event.leave and not core.leaving:
        core.leaving = True
        if core.drain_deadline is not None:
            core.drain_deadline = min(core.drain_deadline, now.mono + settings.leave_timeout_s)
        core.leave_deadline = (core.drain_deadline or now.mono) + settings.leave_bound_s
        if _running(core):
            within_s = round(max(0.0, (core.drain_deadline or now.mono) - now.mono), 1)
            fields = {"jobs": _running(core), "within_s": within_s}
            core.effects.append(LogLine("info", "the agent leaves when what runs is done, or handed back", fields))
        for worker in list(core.workers.values()):
            if not worker.runs:
                stop_worker(core, worker, "the agent leaves", now)
    core.changed = True
    left_s = max(0.0, (core.drain_deadline or now.mono) - now.mono)
    _answer(core, event.request, f"draining: {_running(core)} running jobs may take {left_s:g} s")


def _running(core: Core) -> int:
    return sum(run.state in ON_DEVICE for run in core.runs.values())


def undrain_requested(core: Core, event: UndrainRequested, now: Now) -> None:
    """Bid again after a drain."""
    if core.leaving:
        _refuse(core, event.request, 409, "the agent leaves; start a new one")
        return
    core.draining = False
    core.drain_deadline = None
    core.changed = True
    none = closed(core)
    _answer(core, event.request, "bids again" if none is None else f"drains no more, but {none.reason}")


def drain_overdue(core: Core, now: Now) -> None:
    """Stop running jobs and hand them back once their time is over."""
    if core.drain_deadline is None or now.mono < core.drain_deadline:
        return
    core.drain_deadline = None
    for run in list(core.runs.values()):
        if run.state is RunState.RUNNING:
            settings = core.settings
            bound_s = settings.leave_timeout_s if core.leaving else settings.drain_timeout_s
            message = f"the agent drains, and it was not done within {bound_s:g} s"
            stop_run(core, run, StopReason(FailureCode.HANDED_BACK.value, message), now)


def exit_if_left(core: Core, now: Now) -> None:
    """Exit once every run is decided and reported, or when the bound passes: with nothing on the devices any more it is
    short, for the server may be gone for good.
    """
    if core.exited:
        return
    done = not core.runs and not core.workers and not core.outcomes
    if not done and not core.only_stores and not _running(core):
        core.only_stores = True
        at = now.mono + core.settings.leave_bound_s
        core.leave_deadline = at if core.leave_deadline is None else min(core.leave_deadline, at)
        if core.runs:
            text = "nothing runs any more; the agent leaves when what it has made is stored and noted"
            fields = {"jobs": len(core.runs), "within_s": round(core.leave_deadline - now.mono, 1)}
            connected = {} if core.connected else {"error": "there is no connection to the server"}
            core.effects.append(LogLine("info" if core.connected else "warning", text, {**fields, **connected}))
    if done or (core.leave_deadline is not None and now.mono >= core.leave_deadline):
        core.exited = True
        core.effects.append(Exit(tuple(core.runs)))


# ---------------------------------------------------------------- load and unload


def load_requested(core: Core, event: LoadRequested, now: Now) -> None:
    """Load an adapter and keep its worker warm."""
    adapter = core.adapters.get(event.adapter_id)
    if adapter is None:
        _refuse(core, event.request, 404, f"{event.adapter_id} is not known here")
        return
    if not adapter.available:
        _refuse(core, event.request, 409, f"{event.adapter_id} is not available: {adapter.reason}")
        return
    if core.draining:
        _refuse(core, event.request, 409, "the agent is draining")
        return
    if event.device is not None and event.device not in core.devices:
        _refuse(
            core, event.request, 404, f"there is no device {event.device} here; there are {', '.join(core.devices)}"
        )
        return
    devices = [b for b in core.devices.values() if event.device in (None, b.spec.id) and b.spec.kind in adapter.devices]
    if not devices:
        _refuse(core, event.request, 409, f"{event.adapter_id} runs on {' or '.join(adapter.devices)} only")
        return
    ways = choices(adapter, Wish(event.variant))
    if not ways:
        known = ", ".join(each.name for each in adapter.variants) or "none"
        _refuse(core, event.request, 404, f"{event.adapter_id} has no variant {event.variant} here; it has {known}")
        return
    for choice, device in itertools.product(ways, devices):
        worker = device.worker_for(event.adapter_id, choice.variant)
        if worker is not None and worker.spoiled is not None:
            text = f"{event.adapter_id} on {device.spec.id} is being replaced ({worker.spoiled}); ask again in a moment"
            _refuse(core, event.request, 409, text)
            return
        if worker is not None:
            worker.pinned, worker.unwanted = True, False
            core.changed = True
            name = label(event.adapter_id, choice.variant)
            _answer(core, event.request, f"{name} is {worker.state.value} on {device.spec.id}, and stays")
            return
    shut = {device.spec.id: why.reason for device in devices if (why := device.shut(now.mono)) is not None}
    devices = [device for device in devices if device.spec.id not in shut]
    if not devices:
        why_not = "; ".join(f"{name} is {reason}" for name, reason in shut.items())
        _refuse(core, event.request, 409, f"{event.adapter_id} cannot be loaded: {why_not}")
        return
    reason: Reason | None = None
    roomy = sorted(devices, key=lambda b: -b.ledger.room(now.mono).available_mb)
    for choice, device in itertools.product(ways, roomy):
        found = place(device, adapter, choice, core.estimates, now.mono)
        if isinstance(found, Placement):
            worker = take_worker(core, device, adapter, found, now)
            worker.pinned = True
            start_if_room(core, worker, now)
            _answer(core, event.request, f"loading {label(event.adapter_id, choice.variant)} on {device.spec.id}")
            return
        reason = shortfall_reason(core.identity.agent_id, device.spec.id, event.adapter_id, choice.variant, found)
    assert reason is not None
    missing = f", short of {reason.short_mb} MB" if reason.short_mb else ""
    name = label(event.adapter_id, reason.variant)
    _refuse(core, event.request, 409, f"{name} cannot be loaded on {reason.device}: {reason.code}{missing}")


def unload_requested(core: Core, event: UnloadRequested, now: Now) -> None:
    """Stop an adapter's workers: idle ones now, busy ones after their jobs."""
    if event.adapter_id not in core.adapters:
        _refuse(core, event.request, 404, f"{event.adapter_id} is not known here")
        return
    workers = [
        w
        for w in core.workers.values()
        if w.adapter_id == event.adapter_id
        and event.device in (None, w.device)
        and event.variant in (None, w.variant)
        and w.active
    ]
    if not workers:
        _answer(core, event.request, f"{label(event.adapter_id, event.variant)} is not loaded")
        return
    told: list[str] = []
    for worker in workers:
        worker.pinned = False
        worker.unwanted = True
        as_variant = "" if worker.variant is None else f"as {worker.variant} "
        told.append(f"{as_variant}{worker.device} {'after its jobs' if worker.runs else 'now'}")
        if not worker.runs and worker.state is not WorkerState.IDLE:
            stop_worker(core, worker, "unloaded", now)
    _answer(core, event.request, f"unloading {event.adapter_id}: {', '.join(told)}")
