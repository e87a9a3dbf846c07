"""Admission: jobs are read from the stream, and made known by the CAS of their first event."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.input_files import result_refs
from pocket3d.contracts.jobs import Rejection
from pocket3d.contracts.labels import job_label
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import JobError
from pocket3d.contracts.size_classes import own_bytes, size_class

from .completion import finalize, finish
from .content import content_of
from .effects import FindMessages, JobMessage, PublishQueued
from .events import JobRead, QueuedStored
from .held_jobs import waits_for
from .job import JobClass, JobRecord
from .parameter_admission import AdmissionVerdict, judge
from .state import Core

#: Why a job ends whose message is gone.
REMOVED = "its message was removed from the jobs stream"


def job_read(core: Core, event: JobRead, now: Now) -> None:
    """Take in a message of the jobs stream: a new job, a redelivery, or a second publish of a known id."""
    job_id = event.admission.job_id
    if not event.early:
        core.read_up_to[event.priority] = max(core.read_up_to[event.priority], event.seq)
    if event.seq in core.second_publishes:
        # It waits for its ack, and was handed over again.
        return
    known = core.jobs.get(job_id)
    if known is not None:
        if known.seq == event.seq:
            return
        if core.identity_pending(known):
            # A former leader may have taken this one for the job: messages of several priorities have no order.
            core.count_second(event.priority, event.seq)
            core.duplicate_submissions.setdefault(job_id, {})[event.seq] = event
            return
        if known.ending is not None or known.state in (JobState.FINISHING, JobState.FINISHED):
            core.ack_second(event.priority, event.seq, job_id)
            return
        # The first one counts; a second publish changes nothing, unless the first was removed from the stream.
        parked = core.duplicate_submissions.setdefault(job_id, {})
        if not parked:
            core.do(FindMessages((JobMessage(job_id, known.seq),)))
        core.count_second(event.priority, event.seq)
        parked[event.seq] = event
        return
    record = take_in(core, event, now)
    core.do(first_event(core, record, now))


def first_event(core: Core, record: JobRecord, now: Now) -> PublishQueued:
    """The event that makes the id known: `queued`, or `rejected` for what is no job."""
    at = rfc3339(now.wall)
    rejection = record.retry.rejection if record.retry else None
    if rejection is None:
        sources = [each for each in core.held.sources(record.job_id) if not _has_ended(core, each)]
        status = record.status("queued", at, reason=waits_for(sources) if sources else None)
    else:
        error = JobError(code=rejection.code.value, message=rejection.message, field=rejection.field)
        status = record.status("rejected", at, reason=f"{rejection.field}: {rejection.message}", error=error)
    return PublishQueued(status, record.seq)


def _has_ended(core: Core, source: str) -> bool:
    """True unless a job is known to be unfinished."""
    known = core.jobs.get(source)
    return known is None or known.state in (JobState.FINISHING, JobState.FINISHED)


def take_in(core: Core, event: JobRead, now: Now) -> JobRecord:
    """Make a record of the job, with what the fleet says of its parameters."""
    job_id, job, rejection = event.admission
    job_class = JobClass.of(event.feature, canonical(event.feature), event.priority, job)
    judgement = AdmissionVerdict()
    if job is not None:
        named = job_class.preferred
        sold = job_class.commercial_only
        judgement = judge(core.fleet, job_class.canonical, named, job.inputs, commercial_only=sold)
        refs = result_refs(job.inputs)
        own = own_bytes(job.inputs, event.artifact_bytes)
        if not refs:
            job_class = job_class._replace(size_class=size_class(own))
    job_class = core.intern(job_class._replace(unfit=judgement.unfit))
    record = JobRecord(event.seq, job_id, job_class, event.published_at, now.mono)
    record.label = job_label(job) if job is not None else None
    core.settle_second(event.seq)
    core.add(record)
    if job is not None:
        core.held.note(job_id, refs, own)
        if job.cache is True:
            core.cache.wish(job_id, content_of(event.feature, job))
    wish = core.cancels_to_come.pop(job_id, None)
    if wish is not None:
        record.retry_state().cancel = wish
    if rejection is not None:
        record.retry_state().rejection = rejection
    elif judgement.rejection is not None:
        record.retry_state().refusal = judgement.rejection
    return record


def ack_duplicates(core: Core, job_id: str) -> None:
    """Ack the further messages of an id: it is known now which message is the job."""
    for duplicate in core.duplicate_submissions.pop(job_id, {}).values():
        core.ack_second(duplicate.priority, duplicate.seq, job_id)


def queued_stored(core: Core, event: QueuedStored, now: Now) -> None:
    """Go on with a job whose first event is stored: its id is new."""
    record = core.jobs.get(event.job_id)
    if record is None or record.state is not JobState.SUBMITTED:
        return
    ack_duplicates(core, record.job_id)
    record.rejection_published = record.retry is not None and record.retry.rejection is not None
    early = core.early_results.pop(record.job_id, None)
    if early is not None:
        record.move(JobState.RECOVERING, "its result is stored already")
        finalize(core, record, *early, now)
        return
    tenant = record.job_class.tenant
    full = core.queue.share.refusal(tenant, core.held.of_tenant(tenant))
    if full is not None:
        # Only new jobs are refused: one that had been queued under a former leader was taken.
        record.retry_state().refusal = Rejection(FailureCode.NO_CAPACITY, "tenant", full)
    begin(core, record, "new", now)


def begin(core: Core, record: JobRecord, why: str, now: Now) -> None:
    """Queue a job, unless it is to end at once."""
    retry = record.retry
    if retry is not None and retry.rejection is not None:
        rejection = retry.rejection
        finish(core, record, "rejected", rejection.code, rejection.message, now, field=rejection.field)
    elif record.cancel_wanted:
        reason = (retry.cancel if retry else None) or "cancelled on request"
        finish(core, record, "cancelled", FailureCode.CANCELLED, reason, now)
    elif record.removed:
        finish(core, record, "cancelled", FailureCode.CANCELLED, REMOVED, now)
    elif retry is not None and retry.refusal is not None:
        refusal = retry.refusal
        finish(core, record, "rejected", refusal.code, refusal.message, now, field=refusal.field)
    else:
        _wait(core, record, why, now)


def _wait(core: Core, record: JobRecord, why: str, now: Now) -> None:
    # Its age orders the queue; its schedule-to-start limit is counted from now.
    age = max(0.0, now.mono + core.wall_offset_s - record.submitted_at)
    core.enqueue(record, why, now, returned=False, queued_at=now.mono - age)
