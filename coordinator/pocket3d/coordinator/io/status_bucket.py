"""Reading the status bucket from its newest entry down: jobs that are not held in memory any more, or not yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import Bus, BusError, Stored
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import JOB_SEQ_HEADER, Status
from pocket3d.contracts.subjects import Subjects

from ..engine.effects import ReadEnded
from ..engine.events import EndedJobsRead
from ..engine.job_list import EndedJob
from ..leadership.term_engine import TermEvent
from .first_event_io import failed

log = structlog.get_logger(__name__)

#: Sequences that are looked through at once.
WINDOW = 500
#: Entries that are read at once: in a window there may be few, and what is read beyond it is in vain.
_PAGE = 128


class Entry(NamedTuple):
    """A status as the bucket holds it."""

    #: In the bucket.
    seq: int
    #: Of the job, in the jobs stream; None if it is not said.
    job_seq: int | None
    status: Status


async def newest(bus: Bus, subjects: Subjects) -> int:
    """The sequence that the next entry of the bucket will have.

    Raises:
        BusError: the bucket could not be read.
    """
    return await bus.last_seq(kv_stream(subjects.status_bucket)) + 1


async def read_down(bus: Bus, subjects: Subjects, end: int) -> tuple[list[Entry], int]:
    """Statuses below a sequence, the latest first; and down to where they were read, 0 when there are no more.

    Raises:
        BusError: the bucket could not be read.
    """
    stream = kv_stream(subjects.status_bucket)
    start = max(1, end - WINDOW)
    found: list[Stored] = []
    position = start
    while position < end:
        page = await bus.pages(
            stream, kv_subject(subjects.status_bucket, ">"), start=position, limit=min(end - position, _PAGE)
        )
        found += [stored for stored in page if stored.seq < end]
        if not page:
            break
        position = page[-1].seq + 1
    entries = [entry for entry in map(_entry, reversed(found)) if entry is not None]
    return entries, start if start > 1 else 0


def _entry(stored: Stored) -> Entry | None:
    try:
        status = decode(Status, stored.data)
        parse_rfc3339(status.at)
        if status.job_id != stored.subject.rpartition(".")[2]:
            raise WireError("job_id", f"it is that of another job, {status.job_id[:80]!r}")
    except (WireError, ValueError) as error:
        log.warning("a status could not be read", subject=stored.subject, error=str(error))
        return None
    return Entry(stored.seq, decimal(stored.headers.get(JOB_SEQ_HEADER, "")), status)


async def first_after(bus: Bus, subjects: Subjects, wall: float) -> int:
    """The lowest sequence from which on the bucket stored its entries at a time or later, Unix seconds; by halving.

    Raises:
        BusError: the bucket could not be read.
    """
    stream, subject = kv_stream(subjects.status_bucket), kv_subject(subjects.status_bucket, ">")
    low, high = 1, await newest(bus, subjects)
    while low < high:
        middle = (low + high) // 2
        page = await bus.pages(stream, subject, start=middle, limit=1)
        if page and page[0].time < wall:
            low = page[0].seq + 1
        else:
            high = middle
    return low


async def read_ended(bus: Bus, subjects: Subjects, effect: ReadEnded) -> TermEvent:
    """Some ended jobs of earlier leaders."""
    try:
        below = effect.before if effect.before is not None else await newest(bus, subjects)
        entries, down_to = await read_down(bus, subjects, below)
    except BusError as error:
        return failed(effect, error)
    return EndedJobsRead(_ended(entries), below, down_to, unfinished_of(entries))


def unfinished_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The jobs that have not ended by these statuses."""
    return tuple(entry.status.job_id for entry in entries if entry.status.status not in TERMINAL)


def _ended(entries: Sequence[Entry]) -> tuple[EndedJob, ...]:
    return tuple(
        EndedJob(entry.job_seq, entry.status)
        for entry in entries
        if entry.job_seq is not None and entry.status.status in TERMINAL
    )
