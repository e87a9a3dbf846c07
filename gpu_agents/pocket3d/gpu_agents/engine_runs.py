"""Runs: from the award to the result or the report of its failure."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import Award
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import MAX_RESULT_BYTES
from pocket3d.contracts.messages import Result, Timings
from pocket3d.contracts.worker_frames import RunJob

from .effects import (
    CancelOnWorker,
    CleanUp,
    DropArtifacts,
    FetchInputs,
    ReadResult,
    RunOnWorker,
    StoreResult,
    UploadOutputs,
)
from .engine_core import Core
from .engine_records import Run, StopReason, Worker
from .engine_reports import finish, flush_progress, report_failed, report_started
from .events import (
    InputsFailed,
    InputsFetched,
    OutputsUploaded,
    ResultRead,
    ResultRefused,
    RunFailed,
    RunFinished,
    TaskFailed,
    UploadFailed,
)
from .lifecycle import BEFORE_RUN, RunState, WorkerState, spoils_worker

#: Pause before a result is stored or read again, doubled each time up to the setting.
_FIRST_STORE_RETRY_S = 0.1

# ---------------------------------------------------------------- begin


def accept(core: Core, award: Award, worker: Worker, need_mb: int, now: Now) -> Run:
    """Give an attempt a slot of a worker. The caller claims its memory."""
    run = Run(award, worker, need_mb, now.mono, now.wall, core.moves)
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
    core.fetches.enqueue(run.token)
    core.changed = True
    return run


def begin_fetches(core: Core, now: Now) -> None:
    """Start to fetch inputs for as many runs as may fetch at a time."""
    while (token := core.fetches.next()) is not None:
        run = core.runs[token]
        run.move(RunState.FETCHING, "its turn", now.mono)
        run.fetch_deadline = now.mono + core.settings.fetch_s
        core.add_effect(FetchInputs(token, run.award.job_id, run.award.job.inputs))
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
    if not advance(core, run, now):
        run.move(RunState.LOADING, "its inputs are here", now.mono)


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
    core.add_effect(
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


def _leave_device(core: Core, run: Run, now: Now) -> None:
    """Give back a run's slot and memory. Called after the run has moved to a state off the device."""
    worker = run.worker
    if worker.runs.pop(run.token, None) is None:
        return
    ledger = core.device_of(worker).ledger
    ledger.drop_extra(worker.worker_id, run.token)
    ledger.drop(run.token)
    for name in ("load_deadline", "room_deadline", "close_deadline", "grace_deadline", "fetch_deadline"):
        setattr(run, name, None)
    core.fetches.leave(run.token)
    core.changed = True
    if worker.state is WorkerState.BUSY and not worker.runs:
        worker.move(WorkerState.IDLE, "no run", now.mono)
        worker.idle_since = now.mono


def fail_run(core: Core, run: Run, code: str, message: str, now: Now, *, field: str | None = None) -> None:
    """End a run without a result; the failure is reported until the coordinator has noted it."""
    uploaded = run.state in (RunState.UPLOADING, RunState.STORING)
    core.uploads.leave(run.token)
    core.stores.leave(run.token)
    run.retry_at = run.upload_deadline = None
    run.end_code = code
    run.move(RunState.REPORTING, f"{code}: {message}", now.mono)
    run.progress = None
    _leave_device(core, run, now)
    # What is in flight for it is given up, and its directory goes: nothing of it is needed any more.
    core.add_effect(CleanUp(run.token))
    if uploaded:
        _drop_artifacts(core, run)
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
        core.add_effect(CancelOnWorker(run.worker.worker_id, run.token))
        core.changed = True


def run_failed(core: Core, event: RunFailed, now: Now) -> None:
    """The adapter failed in a run."""
    run = core.runs.get(event.token)
    if run is None or run.state not in (RunState.RUNNING, RunState.CANCELLING):
        return
    run.run_s = event.run_s
    run.vram_peak_mb = _peak(run, event.vram_peak_mb)
    worker = run.worker
    if run.stop_reason is not None:
        end_run(core, run, now)
        return
    worker.failures_in_row += 1
    fail_run(core, run, event.code, event.message, now, field=event.field)
    if spoils_worker(event.code, event.message, worker.failures_in_row):
        worker.unwanted = True


