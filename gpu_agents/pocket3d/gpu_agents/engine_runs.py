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
from .engine_records import Ending, Run, Worker
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
    """Take an attempt on a worker's slot. Its claim is the caller's matter."""
    run = Run(award, worker, need_mb, now.mono, now.wall)
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
    core.fetches.put(run.token)
    core.changed = True
    return run


def begin_fetches(core: Core, now: Now) -> None:
    """Fetch inputs for as many as may fetch at a time."""
    while (token := core.fetches.next()) is not None:
        run = core.runs[token]
        run.move(RunState.FETCHING, "its turn", now.mono)
        run.fetch_deadline = now.mono + core.settings.fetch_s
        core.do(FetchInputs(token, run.award.job_id, run.award.job.inputs))
        report_started(core, run, now)


def inputs_fetched(core: Core, event: InputsFetched, now: Now) -> None:
    """Its files are here."""
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
    """Its files cannot be had."""
    core.fetches.leave(event.token)
    run = core.runs.get(event.token)
    if run is not None and run.state is RunState.FETCHING:
        fail_run(core, run, event.code, event.message, now, field=event.field)


def advance(core: Core, run: Run, now: Now) -> bool:
    """Hand it to its worker if nothing stands before it any more; True if it was."""
    if run.state not in (RunState.FETCHING, RunState.LOADING):
        return False
    if not run.fetched or not run.worker.loaded or run.room_deadline is not None:
        return False
    run.move(RunState.RUNNING, f"on {run.worker.worker_id}", now.mono)
    run.run_started = now.mono
    run.close_deadline = now.mono + run.award.job.limits.start_to_close_s
    award = run.award
    core.do(
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
    """It gives its slot and its memory back. Call it after the state says so."""
    worker = run.worker
    if worker.runs.pop(run.token, None) is None:
        return
    ledger = core.book_of(worker).ledger
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
    """It ends without a result; the coordinator is told until it answers."""
    uploaded = run.state in (RunState.UPLOADING, RunState.STORING)
    core.uploads.leave(run.token)
    core.stores.leave(run.token)
    run.retry_at = run.upload_deadline = None
    run.move(RunState.REPORTING, f"{code}: {message}", now.mono)
    run.progress = None
    _leave_device(core, run, now)
    # What is in flight for it is given up, and its directory goes: nothing of it is needed any more.
    core.do(CleanUp(run.token))
    if uploaded:
        _drop_artifacts(core, run)
    report_failed(core, run, code, message, field, now)


def end_run(core: Core, run: Run, now: Now) -> None:
    """It was asked to stop and has stopped."""
    assert run.ending is not None
    fail_run(core, run, run.ending.code, run.ending.message, now)


def stop_run(core: Core, run: Run, ending: Ending, now: Now) -> None:
    """End it, wherever it stands; a run whose result is proposed is the results stream's to decide."""
    if run.state in BEFORE_RUN or run.state is RunState.UPLOADING:
        fail_run(core, run, ending.code, ending.message, now)
    elif run.state is RunState.RUNNING:
        run.move(RunState.CANCELLING, f"{ending.code}: {ending.message}", now.mono)
        run.ending = ending
        run.close_deadline = None
        run.grace_deadline = now.mono + core.settings.cancel_grace_s
        core.do(CancelOnWorker(run.worker.worker_id, run.token))
        core.changed = True


def run_failed(core: Core, event: RunFailed, now: Now) -> None:
    """The adapter raised."""
    run = core.runs.get(event.token)
    if run is None or run.state not in (RunState.RUNNING, RunState.CANCELLING):
        return
    run.run_s = event.run_s
    run.vram_peak_mb = _peak(run, event.vram_peak_mb)
    worker = run.worker
    if run.ending is not None:
        end_run(core, run, now)
        return
    worker.failures_in_row += 1
    fail_run(core, run, event.code, event.message, now, field=event.field)
    if spoils_worker(event.code, event.message, worker.failures_in_row):
        worker.unwanted = True


def run_finished(core: Core, event: RunFinished, now: Now) -> None:
    """The adapter returned."""
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
    if run.ending is not None and run.ending.code != FailureCode.HANDED_BACK.value:
        # Too late: it was cancelled, or ran out of its time. Work that was only to be handed back is kept.
        end_run(core, run, now)
        return
    run.outputs, run.files = event.outputs, event.files
    flush_progress(core, run, now, last=True)
    if run.files:
        run.move(RunState.UPLOADING, f"{len(run.files)} files", now.mono)
        run.upload_deadline = now.mono + core.settings.upload_s
        core.uploads.put(run.token)
        _leave_device(core, run, now)
    else:
        _propose(core, run, now)


def _peak(run: Run, reported: int | None) -> int | None:
    """The greater of what the worker reports and, if it was alone, what the probe saw of its process."""
    seen = run.worker.peak_mb if run.alone else 0
    return max(reported or 0, seen) or None


# ---------------------------------------------------------------- outputs


def begin_uploads(core: Core, now: Now) -> None:
    """Upload the outputs of as many as may upload at a time."""
    while core.connected and (token := core.uploads.next()) is not None:
        run = core.runs[token]
        run.retry_at = None
        core.do(UploadOutputs(token, run.award.job_id, run.files))


def outputs_uploaded(core: Core, event: OutputsUploaded, now: Now) -> None:
    """Its files are stored."""
    core.uploads.leave(event.token)
    run = core.runs.get(event.token)
    if run is None or run.state is not RunState.UPLOADING:
        return
    run.artifacts = event.artifacts
    run.upload_deadline = run.retry_at = None
    _propose(core, run, now)


def upload_failed(core: Core, event: UploadFailed, now: Now) -> None:
    """Not stored: again, unless that is no use."""
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
        core.do(DropArtifacts(run.token, run.award.job_id, tuple(file.name for file in run.files)))


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
    core.stores.put(run.token)


def begin_stores(core: Core, now: Now) -> None:
    """Store or read back the results of as many as may at a time."""
    while core.connected and (token := core.stores.next()) is not None:
        run = core.runs[token]
        run.retry_at = None
        if run.reading_back:
            core.do(ReadResult(token, run.award.job_id))
        elif run.result is not None:
            core.do(StoreResult(token, run.result))


def _storing(core: Core, token: str) -> Run | None:
    core.stores.leave(token)
    run = core.runs.get(token)
    return run if run is not None and run.state is RunState.STORING else None


def result_stored(core: Core, token: str, now: Now) -> None:
    """It is this job's one result."""
    if _storing(core, token) is not None:
        finish(core, token, "its result is stored", now)


def result_conflict(core: Core, token: str, now: Now) -> None:
    """A question, not an answer: what stands there may be our own first try, or a rival still in process."""
    run = _storing(core, token)
    if run is not None:
        run.reading_back = True
        core.stores.put(token)


def result_unknown(core: Core, token: str, now: Now) -> None:
    """Nothing is known: read what stands there, a little later."""
    run = _storing(core, token)
    if run is not None:
        run.reading_back = True
        _retry_later(core, run, now)


def result_read(core: Core, event: ResultRead, now: Now) -> None:
    """Our token: won. Another's: lost. Nothing: propose it again."""
    run = _storing(core, event.token)
    if run is None:
        return
    if event.stored_token == event.token:
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
    """A bug met one attempt's work: that attempt fails, and no other. Whether its result is stored is read back."""
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
    """It cannot be stored: the attempt fails, unless an earlier try of it stands in the stream after all."""
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
    """Its pause is over."""
    run.retry_at = None
    if run.state is RunState.UPLOADING:
        core.uploads.put(run.token)
    elif run.state is RunState.STORING:
        core.stores.put(run.token)
