"""What becomes of a run that the adapter has finished: its files are uploaded, its result is stored or read back."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import MAX_RESULT_BYTES
from pocket3d.contracts.messages import Result, Timings

from . import events
from .claims import lower_claim
from .effects import LogLine, ReadResult, StoreResult, UploadOutputs
from .lifecycle import RunState
from .outbound import finish, flush_progress
from .quarantine import device_worked
from .records import Run
from .runs import drop_artifacts, end_run, fail_run, leave_device, spoil, take_peak
from .state import Core
from .storage import something_stored, storing_failed, storing_refused

#: Pause before a result is stored or read again, doubled each time up to the setting.
_FIRST_STORE_RETRY_S = 0.1


def run_finished(core: Core, event: events.RunFinished, now: Now) -> None:
    """The adapter returned outputs for a run."""
    run = core.runs.get(event.token)
    if run is None or run.state not in (RunState.RUNNING, RunState.CANCELLING):
        return
    worker = run.worker
    run.run_s = event.run_s
    take_peak(core, run, event)
    worker.failures_in_row = 0
    core.estimates.note_run(worker.key, run.size_class, event.run_s)
    if run.alone and run.vram_peak_mb is not None:
        core.estimates.note_peak(worker.key, run.size_class, run.vram_peak_mb)
        lower_claim(core, run)
    if event.unhealthy is not None:
        spoil(core, worker, run, event.unhealthy, now)
    else:
        device_worked(core, worker, now)
    if run.stop_reason is not None and run.stop_reason.code != FailureCode.HANDED_BACK.value:
        # Too late: it was cancelled, or ran out of its time. Work that was only to be handed back is kept.
        end_run(core, run, now)
        return
    run.outputs, run.files = event.outputs, event.files
    run.turn = core.turn(run.award, now)
    flush_progress(core, run, now, last=True)
    if run.files:
        run.move(RunState.UPLOADING, f"{len(run.files)} files", now.mono)
        run.upload_deadline = now.mono + core.settings.upload_s
        core.uploads.enqueue(run.token, run.turn)
        leave_device(core, run, now)
    else:
        _propose(core, run, now)


# ---------------------------------------------------------------- outputs


def begin_uploads(core: Core, now: Now) -> None:
    """Start to upload outputs for as many runs as may upload at a time."""
    while core.connected and (token := core.uploads.next()) is not None:
        run = core.runs[token]
        core.effects.append(UploadOutputs(token, run.award.job_id, run.files))


def outputs_uploaded(core: Core, event: events.OutputsUploaded, now: Now) -> None:
    """A run's output files are stored."""
    core.uploads.leave(event.token)
    run = core.runs.get(event.token)
    if run is None or run.state is not RunState.UPLOADING:
        return
    something_stored(core)
    run.artifacts = event.artifacts
    run.upload_deadline = run.retry_at = None
    _propose(core, run, now)


def upload_failed(core: Core, event: events.UploadFailed, now: Now) -> None:
    """A run's output files were not stored: try again later, or fail the run if that cannot help."""
    core.uploads.leave(event.token)
    if event.refused:
        storing_refused(core, event.message, now)
    run = core.runs.get(event.token)
    if run is None or run.state is not RunState.UPLOADING:
        return
    if event.permanent:
        fail_run(core, run, FailureCode.INVALID_OUTPUT.value, event.message, now)
    elif event.refused:
        # The system's fault: another agent can do better.
        message = f"its outputs could not be stored: {event.message}"
        fail_run(core, run, FailureCode.AGENT_LOST.value, message, now)
    else:
        if not run.upload_failure:
            fields = {"job_id": run.award.job_id, "attempt": run.award.attempt, "token": run.token}
            text = "outputs are not stored yet; they are tried again"
            core.effects.append(LogLine("info", text, {**fields, "error": event.message}))
        run.upload_failure = event.message
        storing_failed(core, event.message, now)
        run.retry_at = now.mono + core.settings.upload_retry_s


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
        variant=run.worker.variant,
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
        body = encode(result)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        message = f"the outputs cannot be written as JSON: {error}"
        fail_run(core, run, FailureCode.INVALID_OUTPUT.value, message, now)
        return
    if len(body) > MAX_RESULT_BYTES:
        message = f"the result would have {len(body)} bytes, at most {MAX_RESULT_BYTES} are taken; return files instead"
        fail_run(core, run, FailureCode.INVALID_OUTPUT.value, message, now)
        return
    run.result = StoreResult(run.token, result, body)
    run.move(RunState.STORING, "its result is proposed", now.mono)
    leave_device(core, run, now)
    core.stores.enqueue(run.token, run.turn)


