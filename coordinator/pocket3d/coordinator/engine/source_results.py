"""What becomes of held jobs when the results that they wait for are read, or do not come."""

from __future__ import annotations

import math

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import Rejection
from pocket3d.contracts.messages import Result
from pocket3d.contracts.result_files import choose
from pocket3d.contracts.size_classes import size_class

from .completion import answer_from, finish
from .effects import PublishEvent, ReadResult
from .events import CachedRead, ResultDeleted, ResultRead
from .job import JobRecord
from .state import Core

_HOW = {"failed": "failed", "cancelled": "was cancelled", "expired": "expired", "rejected": "was rejected"}
_MESSAGE_CHARS = 1000


def source_read(core: Core, event: ResultRead, now: Now) -> None:
    """Take in what the results stream holds for a job that others wait for."""
    source, result = event.job_id, event.result
    if not core.held.awaited(source):
        return
    if result is not None:
        for record in _held_for(core, source):
            _source_ended(core, record, source, result, now)
        return
    for job_id in core.held.waiting_for(source):
        core.held.note_wait(job_id)
    if source in core.jobs:
        # It is read again when the job has ended, and when it is forgotten.
        return
    if source in core.held.last_look:
        core.held.last_look.discard(source)
        for record in _held_for(core, source):
            ref = core.held.refs(record.job_id, source)[0]
            text = f"no job {source!r} is known, or its result is kept no longer"
            finish(core, record, "rejected", FailureCode.ARTIFACT_MISSING, text, now, field=f"{ref.field}.result")
    elif core.held.unknown.of(source) == math.inf:
        # Messages of several priorities have no order, and a new leader reads them one after the other.
        core.held.unknown.set(source, now.mono + core.settings.source_grace_s)


def cached_read(core: Core, event: CachedRead, now: Now) -> None:
    """Answer a job by the result of an ended one, or let it run where that is not there any more."""
    record = core.jobs.get(event.job_id)
    if event.result is None:
        core.cache.gone(event.made)
    if record is None or core.held.cached(event.job_id) != event.source or record.ending is not None:
        return
    if event.result is not None and core.may_decide:
        answer_from(core, record, event.result, now)
    else:
        core.release(record, now)


def source_deleted(core: Core, event: ResultDeleted, now: Now) -> None:
    """Look again for a result in whose place there were bytes that are none."""
    if core.held.awaited(event.job_id):
        core.do(ReadResult(event.job_id))


def _held_for(core: Core, source: str) -> list[JobRecord]:
    records = (core.jobs[job_id] for job_id in core.held.waiting_for(source))
    # The end of some is decided, and waits until the leadership is proven.
    return [record for record in records if record.ending is None]


def _source_ended(core: Core, record: JobRecord, source: str, result: Result, now: Now) -> None:
    refs = core.held.refs(record.job_id, source)
    if result.status != "succeeded":
        why = f": {result.error.message[:_MESSAGE_CHARS]}" if result.error is not None else ""
        text = f"job {source}, whose file it needs, {_HOW.get(result.status, result.status)}{why}"
        finish(core, record, "failed", FailureCode.INPUT_FAILED, text, now, field=refs[0].field)
        return
    last = False
    for ref in refs:
        chosen = choose(ref, result)
        if isinstance(chosen, Rejection):
            finish(core, record, "rejected", chosen.code, chosen.message, now, field=chosen.field)
            return
        last = core.held.found(record.job_id, ref, chosen)
    if last:
        # Only now it is known how large its files are.
        of_size = size_class(core.held.total_bytes(record.job_id))
        record.job_class = core.intern(record.job_class._replace(size_class=of_size))
        core.release(record, now)
        if core.held.waited(record.job_id):
            text = f"job {source} has succeeded: it waits for its turn"
            core.do(PublishEvent("requeued", record.status("queued", rfc3339(now.wall), reason=text), record.seq))


def look_for_unknown(core: Core, now: Now) -> None:
    """Look a last time for sources that nobody has known for a while."""
    for source in core.held.unknown.passed(now.mono):
        if _all_read(core):
            core.held.last_look.add(source)
            core.do(ReadResult(source))
        else:
            core.held.unknown.set(source, now.mono + core.settings.source_grace_s)


def _all_read(core: Core) -> bool:
    """True if a job that is not held does not exist. Where so many are held that no more are read, an unknown source
    may be among those that are not; but held jobs alone must not keep it from being read for ever.
    """
    return core.jobs_indexed and (not core.intake.full() or 2 * len(core.held) > core.settings.index_cap)


def end_rings(core: Core, now: Now) -> None:
    """Refuse a job that waits for one that waits for it. Asked after every event."""
    suspects, core.held.suspects = core.held.suspects, []
    for job_id in suspects:
        source = core.held.in_ring(job_id) if core.held.holds(job_id) else None
        record = core.jobs.get(job_id)
        if source is not None and record is not None and record.ending is None:
            ref = core.held.refs(job_id, source)[0]
            text = f"it waits for job {source}, which waits for it"
            finish(core, record, "rejected", FailureCode.INVALID_INPUT, text, now, field=f"{ref.field}.result")