def run_finished(core: Core, event: RunFinished, now: Now) -> None:
    """The adapter returned outputs for a run."""
    run = core.runs.get(event.token)
    if run is None or run.state not in (RunState.RUNNING, RunState.CANCELLING):
        return
    worker = run.worker
    run.run_s = event.run_s
    run.vram_peak_mb = _peak(run, event.vram_peak_mb)
    worker.failures_in_row = 0
    core.estimates.note_run(worker.adapter_id, worker.device, event.run_s)
    if run.alone and run.vram_peak_mb is not None:
        core.estimates.note_peak(worker.adapter_id, worker.device, run.vram_peak_mb)
    if run.stop_reason is not None and run.stop_reason.code != FailureCode.HANDED_BACK.value:
        # Too late: it was cancelled, or ran out of its time. Work that was only to be handed back is kept.
        end_run(core, run, now)
        return
    run.outputs, run.files = event.outputs, event.files
    flush_progress(core, run, now, last=True)
    if run.files:
        run.move(RunState.UPLOADING, f"{len(run.files)} files", now.mono)
        run.upload_deadline = now.mono + core.settings.upload_s
        core.uploads.enqueue(run.token)
        _leave_device(core, run, now)
    else:
        _propose(core, run, now)


def _peak(run: Run, reported: int | None) -> int | None:
    """The greater of what the worker reports and, if it was alone, what the probe saw of its process."""
    seen = run.worker.peak_mb if run.alone else 0
    return max(reported or 0, seen) or None


# ---------------------------------------------------------------- outputs


def begin_uploads(core: Core, now: Now) -> None:
    """Start to upload outputs for as many runs as may upload at a time."""
    while core.connected and (token := core.uploads.next()) is not None:
        run = core.runs[token]
        run.retry_at = None
        core.add_effect(UploadOutputs(token, run.award.job_id, run.files))


def outputs_uploaded(core: Core, event: OutputsUploaded, now: Now) -> None:
    """A run's output files are stored."""
    core.uploads.leave(event.token)
    run = core.runs.get(event.token)
    if run is None or run.state is not RunState.UPLOADING:
        return
    run.artifacts = event.artifacts
    run.upload_deadline = run.retry_at = None
    _propose(core, run, now)


def upload_failed(core: Core, event: UploadFailed, now: Now) -> None:
    """A run's output files were not stored: try again later, or fail the run if that cannot help."""
    core.uploads.leave(event.token)
    run = core.runs.get(event.token)
    if run is None or run.state is not RunState.UPLOADING:
        return
    if event.permanent:
        fail_run(core, run, FailureCode.INVALID_OUTPUT.value, event.message, now)
    else:
        run.retry_at = now.mono + core.settings.upload_retry_s


def _drop_artifacts(core: Core, run: Run) -> None:
    if run.files:
        core.add_effect(DropArtifacts(run.token, run.award.job_id, tuple(file.name for file in run.files)))


# ---------------------------------------------------------------- result


def _propose(core: Core, run: Run, now: Now) -> None:
    award = run.award
    result = Result(
        job_id=award.job_id,
        feature=award.feature,
        status="succeeded",
        attempt=award.attempt,
        token=award.token,
        agent_id=core.identity.agent_id,
        device=award.device,
        adapter_id=award.adapter_id,
        outputs=run.outputs,
        artifacts=list(run.artifacts),
        timings=Timings(
            submitted_at=award.submitted_at,
            started_at=rfc3339(run.accepted_wall),
            finished_at=rfc3339(now.wall),
            queued_s=award.queued_s,
            load_s=round(run.load_s, 3),
            run_s=run.run_s,
        ),
        vram_peak_mb=run.vram_peak_mb,
        metadata=award.job.metadata,
        tenant=award.job.tenant,
    )
    try:
        size = len(encode(result))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        message = f"the outputs cannot be written as JSON: {error}"
        fail_run(core, run, FailureCode.INVALID_OUTPUT.value, message, now)
        return
    if size > MAX_RESULT_BYTES:
        message = f"the result would have {size} bytes, at most {MAX_RESULT_BYTES} are taken; return files instead"
        fail_run(core, run, FailureCode.INVALID_OUTPUT.value, message, now)
        return
    run.result = result
    run.move(RunState.STORING, "its result is proposed", now.mono)
    _leave_device(core, run, now)
    core.stores.enqueue(run.token)


