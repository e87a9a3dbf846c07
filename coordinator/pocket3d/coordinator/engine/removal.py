"""Removed messages: what becomes of jobs whose message somebody took out of the jobs stream behind the system's back.

A job that waits ends as cancelled, one that runs runs on, and a message of the same id that is published again takes
the place of the removed one.
"""

from __future__ import annotations

from collections.abc import Iterable

from pocket3d.contracts.clock import Now
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import JobState

from . import completion
from .admission import REMOVED, ack_duplicates, begin, take_in
from .completion import finish
from .effects import JobMessage, ReadLastEvent
from .events import CancelAsked, JobRead, LastEventRead, MessagesLooked, StoriesListed
from .job import JobRecord
from .recovery import is_second_publish, record_of_story, recover, take_up
from .state import Core

_OVER = (JobState.FINISHING, JobState.FINISHED)


def messages_looked(core: Core, event: MessagesLooked, now: Now) -> None:
    """Take in which messages are still there."""
    for message in event.present:
        _settle(core, message, now, gone=False)
    for message in event.missing:
        _settle(core, message, now, gone=True)


def _settle(core: Core, message: JobMessage, now: Now, *, gone: bool) -> None:
    record = core.jobs.get(message.job_id)
    doubt = core.story_doubts.get(message.job_id)
    if doubt is not None and doubt.job_seq == message.seq:
        del core.story_doubts[message.job_id]
        _settle_story(core, record, doubt, now, gone=gone)
    elif record is not None and core.identity_pending(record):
        # It is asked for when it is known which message is the job.
        return
    elif gone and record is not None and record.seq == message.seq and record.state not in _OVER:
        message_gone(core, record, now)
    else:
        ack_duplicates(core, message.job_id)


def _settle_story(core: Core, record: JobRecord | None, event: LastEventRead, now: Now, *, gone: bool) -> None:
    """A story without an end belongs to another message than the one that was read, or to one that was not read."""
    reason = core.stories_asked.pop(event.job_id, None)
    if record is None:
        if gone and event.status is not None and event.job_seq is not None:
            _adopt(core, event, reason, now)
    elif record.state is JobState.RECOVERING and core.identity_pending(record):
        if reason is not None:
            record.retry_state().cancel = reason
        if gone:
            take_up(core, record, event, now)
        else:
            is_second_publish(core, record, event, now)


def _adopt(core: Core, event: LastEventRead, reason: str | None, now: Now) -> None:
    """A former leader's job whose message is gone: it runs on where an agent runs it, else it ends."""
    assert event.status is not None
    assert event.job_seq is not None
    record = record_of_story(core, event.status, event.job_seq, now)
    record.move(JobState.RECOVERING, "its story has no end, and its message is gone")
    record.retry_state().removed = True
    record.retry_state().cancel = reason
    core.index.file(record)
    recover(core, record, event.status, now)


def message_gone(core: Core, record: JobRecord, now: Now) -> None:
    """Note that the message of a job is gone. What was published again since takes its place."""
    again = core.duplicate_submissions.get(record.job_id)
    if again:
        _replace(core, record, again.pop(min(again)), now)
        ack_duplicates(core, record.job_id)
        return
    record.retry_state().removed = True
    core.index.file(record)
    _end_if_waiting(core, record, now)


def end_waiting(core: Core, now: Now) -> None:
    """End removed jobs that wait, also those that ran when it was noticed and are back."""
    for record in list(core.index.removed.values()):
        _end_if_waiting(core, record, now)


def _end_if_waiting(core: Core, record: JobRecord, now: Now) -> None:
    if record.state is JobState.QUEUED and record.ending is None:
        finish(core, record, "cancelled", FailureCode.CANCELLED, REMOVED, now)


def _replace(core: Core, record: JobRecord, job: JobRead, now: Now) -> None:
    """The job is the message that was published again, with the attempts that it had."""
    if record.state is not JobState.QUEUED or record.ending is not None:
        needs, tenant = core.held.needs(record.job_id), record.job_class.tenant
        held, cached = core.held.holds(record.job_id), core.held.cached(record.job_id)
        core.remove(record)
        core.settle_second(job.seq)
        record.seq = job.seq
        if record.state is not JobState.QUEUED:
            # One that waits for its end stands in the queue under the class that it has.
            record.job_class = core.intern(record.job_class._replace(priority=job.priority))
        core.add(record)
        core.held.put_back(record.job_id, needs)
        if cached is not None:
            core.held.hold_for_cache(record.job_id, tenant, cached)
        elif held:
            core.held.hold(record.job_id, tenant)
        if record.retry is not None:
            record.retry.removed = False
        core.index.file(record)
        return
    core.leave_queue(record)
    core.remove(record)
    fresh = take_in(core, job, now)
    fresh.attempt_no, fresh.not_before = record.attempt_no, record.not_before
    if record.retry is not None:
        former, retry = record.retry, fresh.retry_state()
        retry.attempts, retry.spent, retry.excluded = former.attempts, former.spent, former.excluded
        retry.ended, retry.raised_mb = former.ended, former.raised_mb
    core.index.file(fresh)
    fresh.move(JobState.RECOVERING, "its message was removed and published again")
    begin(core, fresh, "its message was published again", now)


def stories_listed(core: Core, event: StoriesListed, now: Now) -> None:
    """A part of the status bucket was looked through."""
    read_stories(core, event.unfinished)


def read_stories(core: Core, unfinished: Iterable[str]) -> None:
    """Read the stories that seem to have no end of jobs that were not in the jobs stream, all of which was read."""
    for job_id in unfinished:
        if job_id not in core.jobs and job_id not in core.early_results:
            core.stories_asked.setdefault(job_id, None)
            core.do(ReadLastEvent(job_id))


def cancel_asked(core: Core, event: CancelAsked, now: Now) -> None:
    """Cancel a job, also one of which only the story is left."""
    if event.job_id in core.jobs or not core.jobs_indexed:
        completion.cancel_asked(core, event, now)
        return
    core.stories_asked[event.job_id] = event.reason or "cancelled on request"
    core.do(ReadLastEvent(event.job_id))
