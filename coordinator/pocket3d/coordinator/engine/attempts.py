"""Attempts: what their agents say of them, and who is believed when an agent is lost or turns up again."""

from __future__ import annotations

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import AttemptFailed, AttemptStarted
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import RunningJob

from ..auction.fleet import AgentView, started_ms
from .completion import finalize
from .effects import NoteOutcomes, ReadResult, StoreResult
from .events import OutcomesReturned, ResultRead
from .job import Attempt, JobRecord
from .retries import fail, finish_cancelled
from .state import Core

ON_AGENT = (JobState.AWARDED, JobState.RUNNING)


def outcomes_returned(core: Core, event: OutcomesReturned, now: Now) -> None:
    """Take in starts and failures. What cannot be judged yet is not noted, and comes again."""
    report = event.report
    view = core.fleet.agents.get(report.agent_id)
    if view is not None and started_ms(report.incarnation) > started_ms(view.advert.incarnation):
        # A new life that has not advertised yet.
        core.do(NoteOutcomes(event.request, ()))
        return
    noted: list[str] = []
    for outcome in report.outcomes:
        name = "attempt_started" if isinstance(outcome, AttemptStarted) else "attempt_failed"
        record = core.jobs.get(outcome.job_id)
        if record is None:
            if core.jobs_indexed:
                noted.append(f"{outcome.token}/{name}")
            continue
        if record.state in (JobState.SUBMITTED, JobState.RECOVERING) and record.attempt is None:
            continue
        noted.append(f"{outcome.token}/{name}")
        attempt = record.attempt
        if record.ending is not None or ended(record, outcome.token):
            # Said again: its answer was lost, or its consequence waits for the leadership to be proven.
            continue
        if attempt is None and isinstance(outcome, AttemptStarted) and record.state is JobState.QUEUED and view:
            running = RunningJob(
                job_id=outcome.job_id,
                attempt=outcome.attempt,
                token=outcome.token,
                adapter_id=outcome.adapter_id,
                variant=outcome.variant,
                device=outcome.device,
            )
            take_over_attempt(core, record, view, running, now)
            continue
        if attempt is None or attempt.token != outcome.token or record.state not in ON_AGENT:
            continue
        if attempt.agent_id != report.agent_id:
            # Tokens are public. Only the agent that has the attempt can say what became of it.
            continue
        if attempt.answer_seq is None:
            core.answered(record, report.seq)
        if isinstance(outcome, AttemptStarted):
            attempt_started(core, record, now)
        else:
            attempt_failed(core, record, outcome, now)
    core.do(NoteOutcomes(event.request, tuple(noted)))


def ended(record: JobRecord, token: str) -> bool:
    """True if that attempt's failure was reported before."""
    return record.retry is not None and token in record.retry.ended


def attempt_started(core: Core, record: JobRecord, now: Now) -> None:
    """Note that the agent works on the attempt."""
    if record.state is JobState.AWARDED:
        record.move(JobState.RUNNING, "started")
        core.publish_started(record, now)


def attempt_failed(core: Core, record: JobRecord, outcome: AttemptFailed, now: Now) -> None:
    """Note the failure of an attempt, in its agent's words."""
    try:
        code = FailureCode(outcome.code)
    except ValueError:
        # An agent of a later version may know more codes.
        code = FailureCode.ADAPTER_ERROR
    record.retry_state().ended.add(outcome.token)
    fail(
        core,
        record,
        code,
        outcome.message,
        outcome.field,
        outcome.vram_peak_mb,
        now,
        beside=outcome.beside,
        more_room=outcome.more_room,
    )


def end_overlong(core: Core, now: Now) -> None:
    """End attempts whose agents keep no limits: they take longer than the job's limits and the grace together."""
    for job_id in core.attempt_deadlines.passed(now.mono):
        record = core.jobs[job_id]
        attempt, limits = record.attempt, record.job_class.limits
        assert attempt is not None
        text = (
            f"{attempt.agent_id} did not end it within load_s = {limits.load_s:g} s, start_to_close_s = "
            f"{limits.start_to_close_s:g} s and {core.settings.attempt_grace_s:g} s for its files"
        )
        core.stop_attempt(record, text)
        record.retry_state().ended.add(attempt.token)
        fail(core, record, FailureCode.TIMEOUT, text, None, None, now)


def take_back(core: Core, record: JobRecord, why: str, now: Now) -> None:
    """Take back an award that did not come about: it costs no attempt, and the job keeps its place."""
    queued_at = record.queued_at
    if record.attempt is not None:
        core.auctioneer.withdraw(record.attempt.agent_id)
    core.drop_attempt(record, now, began=False)
    if record.attempt_no > 0:
        record.attempt_no -= 1
    core.enqueue(record, why, now, returned=True, queued_at=queued_at)
    if record.cancel_wanted:
        # It waits also where its end has to: until the leadership is proven.
        finish_cancelled(core, record, now)


