"""The passage of time: limits, retries, the probe; and when the engine wants to be called next."""

from __future__ import annotations

from pocket3d.contracts.clock import Now
from pocket3d.contracts.failures import FailureCode

from .effects import ProbeNow
from .lifecycle import BEFORE_RUN, RunState, WorkerState
from .operator import drain_overdue
from .outbound import advert_due, flush_progress, outcomes_next
from .quarantine import device_failed
from .records import Run, StopReason, Worker
from .results import retry_now
from .runs import fail_run, stop_run
from .state import Core
from .storage import check_due
from .workers import drop_planned, escalate_stop, stop_worker


def on_clock_gap(core: Core, now: Now) -> None:
    """When the last tick is over twice its period ago, the process was paused: nothing is expired, every limit counts
    on from here. Asked before every event: what waited in the sockets may come before the late tick.
    """
    last = core.last_tick
    if last is None or now.mono - last <= 2 * core.settings.tick_s:
        return
    core.last_tick = now.mono
    pause_s = now.mono - last
    for run in core.runs.values():
        run.postpone(pause_s)
    for worker in core.workers.values():
        worker.postpone(pause_s)
    for device in core.devices.values():
        device.ledger.postpone(pause_s)
        device.health.postpone(pause_s)
    if core.drain_deadline is not None:
        core.drain_deadline += pause_s
    if core.leave_deadline is not None:
        core.leave_deadline += pause_s


def tick(core: Core, now: Now) -> None:
    """Time passed."""
    core.last_tick = now.mono
    drain_overdue(core, now)
    for run in list(core.runs.values()):
        if run.state is not RunState.DONE:
            _expire_run(core, run, now)
    for worker in list(core.workers.values()):
        _expire_worker(core, worker, now)
    for device in core.devices.values():
        if device.ledger.release_overdue(now.mono):
            core.changed = True
    for run in list(core.runs.values()):
        if run.retry_at is not None and now.mono >= run.retry_at and core.connected:
            retry_now(core, run)
        flush_progress(core, run, now)


def _passed(deadline: float | None, now: Now) -> bool:
    return deadline is not None and now.mono >= deadline


def _expire_run(core: Core, run: Run, now: Now) -> None:
    limits = run.award.job.limits
    timeout = FailureCode.TIMEOUT.value
    if run.state in BEFORE_RUN:
        worker = run.worker
        if _passed(run.load_deadline, now):
            message = f"the model was not loaded within load_s = {limits.load_s:g} s"
            fail_run(core, run, timeout, message, now)
            device_failed(core, worker, run.award.job_id, message, now)
            if not worker.runs and not worker.pinned:
                stop_worker(core, worker, "its load takes too long", now, "terminate")
        elif _passed(run.fetch_deadline, now) and core.connected:
            fail_run(core, run, timeout, f"its inputs were not fetched within {core.settings.fetch_s:g} s", now)
        elif _passed(run.room_deadline, now):
            message = f"evicted memory was not free within {core.settings.room_wait_s:g} s"
            fail_run(core, run, FailureCode.HANDED_BACK.value, message, now)
    elif run.state is RunState.RUNNING and _passed(run.close_deadline, now):
        stop_run(
            core, run, StopReason(timeout, f"not done within start_to_close_s = {limits.start_to_close_s:g} s"), now
        )
    elif run.state is RunState.CANCELLING and _passed(run.grace_deadline, now):
        run.grace_deadline = None
        why = f"job {run.award.job_id} did not end when asked to"
        stop_worker(core, run.worker, why, now, "terminate")
    elif run.state is RunState.UPLOADING and _passed(run.upload_deadline, now) and core.connected:
        # The system's fault, so it is tried again at once; not `handed_back`, which would cost no attempt for ever.
        why = run.upload_failure or "others' files were stored first"
        message = f"its outputs could not be stored within {core.settings.upload_s:g} s: {why}"
        fail_run(core, run, FailureCode.AGENT_LOST.value, message, now)


def _expire_worker(core: Core, worker: Worker, now: Now) -> None:
    idle_s = core.settings.idle_timeout_s
    if worker.state is WorkerState.PLANNED and _passed(worker.room_deadline, now):
        drop_planned(core, worker, f"there was no room within {core.settings.room_wait_s:g} s", now)
    elif worker.state is WorkerState.STOPPING and _passed(worker.stop_deadline, now):
        escalate_stop(core, worker, now)
    elif not worker.pinned and worker.idle_since is not None and _passed(worker.idle_since + idle_s, now):
        stop_worker(core, worker, f"idle for {idle_s:g} s", now)


def probe_if_due(core: Core, now: Now) -> None:
    """Measure every tick, and more often while somebody waits for memory to become free."""
    due = _probe_due(core)
    if due is not None and now.mono >= due:
        core.probing = True
        core.probed_at = now.mono
        core.effects.append(ProbeNow())


def _probe_due(core: Core) -> float | None:
    if core.probing or not core.measured:
        return None
    waiting = any(device.ledger.unreleased() for device in core.devices.values())
    return core.probed_at + (core.settings.fast_probe_s if waiting else core.settings.tick_s)


def next_deadline(core: Core, now: Now) -> float:
    """Monotonic time at which the next `Tick` should come, at the latest."""
    at = (core.last_tick if core.last_tick is not None else now.mono) + core.settings.tick_s
    times = [advert_due(core), outcomes_next(core), _probe_due(core), check_due(core)]
    times += (core.drain_deadline, core.leave_deadline)
    for run in core.runs.values():
        times += (run.load_deadline, run.room_deadline, run.close_deadline, run.grace_deadline)
        if run.progress is not None:
            times.append(run.progress_at)
        if core.connected:
            # Without a connection nothing is tried again, and nobody is blamed for it.
            times += (run.retry_at, run.fetch_deadline, run.upload_deadline)
    for worker in core.workers.values():
        times += (worker.room_deadline, worker.stop_deadline)
    return min([at, *(time for time in times if time is not None)])
