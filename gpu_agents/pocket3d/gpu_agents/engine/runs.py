"""Runs: from the award to the worker, and the end of those without a result."""

from __future__ import annotations

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import Award
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.size_classes import size_class
from pocket3d.contracts.worker_frames import RunJob, Shortage

from .claims import settle_claim
from .effects import CancelOnWorker, CleanUp, DropArtifacts, FetchInputs, LogLine, RunOnWorker
from .events import InputsFailed, InputsFetched, RunFailed, RunFinished
from .lifecycle import BEFORE_RUN, RunState, WorkerState, spoils_worker
from .outbound import report_failed, report_started, tell_loading
from .quarantine import device_failed, is_the_devices
from .records import Run, StopReason, Worker
from .shortage import judge_shortage
from .state import Core

# ---------------------------------------------------------------- begin


def accept(core: Core, award: Award, worker: Worker, need_mb: int, now: Now) -> Run:
    """Give an attempt a slot of a worker. The caller claims its memory."""
    run = Run(award, worker, need_mb, now.mono, now.wall, core.moves)
    run.turn = core.turn(award, now)
    core.runs[run.token] = run
    worker.runs[run.token] = run
    if len(worker.runs) > 1:
        for each in worker.runs.values():
            each.alone = False
    if worker.state is WorkerState.IDLE:
        worker.move(WorkerState.BUSY, f"job {award.job_id}", now.mono)
        worker.idle_since = None
        worker.peak_mb = 0
    elif worker.state in (WorkerState.STARTING, WorkerState.LOADING):
        run.load_deadline = now.mono + award.job.limits.load_s
    core.fetches.enqueue(run.token, run.turn)
    core.changed = True
    return run


def begin_fetches(core: Core, now: Now) -> None:
    """Start to fetch inputs for as many runs as may fetch at a time."""
    while (token := core.fetches.next()) is not None:
        run = core.runs[token]
        run.move(RunState.FETCHING, "its turn", now.mono)
        run.fetch_deadline = now.mono + core.settings.fetch_s
        core.effects.append(FetchInputs(token, run.award.job_id, run.award.job.inputs, run.award.objects))
        report_started(core, run, now)


def inputs_fetched(core: Core, event: InputsFetched, now: Now) -> None:
    """A run's input files are in its directory."""
    core.fetches.leave(event.token)
    run = core.runs.get(event.token)
    if run is None or run.state is not RunState.FETCHING:
        return
    run.fetched = True
    run.fetch_deadline = None
    run.inputs, run.job_dir, run.output_dir = event.inputs, event.job_dir, event.output_dir
    if event.input_bytes is not None:
        run.size_class = size_class(event.input_bytes)
    if not advance(core, run, now):
        run.move(RunState.LOADING, "its inputs are here", now.mono)
        if not run.worker.loaded:
            tell_loading(core, run, now)


def inputs_failed(core: Core, event: InputsFailed, now: Now) -> None:
    """A run's input files cannot be fetched."""
    core.fetches.leave(event.token)
    run = core.runs.get(event.token)
    if run is not None and run.state is RunState.FETCHING:
        fail_run(core, run, event.code, event.message, now, field=event.field)


def advance(core: Core, run: Run, now: Now) -> bool:
    """Hand a run to its worker if its inputs, the model and its memory are there; True if it was handed over."""
    if run.state not in (RunState.FETCHING, RunState.LOADING):
        return False
    if not run.fetched or not run.worker.loaded or run.room_deadline is not None:
        return False
    run.move(RunState.RUNNING, f"on {run.worker.worker_id}", now.mono)
    run.run_started = now.mono
    run.close_deadline = now.mono + run.award.job.limits.start_to_close_s
    award = run.award
    core.effects.append(
        RunOnWorker(
            run.worker.worker_id,
            RunJob(
                run_id=award.token,
                job_id=award.job_id,
                attempt=award.attempt,
                feature=award.feature,
                inputs=run.inputs,
                job_dir=run.job_dir,
                output_dir=run.output_dir,
                extra_vram_mb=run.extra_mb,
                published_inputs=award.job.inputs if run.inputs != award.job.inputs else None,
            ),
        )
    )
    core.changed = True
    return True


# ---------------------------------------------------------------- end


def leave_device(core: Core, run: Run, now: Now) -> None:
    """Give back a run's slot and memory. Called after the run has moved to a state off the device."""
    worker = run.worker
    if worker.runs.pop(run.token, None) is None:
        return
    ledger = core.device_of(worker).ledger
    ledger.drop_extra(worker.worker_id, run.token)
    ledger.drop(run.token)
    run.fetch_deadline = run.load_deadline = run.room_deadline = run.close_deadline = run.grace_deadline = None
    core.waiting_for_room.pop(run.token, None)
    core.fetches.leave(run.token)
    core.changed = True
    if worker.state is WorkerState.BUSY and not worker.runs:
        worker.move(WorkerState.IDLE, "no run", now.mono)
        worker.idle_since = now.mono
        settle_claim(core, worker, now)


