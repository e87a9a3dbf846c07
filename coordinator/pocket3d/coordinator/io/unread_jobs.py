"""Jobs that lie in the jobs stream beyond the cap: what can be said of them while they are not read."""

from __future__ import annotations

from pocket3d.bus.port import Bus
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.labels import job_label
from pocket3d.contracts.messages import Status
from pocket3d.contracts.subjects import Subjects

from ..engine import events
from ..engine.state import Core
from .leader_term import LeaderTerm

#: Messages beyond the cap that are looked through for one id: it is in no subject.
_LOOKED_THROUGH = 2000


async def find_unread(bus: Bus, subjects: Subjects, term: LeaderTerm, job_id: str) -> events.JobRead | None:
    """The message of a job that is not read, because enough of its priority are held; None if it is not found: an id
    of ours tells its place, for another the next few are looked through.

    Raises:
        BusError: the stream could not be read.
    """
    core = term.engine.core
    full = core.intake.full()
    if not full:
        return None
    seq = decimal(job_id.rpartition("-")[2])
    if seq is not None and term.generated_id(seq) == job_id:
        stored = await bus.get(subjects.jobs_stream, seq)
        return term.read_job(stored) if stored is not None else None
    for priority in full:
        start = core.read_up_to[priority] + 1
        page = await bus.pages(subjects.jobs_stream, subjects.jobs_of(priority), start=start, limit=_LOOKED_THROUGH)
        for stored in page:
            read = term.read_job(stored)
            if read.admission.job_id == job_id:
                return read
    return None


def why_unread(core: Core) -> str:
    """Which priorities are not read further, and why, in words."""
    intake = core.intake
    parts = [f"{intake.held(priority)} jobs of priority {priority}" for priority in intake.full()]
    return f"{' and '.join(parts)} are held, and no more are read before some end (index_cap)"


def status_of_unread(core: Core, read: events.JobRead) -> Status:
    """A job that is stored, and not yet taken in."""
    at = rfc3339(read.published_at)
    job = read.admission.job
    return Status(
        job_id=read.admission.job_id,
        feature=read.feature,
        priority=read.priority,
        tenant=job.tenant if job is not None else "default",
        status="submitted",
        attempt=0,
        reason=f"it is not read yet: {why_unread(core)}",
        at=at,
        submitted_at=at,
        label=job_label(job) if job is not None else None,
    )
