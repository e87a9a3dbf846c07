"""The request of a job that has not ended, as it stands in the jobs stream."""

from __future__ import annotations

from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.messages import JOB_SEQ_HEADER
from pocket3d.contracts.subjects import Subjects

from ..port import Bus, Stored


async def stored_request(bus: Bus, subjects: Subjects, job_id: str) -> Stored | None:
    """The message of a job, where its last event says that it stands; None: it has ended, or is not known.

    Raises:
        BusError: the streams cannot be read.
    """
    event = await bus.last(subjects.events_stream, subjects.events_of(job_id))
    seq = decimal(event.headers.get(JOB_SEQ_HEADER, "")) if event is not None else None
    return None if seq is None else await bus.get(subjects.jobs_stream, seq)
