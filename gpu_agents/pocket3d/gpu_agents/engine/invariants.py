"""Conditions that hold after every event, checked by tests and the simulation."""

from __future__ import annotations

from collections import Counter

from .lifecycle import BEFORE_RUN, ON_DEVICE, RunState, WorkerState
from .state import Core


def check(core: Core) -> None:
    """Check all of them.

    Raises:
        AssertionError: one does not hold; the message says which.
    """
    _check_devices(core)
    _check_workers(core)
    _check_runs(core)
    for each in (core.fetches, core.uploads, core.stores):
        _must(len(each.in_flight) <= each.limit, f"{len(each.in_flight)} effects in flight, at most {each.limit}")
        strangers = (each.in_flight | set(each.waiting)) - set(core.runs)
        _must(not strangers, f"a limit holds {sorted(strangers)}, which are no runs")


def _must(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _check_devices(core: Core) -> None:
    for device in core.devices.values():
        device.ledger.check()
        cap = device.spec.max_running
        _must(cap is None or device.running <= cap, f"{device.spec.id} runs {device.running} jobs, at most {cap}")
        active = Counter(worker.key for worker in device.workers.values() if worker.active)
        doubled = [key for key, count in active.items() if count > 1]
        _must(not doubled, f"{device.spec.id} has two workers of {doubled}")
        processes = Counter(w.key for w in device.workers.values() if w.state is not WorkerState.PLANNED)
        doubled = [key for key, count in processes.items() if count > 1]
        _must(not doubled, f"{device.spec.id} has two processes of {doubled}")
        for worker in device.workers.values():
            _must(core.workers.get(worker.worker_id) is worker, f"{worker.worker_id} is in one list only")
            granted = sum(run.extra_mb for run in worker.runs.values() if run.room_deadline is None)
            held = device.ledger.claim_mb(worker.worker_id)
            want = worker.resident_mb + granted
            _must(held == want, f"{worker.worker_id} holds {held} MB, its runs make it {want}")


def _check_workers(core: Core) -> None:
    for worker in core.workers.values():
        _must(len(worker.runs) <= worker.capacity, f"{worker.worker_id} has more runs than slots")
        _must(worker.state is not WorkerState.EXITED, f"{worker.worker_id} has exited and is still listed")
        if worker.state is WorkerState.IDLE:
            _must(not worker.runs and worker.idle_since is not None, f"{worker.worker_id} is idle with runs")
        if worker.state is WorkerState.BUSY:
            _must(bool(worker.runs) and worker.idle_since is None, f"{worker.worker_id} is busy without runs")
        for token, run in worker.runs.items():
            _must(run.worker is worker and core.runs.get(token) is run, f"{token} is not a run of {worker.worker_id}")
            _must(run.state in ON_DEVICE, f"{token} is {run.state.value} and holds a slot")
            late = worker.spoiled is not None and run.state in BEFORE_RUN
            _must(not late, f"{token} waits for {worker.worker_id}, which is spoiled: {worker.spoiled}")


def _check_runs(core: Core) -> None:
    states = Counter(run.state for run in core.runs.values())
    counted = {state: states[state] for state in (RunState.UPLOADING, RunState.STORING)}
    _must(core.unstored == counted, f"{core.unstored} are counted to wait to be stored, and {counted} do")
    for token, run in core.runs.items():
        _must(run.state is not RunState.DONE, f"{token} is done and still listed")
        _must(run.on_device == (token in run.worker.runs), f"{token} is {run.state.value}: slot held or not?")
        waits = run.room_deadline is not None
        _must(waits == (token in core.waiting_for_room), f"{token} waits for memory or does not")
        answer = core.answers.get(token)
        _must(answer is None or answer.accepted, f"{token} runs and was declined")
        if run.state is RunState.REPORTING:
            _must(f"{token}/attempt_failed" in core.outcomes, f"{token} is being reported by nobody")
        if run.state in (RunState.STORING, RunState.UPLOADING):
            limit = core.stores if run.state is RunState.STORING else core.uploads
            moving = token in limit.in_flight or token in limit.waiting or run.retry_at is not None
            _must(moving, f"{token} is {run.state.value}, and nobody sees to it")
