"""`p3d.api.list`: a page of jobs, the newest first; from memory what is held there, older ones by reading."""

from __future__ import annotations

from typing import get_args

from msgspec import structs

from pocket3d.bus.port import Bus, ServiceError
from pocket3d.contracts.api import JobList, ListRequest
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.lifecycle import StatusWord
from pocket3d.contracts.messages import Status
from pocket3d.contracts.subjects import Subjects

from ..engine.job import JobRecord
from ..engine.job_list import EndedJob, JobFilter, status_of
from ..engine.job_list import JobList as Held
from ..engine.state import Core
from .status_bucket import Entry, first_after, newest, read_down

#: Begins the `next` of a page whose end was read from the status bucket, before the sequence there: `former` while the
#: ended jobs of former leaders are not listed from memory, else `older`.
_FORMER, _OLDER = "former-", "older-"
#: Windows of the bucket that are looked through for one page: what is wanted may be rare there.
_MOST_WINDOWS = 8
#: The bucket follows the events late, and clocks differ, seconds.
_LATE_S = 60.0


async def list_jobs(bus: Bus, subjects: Subjects, core: Core, request: ListRequest) -> JobList:
    """One page. It may hold less than the limit, and nothing at all, though there are more.

    Raises:
        ServiceError: the request makes no sense.
        BusError: older jobs could not be read.
    """
    if not 1 <= request.limit <= 1000:
        raise ServiceError(400, f"limit {request.limit}: want 1 to 1000", field="limit")
    check_status(request.status, get_args(StatusWord))
    wanted = JobFilter(request.status, request.feature, request.tenant, _since(request.since))
    jobs = core.job_list
    kind, position = _place(request.after or "")
    found: list[Status] = []
    if not kind:
        page = jobs.page(wanted, position, request.limit)
        found = [_status(core, job) for job in page]
        if len(found) == request.limit:
            return JobList(jobs=found, next=str(page[-1].seq))
        if jobs.former_down_to is None:
            kind = _FORMER
            position = jobs.former_below if jobs.former_below is not None else await newest(bus, subjects)
        else:
            kind, position = _OLDER, jobs.former_down_to
            if jobs.forgotten_until is not None:
                position = await first_after(bus, subjects, parse_rfc3339(jobs.forgotten_until) + _LATE_S)
    for _ in range(_MOST_WINDOWS):
        if not position:
            return JobList(jobs=found)
        entries, position = await read_down(bus, subjects, position)
        for entry in entries:
            if not _listed_before(jobs, entry, kind) and wanted.takes(entry.status):
                found.append(entry.status)
                if len(found) == request.limit:
                    return JobList(jobs=found, next=f"{kind}{entry.seq}")
    return JobList(jobs=found, next=f"{kind}{position}" if position else None)


def check_status(status: str | None, known: tuple[str, ...]) -> None:
    """Refuse a filter that would take nothing, for ever: a misspelt one looks like an answer.

    Raises:
        ServiceError: it is none of the known words.
    """
    if status is not None and status not in known:
        raise ServiceError(400, f"status {status[:80]!r}: want one of {', '.join(known)}", field="status")


def _status(core: Core, job: JobRecord | EndedJob) -> Status:
    status = status_of(job, core.wall_offset_s)
    if isinstance(job, JobRecord) and core.held.holds(job.job_id):
        return structs.replace(status, reason=core.held.reason(job.job_id))
    return status


def _place(after: str) -> tuple[str, int | None]:
    """Where a page begins: in memory (no kind) or in the bucket, and below which sequence there; None: at the top."""
    kind = next((each for each in (_FORMER, _OLDER) if after.startswith(each)), "")
    position = decimal(after.removeprefix(kind))
    if after and position is None:
        raise ServiceError(400, "want the `next` of the page before", field="after")
    return kind, position


def _listed_before(jobs: Held, entry: Entry, kind: str) -> bool:
    """True if an entry was among the pages from memory. Those of former leaders may have come into it since."""
    if entry.job_seq is None or not jobs.holds(entry.job_seq):
        return False
    return kind == _OLDER or not jobs.came_later(entry.job_seq)


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        text = f"since {text[:80]!r}: want a time like 2026-11-28T12:00:00Z"
        raise ServiceError(400, text, field="since") from error