def begin_stores(core: Core, now: Now) -> None:
    """Start to store, or to read back, results for as many runs as may at a time."""
    while core.connected and (token := core.stores.next()) is not None:
        run = core.runs[token]
        run.retry_at = None
        if run.reading_back:
            core.add_effect(ReadResult(token, run.award.job_id))
        elif run.result is not None:
            core.add_effect(StoreResult(token, run.result))


def _storing(core: Core, token: str) -> Run | None:
    core.stores.leave(token)
    run = core.runs.get(token)
    return run if run is not None and run.state is RunState.STORING else None


def result_stored(core: Core, token: str, now: Now) -> None:
    """The stream has taken a run's result: it is the job's only one."""
    run = _storing(core, token)
    if run is not None:
        run.won = True
        finish(core, token, "its result is stored", now)


def result_conflict(core: Core, token: str, now: Now) -> None:
    """The stream refused a result since one stands there: read it back, for it may be an earlier try of our own."""
    run = _storing(core, token)
    if run is not None:
        run.reading_back = True
        core.stores.enqueue(token)


def result_unknown(core: Core, token: str, now: Now) -> None:
    """It is not known whether a result was stored: read it back a little later."""
    run = _storing(core, token)
    if run is not None:
        run.reading_back = True
        _retry_later(core, run, now)


def result_read(core: Core, event: ResultRead, now: Now) -> None:
    """Compare the stored result with a run's own. Our token: it has won. Another: it has lost. None: store it again."""
    run = _storing(core, event.token)
    if run is None:
        return
    if event.stored_token == event.token:
        run.won = True
        finish(core, event.token, "its result is stored, as read back", now)
    elif event.stored_token is not None:
        finish(core, event.token, f"another result stands: {event.stored_token or 'without a token'}", now)
        _drop_artifacts(core, run)
    elif run.refusal is not None:
        fail_run(core, run, *run.refusal, now)
    else:
        run.reading_back = False
        _retry_later(core, run, now)


def task_failed(core: Core, event: TaskFailed, now: Now) -> None:
    """Fail the one attempt whose work met a bug. If its result was being stored, read back first whether it is."""
    run = core.runs.get(event.token)
    if run is None:
        return
    message = f"an unexpected error of the agent: {event.message}"
    if run.state in (RunState.FETCHING, RunState.UPLOADING):
        core.fetches.leave(event.token)
        core.uploads.leave(event.token)
        fail_run(core, run, FailureCode.AGENT_LOST.value, message, now)
    elif _storing(core, event.token) is not None:
        _give_up_storing(core, run, FailureCode.AGENT_LOST.value, message, now)


def result_refused(core: Core, event: ResultRefused, now: Now) -> None:
    """A result cannot be stored: fail the attempt, unless a read-back finds an earlier try of it in the stream."""
    run = _storing(core, event.token)
    if run is not None:
        _give_up_storing(core, run, FailureCode.TOO_LARGE.value, event.message, now)


def _give_up_storing(core: Core, run: Run, code: str, message: str, now: Now) -> None:
    run.refusal = (code, message)
    run.reading_back = True
    _retry_later(core, run, now)


def _retry_later(core: Core, run: Run, now: Now) -> None:
    pause = min(_FIRST_STORE_RETRY_S * 2.0 ** min(run.store_tries, 16), core.settings.store_retry_s)
    run.store_tries += 1
    run.retry_at = now.mono + pause


def retry_now(core: Core, run: Run) -> None:
    """Queue a run again whose pause after a failed upload or store is over."""
    run.retry_at = None
    if run.state is RunState.UPLOADING:
        core.uploads.enqueue(run.token)
    elif run.state is RunState.STORING:
        core.stores.enqueue(run.token)
