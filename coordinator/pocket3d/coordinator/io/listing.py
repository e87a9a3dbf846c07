"""`p3d.api.list`: a page of jobs, the newest first; from memory what is held there, older ones by reading."""

from __future__ import annotations

from pocket3d.bus.port import Bus, ServiceError
from pocket3d.contracts.api import JobList, ListRequest
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.messages import Status
from pocket3d.contracts.subjects import Subjects

from ..engine.job_list import JobFilter, status_of
from ..engine.state import Core
from .status_bucket import first_after, read_down

#: Begins the `next` of a page whose end was read from the status bucket, before the sequence there.
_OLDER = "older-"
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
    wanted = JobFilter(request.status, request.feature, request.tenant, _since(request.since))
    after = request.after or ""
    older = after.startswith(_OLDER)
    position = decimal(after.removeprefix(_OLDER)) if after else None
    if after and position is None:
        raise ServiceError(400, "want the `next` of the page before", field="after")
    if older:
        return await _older(bus, subjects, core, wanted, [], position, request.limit)
    jobs = core.job_list
    page = jobs.page(wanted, position, request.limit)
    found = [status_of(job, core.wall_offset_s) for job in page]
    if len(found) == request.limit:
        return JobList(jobs=found, next=str(page[-1].seq))
    if jobs.forgotten_until is not None:
        position = await first_after(bus, subjects, parse_rfc3339(jobs.forgotten_until) + _LATE_S)
    else:
        position = jobs.read_down_to
    return await _older(bus, subjects, core, wanted, found, position, request.limit)


async def _older(
    bus: Bus,
    subjects: Subjects,
    core: Core,
    wanted: JobFilter,
    found: list[Status],
    position: int | None,
    limit: int,
) -> JobList:
    """Fill a page with what the bucket has below `position` (None: from its newest on) and memory has not."""
    for _ in range(_MOST_WINDOWS):
        if position == 0:
            return JobList(jobs=found)
        entries, position = await read_down(bus, subjects, position)
        for entry in entries:
            held = entry.job_seq is not None and core.job_list.holds(entry.job_seq)
            if not held and wanted.takes(entry.status):
                found.append(entry.status)
                if len(found) == limit:
                    return JobList(jobs=found, next=f"{_OLDER}{entry.seq}")
    return JobList(jobs=found, next=f"{_OLDER}{position}" if position else None)


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        text = f"since {text[:80]!r}: want a time like 2026-11-28T12:00:00Z"
        raise ServiceError(400, text, field="since") from error
