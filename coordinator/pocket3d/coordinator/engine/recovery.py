"""Recovery: jobs of a former leader's time, taken up where their last event, their agent or their result says."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, parse_rfc3339
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.lifecycle import TERMINAL, JobState
from pocket3d.contracts.messages import RunningJob, Status

from ..auction.fleet import AgentView
from . import attempts
from .admission import ack_duplicates, begin, first_event, take_in
from .attempts import take_over_attempt
from .completion import finalize
from .effects import AckJob, AckResult, Again, FindMessages, JobMessage, ReadLastEvent, ReadResult
from .events import LastEventRead, QueuedConflict, QueuedUnknown, ResultRead
from .job import Attempt, JobClass, JobRecord, Recovery
from .retries import fail
from .state import Core


def queued_in_doubt(core: Core, event: QueuedConflict | QueuedUnknown, now: Now) -> None:
    """The events stream knows the id, holds our own first try, or nothing: its last event decides."""
    record = core.jobs.get(event.job_id)
    if record is not None and record.state is JobState.SUBMITTED:
        core.do(ReadLastEvent(record.job_id, record.job_class.priority, record.seq))


def last_event_read(core: Core, event: LastEventRead, now: Now) -> None:
    """The last event of a job whose first event was refused or not answered, or of a result without a job."""
    record = core.jobs.get(event.job_id)
    status = event.status
    if record is None:
        _orphan_history(core, event, now)
        return
    if event.asked_for is not None and event.asked_for != record.seq:
        # An answer that came late, and was read before what has become of the id since.
        return
    known = status is not None or event.unreadable
    if record.state is JobState.SUBMITTED and not known:
        # It was not stored, a rival was in process that did not make it either, or what was stored has left by age.
        core.do(Again(first_event(core, record, now)._replace(alone=True)))
        return
    if record.state is JobState.SUBMITTED:
        record.move(JobState.RECOVERING, "its id is known")
    if record.state is not JobState.RECOVERING or record.recovery is not None or not known:
        return
    if event.job_seq is None or event.job_seq == record.seq:
        take_up(core, record, event, now)
    elif _is_over(event) or event.job_seq in core.duplicate_submissions.get(record.job_id, {}):
        is_second_publish(core, record, event, now)
    else:
        # The history is that of a message that was not read here: it may be removed.
        ask_for_message(core, event)


def ask_for_message(core: Core, event: LastEventRead) -> None:
    """Look whether the message that a history without an end belongs to is still in the jobs stream."""
    if event.job_seq is not None:
        core.story_doubts[event.job_id] = event
        core.do(FindMessages((JobMessage(event.job_id, event.job_seq),)))


def _is_over(event: LastEventRead) -> bool:
    return event.status is not None and event.status.status in TERMINAL


def is_second_publish(core: Core, record: JobRecord, event: LastEventRead, now: Now) -> None:
    """Ack the message that was read: its id's history is that of another one, which has ended or is still there."""
    core.ack_second(record.job_class.priority, record.seq, record.job_id)
    core.remove(record)
    job = core.duplicate_submissions.get(record.job_id, {}).pop(event.job_seq or 0, None)
    if record.retry is not None and record.retry.cancel is not None and (job is not None or not core.jobs_indexed):
        # Who asked for a cancel meant the job, whichever of its messages was read first.
        core.cancels_to_come[record.job_id] = record.retry.cancel
    if job is not None:
        record = take_in(core, job, now)
        record.move(JobState.RECOVERING, "its id is known")
        take_up(core, record, event, now)
        return
    ack_duplicates(core, record.job_id)
    redelivered = core.early_results.pop(record.job_id, None)
    if redelivered is not None:
        core.do(AckResult(redelivered[1]))


def take_up(core: Core, record: JobRecord, event: LastEventRead, now: Now) -> None:
    """Go on with a job where its last event left it."""
    status = event.status
    ack_duplicates(core, record.job_id)
    rejection = record.retry.rejection if record.retry else None
    early = core.early_results.pop(record.job_id, None)
    if status is None:
        # Somebody else's bytes, or a later version's: only the results stream can say whether the job has ended.
        if early is not None:
            finalize(core, record, *early, now)
            return
        record.recovery = Recovery(None)
        core.index.file(record)
        look_for_recovering(core, now)
        return
    if status.status in TERMINAL and (status.status != "rejected" or rejection is None):
        record.result_seq = early[1] if early is not None else None
        record.move(JobState.FINISHED, f"its history ended with {status.status}")
        record.end = status
        core.do(AckJob(record.job_class.priority, record.seq, record.job_id, answer=True))
        return
    # Of a bad request the event comes before the result: the former leader may not have got so far.
    record.rejection_published = status.status == "rejected"
    if early is not None:
        finalize(core, record, *early, now)
        return
    resume(record, status)
    if status.status == "queued" and status.attempt == 0 and status.reason is not None:
        # It was said that it waits for a result.
        core.held.note_wait(record.job_id)
    recover(core, record, status, now)


