"""Reading and writing the chains stream: one chain or group, which of them have not ended, and pages of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from pocket3d.bus.port import Bus, BusError, Conflict, Expect, Stored
from pocket3d.contracts.chain_messages import ChainStatus, GroupStatus
from pocket3d.contracts.chains import AnyChainRequest, id_of
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import WireError, encode
from pocket3d.contracts.messages import Artifact, read_result
from pocket3d.contracts.subjects import ChainKind, Subjects

from ..chains import events
from ..chains.effects import ReadChain, StoreEvent
from ..chains.record import ChainKey, ChainRecord
from ..chains.story import StoryEvent, read_request, record_from, unfinished

log = structlog.get_logger(__name__)

#: Room for a message's subject and headers, which count against the server's limit too.
_HEADER_BYTES = 512
#: Sequences that are looked through at once for a page, and how often for one page.
_WINDOW = 500
_PAGE = 64
_MOST_WINDOWS = 8


class Story(NamedTuple):
    """The first and the last event of one."""

    first: StoryEvent
    last: StoryEvent


class Submitted(NamedTuple):
    """One that was submitted, on a page."""

    key: ChainKey
    seq: int


def room_of(bus: Bus) -> int:
    """The largest body of an event, bytes."""
    return bus.max_payload - _HEADER_BYTES


async def read_story(bus: Bus, subjects: Subjects, key: ChainKey) -> Story | None:
    """What the stream holds of one; None if nobody submitted it, or it is not kept any more.

    Raises:
        BusError: it could not be read.
    """
    first = await bus.last(subjects.chains_stream, subjects.chain_event(*key, "submitted"))
    if first is None:
        return None
    last = await bus.last(subjects.chains_stream, subjects.chain_events_of(*key))
    return Story(_told(subjects, first), _told(subjects, last or first))


async def read_chain(bus: Bus, subjects: Subjects, effect: ReadChain) -> events.ChainFound | events.ChainUnread:
    """One that has not ended."""
    try:
        story = await read_story(bus, subjects, effect.key)
    except BusError as error:
        log.debug("the chains stream could not be read yet", error=str(error))
        return events.ChainUnread(effect.key)
    if story is None or story.last.ends:
        return events.ChainFound(effect.key, None)
    try:
        return events.ChainFound(effect.key, record_from(effect.key, *story))
    except WireError as error:
        log.error("what the chains stream holds cannot be read by this version", chain=effect.key, error=str(error))
        return events.ChainFound(effect.key, None)


async def read_chain_request(bus: Bus, subjects: Subjects, key: ChainKey, seq: int) -> AnyChainRequest | None:
    """The request of one; None if it is gone.

    Raises:
        BusError: it could not be read.
        WireError: it is none.
    """
    stored = await bus.get(subjects.chains_stream, seq)
    return read_request(key, stored.data) if stored is not None else None


async def all_unfinished(bus: Bus, subjects: Subjects) -> list[ChainKey]:
    """Those that have not ended.

    Raises:
        BusError: the stream could not be read.
    """
    kinds: tuple[ChainKind, ...] = ("chain", "group")
    counts: dict[str, int] = {}
    for kind in kinds:
        counts |= await bus.subjects(subjects.chains_stream, subjects.all_chain_events(kind))
    return unfinished(counts, subjects)


async def begun_since(bus: Bus, subjects: Subjects, seen: dict[ChainKind, int]) -> list[ChainKey]:
    """Those of which a round was begun behind a sequence, for each kind; `seen` is moved to the last of them.

    Raises:
        BusError: the stream could not be read.
    """
    found = []
    for kind, after in seen.items():
        newest = after
        for event in ("submitted", "retried"):
            start = after + 1
            while page := await bus.pages(
                subjects.chains_stream, subjects.all_chain_events(kind, event), start=start, limit=_PAGE
            ):
                found += [ChainKey(kind, subjects.parse_chain(each.subject).name) for each in page]
                start = page[-1].seq + 1
            newest = max(newest, start - 1)
        seen[kind] = newest
    return found


async def store_request(bus: Bus, subjects: Subjects, kind: ChainKind, request: AnyChainRequest) -> int:
    """Store a new one; its sequence.

    Raises:
        Conflict: its id is known.
        BusError: it is not stored, or perhaps.
    """
    name = id_of(request)
    expect = Expect(0, subjects.chain_events_of(kind, name))
    return await bus.append(subjects.chain_event(kind, name, "submitted"), encode(request), expect=expect)


async def store_event(
    bus: Bus, subjects: Subjects, effect: StoreEvent
) -> events.EventStored | events.EventInDoubt | events.ChainUnread:
    """One more event, unless another was stored since the last that is known."""
    key, status = effect.key, effect.status
    subject, expect = subjects.chain_event(*key, effect.event), Expect(effect.last, subjects.chain_events_of(*key))
    try:
        if isinstance(status, ChainStatus) and effect.event not in ("step", "cancelling", "retried"):
            status = fit_artifacts(await with_artifacts(bus, subjects, status), room_of(bus))
        return events.EventStored(key, await bus.append(subject, encode(status), expect=expect))
    except Conflict:
        return events.EventInDoubt(key)
    except BusError as error:
        log.info("an event of a chain is read back", chain=key.name, chain_event=effect.event, error=str(error))
        return events.ChainUnread(key)


async def with_artifacts(bus: Bus, subjects: Subjects, status: ChainStatus) -> ChainStatus:
    """The status with the files of each step that succeeded.

    Raises:
        BusError: the results could not be read.
    """
    steps = [
        msgspec.structs.replace(step, artifacts=await _artifacts(bus, subjects, step.job_id))
        if step.status == "succeeded"
        else step
        for step in status.steps
    ]
    return msgspec.structs.replace(status, steps=steps)


def fit_artifacts(status: ChainStatus, room: int) -> ChainStatus:
    """The status without artifacts where it would be larger than so many bytes."""
    if len(encode(status)) <= room:
        return status
    steps = [msgspec.structs.replace(step, artifacts=[]) for step in status.steps]
    return msgspec.structs.replace(status, steps=steps, artifacts_left_out=True)


def fits(status: ChainStatus | GroupStatus, room: int) -> bool:
    """True if a message can hold it, however its steps end."""
    steps = status.steps if isinstance(status, ChainStatus) else status.jobs
    each = 512 if isinstance(status, ChainStatus) else 48
    return len(encode(status)) + each * len(steps) <= room


async def _artifacts(bus: Bus, subjects: Subjects, job_id: str) -> list[Artifact]:
    stored = await bus.last(subjects.results_stream, subjects.result_of(job_id))
    if stored is None:
        return []
    try:
        return read_result(stored.data, job_id).artifacts
    except WireError:
        return []


async def read_page(
    bus: Bus, subjects: Subjects, kind: ChainKind, before: int, take: Callable[[Submitted], bool]
) -> int:
    """Hand over those that were submitted before a sequence, the newest first, until `take` says no.

    Returns the sequence from which to go on; 0 when there are no more.

    Raises:
        BusError: the stream could not be read.
    """
    subject = subjects.all_chain_events(kind, "submitted")
    for _ in range(_MOST_WINDOWS):
        if before <= 1:
            return 0
        start = max(1, before - _WINDOW)
        found = await _window(bus, subjects, subject, start, before)
        for each in reversed(found):
            if not take(each):
                return each.seq + 1
        before = start
    return before if before > 1 else 0


async def _window(bus: Bus, subjects: Subjects, subject: str, start: int, end: int) -> list[Submitted]:
    """Without their bodies, which may be a megabyte each."""
    found: list[Submitted] = []
    position = start
    while position < end:
        page = await bus.pages(subjects.chains_stream, subject, start=position, limit=min(end - position, _PAGE))
        for stored in page:
            where = subjects.parse_chain(stored.subject)
            if stored.seq < end:
                found.append(Submitted(ChainKey(where.kind, where.name), stored.seq))
        if not page or page[-1].seq >= end:
            break
        position = page[-1].seq + 1
    return found


def told_at(stored: Stored) -> str:
    """When it was stored, RFC 3339."""
    return rfc3339(stored.time)


def _told(subjects: Subjects, stored: Stored) -> StoryEvent:
    event = subjects.parse_chain(stored.subject).event
    return StoryEvent(event, stored.data, stored.seq, told_at(stored))


def record_of_story(key: ChainKey, story: Story) -> ChainRecord:
    """As `record_from`, of a story that was read.

    Raises:
        WireError: this version cannot read it.
    """
    return record_from(key, story.first, story.last)