def fail_run(core: Core, run: Run, code: str, message: str, now: Now, *, field: str | None = None) -> None:
    """End a run without a result; the failure is reported until the coordinator has noted it."""
    uploaded = run.state in (RunState.UPLOADING, RunState.STORING)
    core.uploads.leave(run.token)
    core.stores.leave(run.token)
    run.retry_at = run.upload_deadline = None
    run.end_code = code
    run.move(RunState.REPORTING, f"{code}: {message}", now.mono)
    run.progress = None
    leave_device(core, run, now)
    # What is in flight for it is given up, and its directory goes: nothing of it is needed any more.
    core.effects.append(CleanUp(run.token))
    if uploaded:
        drop_artifacts(core, run)
    report_failed(core, run, code, message, field, now)


def end_run(core: Core, run: Run, now: Now) -> None:
    """End a run that was asked to stop, with the reason of the stop."""
    assert run.stop_reason is not None
    fail_run(core, run, run.stop_reason.code, run.stop_reason.message, now)


def stop_run(core: Core, run: Run, stop_reason: StopReason, now: Now) -> None:
    """End a run in whatever state it is, but for one whose result is proposed: the results stream decides that."""
    if run.state in BEFORE_RUN or run.state is RunState.UPLOADING:
        fail_run(core, run, stop_reason.code, stop_reason.message, now)
    elif run.state is RunState.RUNNING:
        run.move(RunState.CANCELLING, f"{stop_reason.code}: {stop_reason.message}", now.mono)
        run.stop_reason = stop_reason
        run.close_deadline = None
        run.grace_deadline = now.mono + core.settings.cancel_grace_s
        core.effects.append(CancelOnWorker(run.worker.worker_id, run.token))
        core.changed = True


def run_failed(core: Core, event: RunFailed, now: Now) -> None:
    """The adapter failed in a run."""
    run = core.runs.get(event.token)
    if run is None or run.state not in (RunState.RUNNING, RunState.CANCELLING):
        return
    run.run_s = event.run_s
    take_peak(core, run, event)
    worker = run.worker
    if run.stop_reason is not None:
        end_run(core, run, now)
    else:
        worker.failures_in_row += 1
        message = event.message
        if event.code == FailureCode.OUT_OF_MEMORY.value:
            message = ran_out(core, run, message, event.shortage)
        fail_run(core, run, event.code, message, now, field=event.field)
    why = spoils_worker(event.code, event.unhealthy, worker.failures_in_row)
    if why is not None:
        spoil(core, worker, run, why, now)
    if event.unhealthy is not None and is_the_devices(event.code):
        device_failed(core, worker, run.award.job_id, event.unhealthy, now)


def ran_out(core: Core, run: Run, message: str, shortage: Shortage | None) -> str:
    """Note whose fault it is that memory ran out under a run that is still on its device; the message with that said.
    What the run needed is learned only from its own.
    """
    others = judge_shortage(core, run, shortage)
    if others is not None:
        run.more_room = False
        return f"{message}; {others}"
    if run.alone and run.vram_peak_mb is not None:
        core.estimates.note_peak(run.worker.key, run.size_class, run.vram_peak_mb)
    return message


def spoil(core: Core, worker: Worker, by: Run, why: str, now: Now) -> None:
    """Let a worker take no other run: it ends when the runs that are on it have ended. Those that wait for their inputs
    go back.
    """
    worker.unwanted = True
    if worker.spoiled is not None:
        return
    worker.spoiled = why
    fields = {"job_id": by.award.job_id, "attempt": by.award.attempt, "worker_id": worker.worker_id}
    where = {"adapter_id": worker.adapter_id, "device": worker.device}
    core.effects.append(LogLine("warning", "a worker is replaced", {**fields, **where, "error": why}))
    for run in list(worker.runs.values()):
        if run.state in BEFORE_RUN:
            fail_run(core, run, FailureCode.HANDED_BACK.value, f"its worker is replaced: {why}", now)


def take_peak(core: Core, run: Run, event: RunFinished | RunFailed) -> None:
    """Note the most memory of a run's device that it took, as far as anybody saw: its worker, and of a worker that it
    had alone the probe. On the CPU lane that is the host's memory, and what its worker holds after the run counts too.
    """
    reported = event.vram_peak_mb
    if core.device_of(run.worker).spec.kind == "cpu":
        run.worker.held_mb, run.worker.ran_class = event.host_held_mb, run.size_class
        # Several runs share one heap.
        reported = reported if reported is not None or not run.alone else event.host_peak_mb
    seen = run.worker.peak_mb if run.alone else 0
    run.vram_peak_mb = max(reported or 0, seen) or None


def drop_artifacts(core: Core, run: Run) -> None:
    """Delete what a run has stored, or may have stored."""
    if run.files:
        core.effects.append(DropArtifacts(run.token, run.award.job_id, tuple(file.name for file in run.files)))