def begin_stores(core: Core, now: Now) -> None:
    """Start to store, or to read back, results for as many runs as may at a time."""
    while core.connected and (token := core.stores.next()) is not None:
        run = core.runs[token]
        if run.reading_back:
            core.effects.append(ReadResult(token, run.award.job_id))
        elif run.result is not None:
            core.effects.append(run.result)


def _storing(core: Core, token: str) -> Run | None:
    core.stores.leave(token)
    run = core.runs.get(token)
    return run if run is not None and run.state is RunState.STORING else None


def result_stored(core: Core, event: events.ResultStored, now: Now) -> None:
    """The stream has taken a run's result: it is the job's only one."""
    run = _storing(core, event.token)
    something_stored(core, result=True)
    if run is not None:
        run.won = True
        finish(core, event.token, "its result is stored", now)


def result_conflict(core: Core, event: events.ResultConflict, now: Now) -> None:
    """The stream refused a result since one stands there: read it back, for it may be an earlier try of our own."""
    run = _storing(core, event.token)
    if run is not None:
        run.reading_back = True
        core.stores.enqueue(run.token, run.turn)


def result_unknown(core: Core, event: events.ResultUnknown, now: Now) -> None:
    """It is not known whether a result was stored: read it back a little later. Where that is refused too, the attempt
    fails: if its result is stored all the same, that decides.
    """
    run = _storing(core, event.token)
    if event.refused:
        storing_refused(core, event.message, now)
    else:
        storing_failed(core, event.message, now)
    if run is None:
        return
    if not event.refused:
        run.reading_back = True
        _retry_later(core, run, now)
    elif run.refusal is None:
        message = f"its result could not be stored: {event.message}"
        _give_up_storing(core, run, FailureCode.AGENT_LOST.value, message, now)
    else:
        fail_run(core, run, *run.refusal, now)


def result_read(core: Core, event: events.ResultRead, now: Now) -> None:
    """Compare the stored result with a run's own. Our token: it has won. Another: it has lost. None: store it again."""
    run = _storing(core, event.token)
    if run is None:
        return
    if event.stored_token == event.token:
        run.won = True
        finish(core, event.token, "its result is stored, as read back", now)
    elif event.stored_token is not None:
        finish(core, event.token, f"another result stands: {event.stored_token or 'without a token'}", now)
        drop_artifacts(core, run)
    elif run.refusal is not None:
        fail_run(core, run, *run.refusal, now)
    else:
        run.reading_back = False
        _retry_later(core, run, now)


def task_failed(core: Core, event: events.TaskFailed, now: Now) -> None:
    """Fail the one attempt whose work met a bug. If its result was being stored, read back first whether it is."""
    run = core.runs.get(event.token)
    if run is None:
        return
    message = f"an unexpected error of the agent: {event.message}"
    if run.state in (RunState.FETCHING, RunState.UPLOADING):
        fail_run(core, run, FailureCode.AGENT_LOST.value, message, now)
    elif _storing(core, event.token) is not None:
        _give_up_storing(core, run, FailureCode.AGENT_LOST.value, message, now)


def result_refused(core: Core, event: events.ResultRefused, now: Now) -> None:
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
        core.uploads.enqueue(run.token, run.turn)
    elif run.state is RunState.STORING:
        core.stores.enqueue(run.token, run.turn)