def resume(record: JobRecord, status: Status) -> None:
    """Note how far the job was by its last event."""
    record.attempt_no = status.attempt
    record.started_published = status.status == "running"
    if status.error is not None and status.error.attempts:
        retry = record.retry_state()
        retry.attempts = list(status.error.attempts)
        retry.spent = sum(1 for a in retry.attempts if a.counted and a.code != FailureCode.HANDED_BACK.value)


def recover(core: Core, record: JobRecord, status: Status, now: Now) -> None:
    """It waited or ran when the former leader was last heard."""
    holder = runner_of(core, record.job_id)
    if holder is not None:
        take_over_attempt(core, record, *holder, now)
        return
    if status.status != "running" or status.agent_id is None:
        begin(core, record, "it waited before", now)
        return
    # Its agent has not said that it still runs it. If it was heard, it has it no more; if not, a lease is waited.
    record.recovery = Recovery(status)
    core.index.file(record)
    look_for_recovering(core, now)


def result_read(core: Core, event: ResultRead, now: Now) -> None:
    """What the results stream holds for a job, or None."""
    record = core.jobs.get(event.job_id)
    if record is None or record.recovery is None or event.result is not None:
        attempts.result_read(core, event, now)
        return
    # No agent says that it runs it, and there is no result.
    status = record.recovery.status
    core.decided(record)
    if status is None:
        # No attempt of it is known, so none is lost.
        begin(core, record, "its last event cannot be read", now)
    else:
        _lost_before(core, record, status, now)


def _lost_before(core: Core, record: JobRecord, status: Status, now: Now) -> None:
    """Its last event says that it ran, nobody runs it now, and there is no result: that attempt is lost."""
    agent_id = status.agent_id or "its agent"
    record.attempt = Attempt(
        number=record.attempt_no,
        token="",
        agent_id=agent_id,
        incarnation="",
        device=status.device or "",
        adapter_id=status.adapter_id or "",
        variant=status.variant,
        claim_mb=0,
        awarded_at=now.mono,
    )
    fail(core, record, FailureCode.AGENT_LOST, f"{agent_id} no longer runs it", None, None, now)


def runner_of(core: Core, job_id: str) -> tuple[AgentView, RunningJob] | None:
    """The agent that says it runs a job, if any."""
    for view in core.fleet.agents.values():
        for running in view.advert.running:
            if running.job_id == job_id:
                return view, running
    return None


def look_for_recovering(core: Core, now: Now) -> None:
    """Recovered jobs whose agent has spoken, or has been silent for a lease: take over, or read their result."""
    for record in list(core.index.recovering.values()):
        recovery = record.recovery
        holder = runner_of(core, record.job_id)
        if holder is not None:
            take_over_attempt(core, record, *holder, now)
        elif recovery is not None and not recovery.result_asked and _heard_all(core, recovery, now):
            recovery.result_asked = True
            core.do(ReadResult(record.job_id, record.job_class.priority))


def _heard_all(core: Core, recovery: Recovery, now: Now) -> bool:
    """True once whoever could run it has had the time to say so, in adverts that list all that they hold."""
    agent_id = recovery.status.agent_id if recovery.status is not None else None
    if any(view.advert.unlisted and agent_id in (None, name) for name, view in core.fleet.agents.items()):
        return False
    if now.mono >= core.watching_since + core.settings.agent_lease_s:
        return True
    if recovery.status is None:
        # Any agent may run it: all that are known were asked, and have had the time to answer.
        return not core.agents_to_hear and core.results_drained
    return recovery.status.agent_id in core.fleet.agents


def _orphan_history(core: Core, event: LastEventRead, now: Now) -> None:
    """For a result that was seen before its job, or a story that has no end and no job."""
    status = event.status
    if event.job_id not in core.early_results:
        if event.job_id in core.stories_asked:
            if status is None or _is_over(event) or event.job_seq is None:
                del core.stories_asked[event.job_id]
            else:
                ask_for_message(core, event)
        return
    if status is not None and status.status not in TERMINAL and event.job_seq is not None:
        adopt_orphan(core, status, event.job_seq, now)
        return
    _, seq = core.early_results.pop(event.job_id)
    core.do(AckResult(seq))


def adopt_orphan(core: Core, status: Status, job_seq: int, now: Now) -> None:
    """A result whose event a former leader did not publish any more: finish its history."""
    result, seq = core.early_results.pop(status.job_id)
    record = record_of_story(core, status, job_seq, now)
    record.move(JobState.RECOVERING, "its result is older than this leadership")
    finalize(core, record, result, seq, now)


def record_of_story(core: Core, status: Status, job_seq: int, now: Now) -> JobRecord:
    """A record of a job of which only its last event is known: its limits are the default ones."""
    job_class = JobClass.of(status.feature, canonical(status.feature), status.priority, None)._replace(
        tenant=status.tenant
    )
    record = JobRecord(job_seq, status.job_id, core.intern(job_class), _submitted_at(status, now), now.mono)
    record.label = status.label
    resume(record, status)
    core.add(record)
    return record


def _submitted_at(status: Status, now: Now) -> float:
    try:
        return parse_rfc3339(status.submitted_at or "")
    except ValueError:
        # An event of a version before that field.
        return now.wall
