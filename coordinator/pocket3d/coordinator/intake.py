"""How jobs enter: read from the stream, made known by the CAS of their first event, or recovered by their story."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.lifecycle import TERMINAL, JobState
from pocket3d.contracts.messages import JobError, RunningJob, Status

from . import attempts
from .attempts import adopt
from .core import Core
from .effects import AckJob, AckResult, Again, PublishQueued, ReadJobs, ReadLastEvent, ReadResult
from .endings import adopt_orphan, conclude
from .events import JobRead, LastEventRead, QueuedConflict, QueuedStored, QueuedUnknown, ResultRead
from .fleet import AgentView
from .judging import Judgement, judge
from .records import JobClass, JobRecord

#: With fewer jobs than that waiting and running, bids are called for while a job's first event is being stored: it
#: starts a round trip sooner. With more of them, rounds of many jobs are cheaper than many rounds.
_QUIET_JOBS = 4


def job_read(core: Core, event: JobRead, now: Now) -> None:
    """A message of the jobs stream: new, a redelivery, or a second publish of a known id."""
    job_id = event.admission.job_id
    known = core.jobs.get(job_id)
    if known is not None:
        if known.seq == event.seq:
            return
        if core.story_pending(known):
            # A former leader may have taken this one for the job: messages of several priorities have no order.
            core.twins.setdefault(job_id, {})[event.seq] = event
            return
        # The first stands; a second publish is acked and changes nothing.
        core.do(AckJob(event.priority, event.seq))
        return
    record = _take_in(core, event, now)
    if record.trouble is None and core.queue.count + core.fleet.attempts_out < _QUIET_JOBS:
        core.auctioneer.expect(record)
    core.do(_first_event(record, now))
    if core.reading and len(core.jobs) >= core.settings.index_cap:
        core.reading = False
        core.do(ReadJobs(False))


def _first_event(record: JobRecord, now: Now) -> PublishQueued:
    """`queued`, or `rejected` for what is no job: the event that makes the id known."""
    at = rfc3339(now.wall)
    rejection = record.trouble.rejection if record.trouble else None
    if rejection is None:
        status = record.status("queued", at)
    else:
        error = JobError(code=rejection.code.value, message=rejection.message, field=rejection.field)
        status = record.status("rejected", at, reason=f"{rejection.field}: {rejection.message}", error=error)
    return PublishQueued(status, record.seq)


def _take_in(core: Core, event: JobRead, now: Now) -> JobRecord:
    job_id, job, rejection = event.admission
    klass = JobClass.of(event.feature, canonical(event.feature), event.priority, job)
    judgement = Judgement() if job is None else judge(core.fleet, klass.canonical, klass.preferred, job.inputs)
    klass = core.intern(klass._replace(unfit=judgement.unfit))
    record = JobRecord(event.seq, job_id, klass, event.published_at, now.mono)
    core.jobs[job_id] = record
    if rejection is not None:
        record.troubled().rejection = rejection
    elif judgement.rejection is not None:
        record.troubled().refusal = judgement.rejection
    return record


def _ack_twins(core: Core, job_id: str) -> None:
    """It is known which message is the job: the others are second publishes."""
    for twin in core.twins.pop(job_id, {}).values():
        core.do(AckJob(twin.priority, twin.seq))


def queued_stored(core: Core, event: QueuedStored, now: Now) -> None:
    """The id is new."""
    record = core.jobs.get(event.job_id)
    core.auctioneer.arrived(event.job_id)
    if record is None or record.state is not JobState.SUBMITTED:
        return
    _ack_twins(core, record.job_id)
    record.rejection_told = record.trouble is not None and record.trouble.rejection is not None
    orphan = core.orphans.pop(record.job_id, None)
    if orphan is not None:
        record.move(JobState.RECOVERING, "its result is stored already")
        conclude(core, record, *orphan, now)
        return
    _begin(core, record, "new", now)


def _begin(core: Core, record: JobRecord, why: str, now: Now) -> None:
    """It waits for an award, unless it is to end at once."""
    trouble = record.trouble
    if trouble is not None and trouble.rejection is not None:
        rejection = trouble.rejection
        core.finish(record, "rejected", rejection.code, rejection.message, now, field=rejection.field)
    elif record.cancel_wanted:
        reason = (trouble.cancel if trouble else None) or "cancelled on request"
        core.finish(record, "cancelled", FailureCode.CANCELLED, reason, now)
    elif trouble is not None and trouble.refusal is not None:
        refusal = trouble.refusal
        core.finish(record, "rejected", refusal.code, refusal.message, now, field=refusal.field)
    else:
        _wait(core, record, why, now)


def _wait(core: Core, record: JobRecord, why: str, now: Now) -> None:
    # Its age orders the queue; its schedule-to-start limit is counted from now.
    age = max(0.0, now.wall - record.submitted_at)
    core.enqueue(record, why, now, returned=False, queued_at=now.mono - age)


def queued_in_doubt(core: Core, event: QueuedConflict | QueuedUnknown, now: Now) -> None:
    """The events stream knows the id, holds our own first try, or nothing: its last event tells."""
    record = core.jobs.get(event.job_id)
    core.auctioneer.arrived(event.job_id)
    if record is not None and record.state is JobState.SUBMITTED:
        core.do(ReadLastEvent(record.job_id))


def last_event_read(core: Core, event: LastEventRead, now: Now) -> None:
    """The last event of a job whose first event was refused or not answered, or of a result without a job."""
    record = core.jobs.get(event.job_id)
    status = event.status
    if record is None:
        _orphan_story(core, event, now)
        return
    known = status is not None or event.unreadable
    if record.state is JobState.SUBMITTED and not known:
        # It was not stored, a rival was in process that did not make it either, or what stood there has left by age.
        core.do(Again(_first_event(record, now)))
        return
    if record.state is JobState.SUBMITTED:
        record.move(JobState.RECOVERING, "its id is known")
    if record.state is not JobState.RECOVERING or record.job_id in core.recovering or not known:
        return
    if event.job_seq is not None and event.job_seq != record.seq:
        core.do(AckJob(record.klass.priority, record.seq))
        del core.jobs[record.job_id]
        job = core.twins.get(record.job_id, {}).pop(event.job_seq, None)
        if job is None:
            # The story is that of a message that has left: all that came since are second publishes.
            _ack_twins(core, record.job_id)
            redelivered = core.orphans.pop(record.job_id, None)
            if redelivered is not None:
                core.do(AckResult(redelivered[1]))
            return
        record = _take_in(core, job, now)
        record.move(JobState.RECOVERING, "its id is known")
    _ack_twins(core, record.job_id)
    rejection = record.trouble.rejection if record.trouble else None
    orphan = core.orphans.pop(record.job_id, None)
    if status is None:
        # Somebody else's bytes, or a later version's: only the results stream can say whether the job has ended.
        if orphan is not None:
            conclude(core, record, *orphan, now)
            return
        record.troubled().history_lost = True
        core.recovering[record.job_id] = None
        look_for_recovering(core, now)
        return
    if status.status in TERMINAL and (status.status != "rejected" or rejection is None):
        record.result_seq = orphan[1] if orphan is not None else None
        record.move(JobState.FINISHED, f"its story ended with {status.status}")
        core.do(AckJob(record.klass.priority, record.seq, record.job_id, answer=True))
        return
    # Of a bad request the event comes before the result: the former leader may not have got so far.
    record.rejection_told = status.status == "rejected"
    if orphan is not None:
        conclude(core, record, *orphan, now)
        return
    record.attempt_no = status.attempt
    record.started_told = status.status == "running"
    if status.error is not None and status.error.attempts:
        trouble = record.troubled()
        trouble.attempts = list(status.error.attempts)
        trouble.spent = sum(1 for a in trouble.attempts if a.code != FailureCode.HANDED_BACK.value)
    _recover(core, record, status, now)


def _recover(core: Core, record: JobRecord, status: Status, now: Now) -> None:
    """It waited or ran when the former leader was last heard."""
    holder = runner_of(core, record.job_id)
    if holder is not None:
        adopt(core, record, *holder, now)
        return
    if status.status != "running" or status.agent_id is None:
        _begin(core, record, "it waited before", now)
        return
    # Its agent has not said that it still runs it. If it was heard, it has it no more; if not, a lease is waited.
    record.last_status = status
    core.recovering[record.job_id] = None
    look_for_recovering(core, now)


def result_read(core: Core, event: ResultRead, now: Now) -> None:
    """What the results stream holds for a job, or None."""
    record = core.jobs.get(event.job_id)
    lost = record is not None and record.trouble is not None and record.trouble.history_lost
    if record is not None and lost and event.result is None and record.job_id in core.recovering:
        # Nobody says that he runs it and there is no result: no attempt of it is known, so none is lost.
        del core.recovering[record.job_id]
        _begin(core, record, "its last event cannot be read", now)
        return
    attempts.result_read(core, event, now)


def runner_of(core: Core, job_id: str) -> tuple[AgentView, RunningJob] | None:
    """The agent that says it runs a job, if any."""
    for view in core.fleet.agents.values():
        for running in view.advert.running:
            if running.job_id == job_id:
                return view, running
    return None


def look_for_recovering(core: Core, now: Now) -> None:
    """Recovered jobs whose agent has spoken, or has been silent for a lease: adopt, or read their result."""
    for job_id in list(core.recovering):
        record = core.jobs.get(job_id)
        if record is None or record.state is not JobState.RECOVERING:
            del core.recovering[job_id]
            continue
        holder = runner_of(core, job_id)
        if holder is not None:
            adopt(core, record, *holder, now)
            continue
        trouble = record.troubled()
        agent_id = record.last_status.agent_id if record.last_status else None
        heard = agent_id in core.fleet.agents
        if trouble.history_lost:
            # Any agent may run it: all that are known were asked, and have had the time to answer.
            heard = not core.awaiting and core.results_drained
        if not trouble.result_asked and (heard or now.mono >= core.watching_since + core.settings.agent_lease_s):
            trouble.result_asked = True
            core.do(ReadResult(job_id))


def _orphan_story(core: Core, event: LastEventRead, now: Now) -> None:
    """For a result that was seen before its job."""
    if event.job_id not in core.orphans:
        return
    status = event.status
    if status is not None and status.status not in TERMINAL and event.job_seq is not None:
        adopt_orphan(core, status, event.job_seq, now)
        return
    _, seq = core.orphans.pop(event.job_id)
    core.do(AckResult(seq))
