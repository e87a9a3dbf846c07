"""Is a job id known already, and with the same request?"""

from __future__ import annotations

from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import Status
from pocket3d.contracts.request_digest import REQUEST_DIGEST_HEADER, request_digest
from pocket3d.contracts.subjects import Subjects

from ..port import Bus, NoResponders, Refused, Stored
from .errors import JobIdTaken
from .retry import retry_until


async def find_known(bus: Bus, subjects: Subjects, feature: str, job: Job, deadline: float) -> Status | None:
    """Where the job of a job's id stands by its last event; None if the id is new, or this user may not read events.

    Raises:
        JobIdTaken: it is known with another request.
        Disconnected, OutcomeUnknown: the server cannot be asked before `deadline` (of the loop's clock).
    """
    stream, subject = subjects.events_stream, subjects.events_of(str(job.job_id))

    async def read() -> tuple[Stored | None, Stored | None]:
        try:
            # The last is asked for first: of a new id it is all there is to read.
            last = await bus.last(stream, subject)
            first = await bus.pages(stream, subject, start=1, limit=1) if last is not None else []
        except (NoResponders, Refused):
            return None, None
        return (first[0] if first else None), last

    first, last = await retry_until(read, deadline)
    if first is None or last is None:
        return None
    try:
        known = decode(Status, last.data)
    except WireError:
        return None  # anybody may publish there; the coordinator judges
    digest = first.headers.get(REQUEST_DIGEST_HEADER)
    if canonical(known.feature) != canonical(feature) or (digest is not None and digest != request_digest(job)):
        raise JobIdTaken(known)
    return known