def take_over_attempt(core: Core, record: JobRecord, view: AgentView, running: RunningJob, now: Now) -> None:
    """Take over an attempt that an agent runs by an award which this engine does not remember: a former leader's, or
    one whose answer was lost. The agent keeps it.
    """
    if record.state is JobState.QUEUED:
        core.leave_queue(record)
        # Its `requeued` event was published.
        record.started_published = False
    record.recovery = None
    _was_not_lost(record, view.agent_id, running.attempt)
    record.attempt_no = max(record.attempt_no, running.attempt)
    record.attempt = Attempt(
        number=running.attempt,
        token=running.token,
        agent_id=view.agent_id,
        incarnation=view.advert.incarnation,
        device=running.device,
        adapter_id=running.adapter_id,
        variant=running.variant,
        claim_mb=0,
        awarded_at=now.mono,
        charge=core.queue.share.runs_already(record.job_class.tenant),
    )
    record.move(JobState.RUNNING, f"runs on {view.agent_id} by token {running.token}")
    core.book_attempt(record, now)
    core.answered(record, view.advert.seq)
    core.publish_started(record, now)
    if record.cancel_wanted:
        core.cancel_attempt(record, "cancelled on request", now)


def heard_again(core: Core, record: JobRecord, view: AgentView) -> None:
    """Note that the agent lists its current attempt: whatever was thought of it meanwhile, it is not lost."""
    attempt = record.attempt
    if attempt is None or (attempt.agent_id, attempt.incarnation) != (view.agent_id, view.advert.incarnation):
        return
    attempt.pending_verification = False
    if attempt.token not in view.attempts:
        # The agent was forgotten in between, and its bookings with it.
        core.fleet.book(attempt, record.job_id)
    if record.ending is not None and record.ending[1].code == FailureCode.AGENT_LOST.value:
        record.ending = None
        core.index.file(record)
        _was_not_lost(record, attempt.agent_id, attempt.number)


def _was_not_lost(record: JobRecord, agent_id: str, number: int) -> None:
    """Take back what was counted when this attempt was taken for lost: attempts are counted, not losses. An earlier
    leader may have counted it, so it is found by its number and its agent.
    """
    retry = record.retry
    if retry is None:
        return
    lost = [
        error
        for error in retry.attempts
        if (error.code, error.agent_id, error.attempt) == (FailureCode.AGENT_LOST.value, agent_id, number)
    ]
    if lost:
        retry.attempts = [error for error in retry.attempts if error not in lost]
        retry.spent -= len(lost)
        if all(error.agent_id != agent_id for error in retry.attempts):
            retry.excluded -= {agent_id}


def verify_lost(core: Core, record: JobRecord) -> None:
    """Verify a loss: the agent no longer lists the attempt, and the results stream is read before that is believed."""
    if (
        record.attempt is not None
        and record.ending is None
        and not record.attempt.pending_verification
        and record.state in ON_AGENT
    ):
        ask_again(core, record)


def ask_again(core: Core, record: JobRecord) -> None:
    """Read the results stream before anything is decided about the attempt."""
    if record.attempt is not None:
        record.attempt.pending_verification = True
    core.do(ReadResult(record.job_id, record.job_class.priority))


def result_read(core: Core, event: ResultRead, now: Now) -> None:
    """Take in what the results stream holds for a job whose agent no longer lists it, or whose proposed result met a
    conflict.
    """
    record = core.jobs.get(event.job_id)
    if record is None:
        return
    if record.state is JobState.SUBMITTED or core.identity_pending(record):
        # It was asked for a job of that id that has ended meanwhile; this is a second publish: its last event decides.
        return
    if event.result is not None:
        finalize(core, record, event.result, None, now)
        return
    if record.state is JobState.FINISHING:
        # Our proposal met a rival that did not make it either: propose again.
        if record.proposal is not None:
            core.do(StoreResult(record.proposal, record.seq, record.job_class.priority))
        return
    attempt = record.attempt
    if attempt is None or not attempt.pending_verification or record.state not in ON_AGENT:
        return
    attempt.pending_verification = False
    if record.state is JobState.AWARDED and attempt.answer_seq is None:
        take_back(core, record, "the award never arrived", now)
        return
    fail(core, record, FailureCode.AGENT_LOST, f"{attempt.agent_id} no longer runs it", None, None, now)
