"""Completion: the result that is proposed, the one that is stored, and what follows until the request is acked."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import JobState, ResultWord
from pocket3d.contracts.messages import JobError, Result, Status

from .effects import (
    AckJob,
    AckResult,
    Again,
    DeleteJob,
    DeleteResult,
    PublishDead,
    PublishEvent,
    ReadLastEvent,
    ReadResult,
    StoreResult,
)
from .events import (
    CancelAsked,
    DeadStored,
    EventsStored,
    JobAcked,
    ResultConflict,
    ResultDeleted,
    ResultSeen,
    ResultUnknown,
    ResultUnreadable,
)
from .job import Attempt, JobRecord, timings_of
from .state import MOST_AT_ONCE, Core

#: Cancels that are kept for jobs which have not been read again.
_WISHES = 10_000
#: Endings after which the request is kept as a dead letter.
_DEAD = frozenset({"failed", "rejected", "expired"})


def result_seen(core: Core, event: ResultSeen, now: Now) -> None:
    """Take in a stored result: the results stream has decided."""
    result = event.result
    record = core.jobs.get(result.job_id)
    if record is None or record.state is JobState.SUBMITTED or core.identity_pending(record):
        # Of a former leader's time, or redelivered: the last event says whether its end was published.
        core.early_results[result.job_id] = (result, event.seq)
        if record is None:
            core.do(ReadLastEvent(result.job_id))
        return
    finalize(core, record, result, event.seq, now)


def result_in_doubt(core: Core, event: ResultConflict | ResultUnknown, now: Now) -> None:
    """Read back after a refusal or without an answer, a moment later, for a rival may be in process."""
    record = core.jobs.get(event.job_id)
    if record is not None and record.state is JobState.FINISHING:
        core.do(Again(ReadResult(event.job_id, record.job_class.priority)))


def result_unreadable(core: Core, event: ResultUnreadable, now: Now) -> None:
    """Delete bytes that are no result: they decide nothing, and keep the result of their job out of the stream."""
    if event.seq not in core.unreadable_results:
        core.unreadable_results[event.seq] = event.error
        core.do(DeleteResult(event.job_id, event.subject, event.seq, event.error))


def result_deleted(core: Core, event: ResultDeleted, now: Now) -> None:
    """End an unfinished job in whose place bytes that are no result were stored, now that they are deleted."""
    error = core.unreadable_results.pop(event.seq, "")
    core.do(AckResult(event.seq))
    record = core.jobs.get(event.job_id)
    if record is None or record.state in (JobState.SUBMITTED, JobState.FINISHED) or core.identity_pending(record):
        # Unknown, ended, or not begun: nothing of it was spoiled.
        return
    if record.state is JobState.FINISHING:
        # The bytes kept our own result out.
        if record.proposal is not None:
            core.do(StoreResult(record.proposal, record.seq, record.job_class.priority))
        return
    text = f"message {event.seq} of the results stream had this job's id and was no result: {error}"
    core.stop_attempt(record, text)
    finish(core, record, "failed", FailureCode.INVALID_RESULT, text, now)


def finish(
    core: Core,
    record: JobRecord,
    word: ResultWord,
    code: FailureCode,
    message: str,
    now: Now,
    *,
    field: str | None = None,
) -> None:
    """Propose a terminal result. While it is not certain that this coordinator leads, later."""
    attempts = record.retry.attempts if record.retry else []
    error = JobError(code=code.value, message=message, field=field, attempts=list(attempts))
    if not core.may_decide:
        record.ending = (word, error)
        core.index.file(record)
        return
    propose(core, record, word, error, now)


def propose(core: Core, record: JobRecord, word: ResultWord, error: JobError, now: Now) -> None:
    """Send the terminal result to the stream that decides."""
    if record.state is JobState.QUEUED:
        core.leave_queue(record)
    last = error.attempts[-1] if error.attempts else None
    attempt = record.attempt
    record.move(JobState.FINISHING, f"{word}: {error.code}")
    at = rfc3339(now.wall)
    record.proposal = Result(
        job_id=record.job_id,
        feature=record.job_class.feature,
        status=word,
        attempt=record.attempt_no,
        token=core.token(),
        agent_id=attempt.agent_id if attempt else (last.agent_id if last else None),
        device=attempt.device if attempt else (last.device if last else None),
        adapter_id=attempt.adapter_id if attempt else None,
        variant=attempt.variant if attempt else None,
        timings=timings_of(record, rfc3339(record.submitted_at), at),
        tenant=record.job_class.tenant,
        error=error,
    )
    core.do(StoreResult(record.proposal, record.seq, record.job_class.priority))
    core.drop_attempt(record, now)
    core.decided(record)


def answer_from(core: Core, record: JobRecord, made: Result, now: Now) -> None:
    """Propose the result of an ended job that asked for the same."""
    core.leave_queue(record)
    record.move(JobState.FINISHING, f"succeeded: as job {made.job_id}")
    at = rfc3339(now.wall)
    record.proposal = Result(
        job_id=record.job_id,
        feature=record.job_class.feature,
        status="succeeded",
        token=core.token(),
        adapter_id=made.adapter_id,
        variant=made.variant,
        outputs=made.outputs,
        artifacts=made.artifacts,
        timings=timings_of(record, rfc3339(record.submitted_at), at),
        tenant=record.job_class.tenant,
        cached_from=made.job_id,
    )
    core.do(StoreResult(record.proposal, record.seq, record.job_class.priority))
    core.decided(record)


def finalize(core: Core, record: JobRecord, result: Result, seq: int | None, now: Now) -> None:
    """Finalize a job that has its one result: store the last event and the dead letter, then ack the request."""
    if record.state is JobState.FINISHED:
        if record.result_seq is None:
            record.result_seq = seq
        elif seq is not None and seq != record.result_seq:
            core.do(AckResult(seq))
        return
    if record.state is JobState.QUEUED:
        core.leave_queue(record)
    attempt = record.attempt
    if attempt is not None and result.token != attempt.token:
        core.stop_attempt(record, f"the job has its result already ({result.status})")
    core.drop_attempt(record, now)
    core.cache.ended(result, now.mono)
    if result.status == "succeeded" and result.cached_from is None:
        if result.agent_id and result.device and result.adapter_id:
            core.fleet.benches.note_success(result.agent_id, result.device, result.adapter_id, result.variant)
        # A quick job's result overtakes the report that it started; its history still has both.
        record.attempt_no = result.attempt
        record.attempt = _winner(result, now)
        core.publish_started(record, now)
        record.attempt = None
    record.move(JobState.FINISHED, result.status)
    record.result_seq = seq
    core.decided(record)
    status = record.end = _final_status(record, result, now)
    if result.status in _DEAD:
        core.do(
            PublishDead(record.job_id, record.job_class.feature, record.job_class.priority, record.seq, result.error)
        )
        record.last_status = status
    else:
        core.do(PublishEvent(_terminal(status), status, record.seq, answer=True))


def _winner(result: Result, now: Now) -> Attempt:
    """The attempt that won, which may be an earlier one than the current."""
    return Attempt(
        number=result.attempt,
        token=result.token or "",
        agent_id=result.agent_id or "",
        incarnation="",
        device=result.device or "",
        adapter_id=result.adapter_id or "",
        variant=result.variant,
        claim_mb=0,
        awarded_at=now.mono,
    )


def _final_status(record: JobRecord, result: Result, now: Now) -> Status:
    """The event for a result. A status that a later version invented is published as `failed`, the one ending that
    no consumer of today takes for a success; the result itself stays as it is.
    """
    word, error = _known_word(result.status), result.error
    if word is None and error is None:
        text = f"its result says {result.status!r}, a word that this version does not know"
        error = JobError(code=FailureCode.INVALID_RESULT.value, message=text)
    return Status(
        job_id=record.job_id,
        feature=record.job_class.feature,
        priority=record.job_class.priority,
        tenant=record.job_class.tenant,
        status=word or "failed",
        attempt=result.attempt,
        agent_id=result.agent_id,
        device=result.device,
        adapter_id=result.adapter_id,
        variant=result.variant,
        reason=error.message if error else None,
        error=error,
        at=rfc3339(now.wall),
        submitted_at=rfc3339(record.submitted_at),
        label=record.label,
    )


def dead_stored(core: Core, event: DeadStored, now: Now) -> None:
    """Store the last event, now that the dead letter is stored."""
    record = core.jobs.get(event.job_id)
    if record is None or record.state is not JobState.FINISHED or record.last_status is None:
        return
    status, record.last_status = record.last_status, None
    if record.rejection_published:
        # `rejected` was its first event and stays its only one.
        core.do(AckJob(record.job_class.priority, record.seq, record.job_id, answer=True))
        return
    core.do(PublishEvent(_terminal(status), status, record.seq, answer=True))


def _known_word(word: str) -> ResultWord | None:
    if word in ("succeeded", "failed", "cancelled", "expired", "rejected"):
        return word  # type: ignore[return-value]  # mypy does not narrow a str by a tuple of literals
    return None


def _terminal(status: Status) -> ResultWord:
    word = _known_word(status.status)
    if word is None:
        raise ValueError(f"{status.status} is not the end of a job")
    return word


def events_stored(core: Core, event: EventsStored, now: Now) -> None:
    """Ack the request, now that the last event is stored."""
    for job_id in event.job_ids:
        record = core.jobs.get(job_id)
        if record is None or record.state is not JobState.FINISHED:
            continue
        if record.retry is not None and record.retry.removed:
            # An ack of a message that is gone is answered only after a while.
            core.do(DeleteJob(record.seq, job_id))
        else:
            core.do(AckJob(record.job_class.priority, record.seq, job_id, answer=True))


def job_acked(core: Core, event: JobAcked, now: Now) -> None:
    """Forget the job, now that its request has left the jobs stream."""
    core.settle_second(event.seq)
    record = core.jobs.get(event.job_id)
    if record is None or record.state is not JobState.FINISHED:
        return
    core.remove(record)
    if record.result_seq is not None:
        core.do(AckResult(record.result_seq))


def cancel_asked(core: Core, event: CancelAsked, now: Now) -> None:
    """Cancel a job in whatever state it is."""
    record = core.jobs.get(event.job_id)
    reason = event.reason or "cancelled on request"
    if record is None and not core.jobs_indexed and len(core.cancels_to_come) < _WISHES:
        # Of a former leader's time.
        core.cancels_to_come[event.job_id] = reason
    if record is None or record.state in (JobState.FINISHING, JobState.FINISHED):
        return
    record.retry_state().cancel = reason
    if record.state is JobState.QUEUED:
        finish(core, record, "cancelled", FailureCode.CANCELLED, reason, now)
    elif record.attempt is not None:
        core.cancel_attempt(record, reason, now)


def expire_overdue(core: Core, now: Now) -> None:
    """End waiting jobs past their schedule-to-start limit as `expired`, saying what was missing."""
    for record in core.overdue(now.mono):
        group = core.queue.group_of(record.group_key())
        words = []
        for reasons in (group.reasons if group else {}).values():
            for reason in reasons[:1]:
                short = f", {reason.short_mb} MB short" if reason.short_mb else ""
                words.append(f"{reason.agent_id}: {reason.code}{short}")
        missing = "; ".join(words[:8]) or ("no agent is connected" if not core.fleet.agents else "no room in time")
        limit = record.job_class.limits.schedule_to_start_s
        finish(
            core,
            record,
            "expired",
            FailureCode.NO_CAPACITY,
            f"not started within {limit:g} s of queueing: {missing}",
            now,
        )


def end_broken(core: Core, now: Now) -> None:
    """End jobs whose adapters are broken wherever they are listed: waiting would not mend them."""
    for record, reason in core.auctioneer.unavailable.overdue(now.mono, MOST_AT_ONCE):
        message = f"no agent can run it: {reason}"
        finish(core, record, "failed", FailureCode.ADAPTER_UNAVAILABLE, message, now)


def end_slow_cancels(core: Core, now: Now) -> None:
    """End cancelled jobs whose agents do not answer."""
    for record in list(core.index.cancelling.values()):
        late = record.attempt is not None and now.mono >= record.attempt.cancel_by
        if late and record.state in (JobState.AWARDED, JobState.RUNNING):
            reason = (record.retry.cancel if record.retry else None) or "cancelled on request"
            finish(core, record, "cancelled", FailureCode.CANCELLED, reason, now)


def decide_deferred(core: Core, now: Now) -> None:
    """Carry out the endings that waited for the lease to be renewed."""
    for record in list(core.index.pending_decisions.values()):
        if record.ending is not None:
            propose(core, record, *record.ending, now)
