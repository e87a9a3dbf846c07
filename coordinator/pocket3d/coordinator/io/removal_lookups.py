"""What the streams are asked for to notice messages that somebody removed."""

from __future__ import annotations

import asyncio

import structlog

from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import Bus, BusError
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.subjects import Subjects

from ..engine.effects import FindMessages, JobMessage, ListStories
from ..engine.events import EffectFailed, MessagesCounted, MessagesLooked, StoriesListed
from ..engine.history import read_status

log = structlog.get_logger(__name__)

#: Messages that are read at once.
_READS = 16
#: Places in the status bucket that are looked through at once. About one in four holds a status: it keeps the last of a
#: job's.
_PART = 400
_PAGE = 100


async def find_messages(bus: Bus, subjects: Subjects, effect: FindMessages) -> MessagesLooked | EffectFailed:
    """Which of these messages the jobs stream still holds."""
    found: list[JobMessage] = []
    try:
        for start in range(0, len(effect.messages), _READS):
            part = effect.messages[start : start + _READS]
            stored = await asyncio.gather(*(bus.get(subjects.jobs_stream, each.seq) for each in part))
            found += [each for each, message in zip(part, stored, strict=True) if message is not None]
    except BusError as error:
        return _failed(effect, error)
    there = set(found)
    missing = tuple(each for each in effect.messages if each not in there)
    return MessagesLooked(tuple(found), missing, effect.sweep)


async def count_messages(bus: Bus, subjects: Subjects) -> MessagesCounted:
    """How many messages the jobs stream holds."""
    try:
        return MessagesCounted(await bus.message_count(subjects.jobs_stream))
    except BusError as error:
        log.debug("the jobs stream was not counted", error=str(error))
        return MessagesCounted(None)


async def list_stories(bus: Bus, subjects: Subjects, effect: ListStories) -> StoriesListed | EffectFailed:
    """The jobs that have not ended by a part of the status bucket."""
    stream, pattern = kv_stream(subjects.status_bucket), kv_subject(subjects.status_bucket, "*")
    unfinished: list[str] = []
    try:
        end = await bus.last_seq(stream) + 1 if effect.before is None else effect.before
        start = max(end - _PART, 1)
        at = start
        while at < end and (page := await bus.pages(stream, pattern, start=at, limit=_PAGE)):
            at = page[-1].seq + 1
            found = (read_status(stored.data) for stored in page if stored.seq < end)
            unfinished += [each.job_id for each in found if each is not None and each.status not in TERMINAL]
    except BusError as error:
        return _failed(effect, error)
    return StoriesListed(tuple(unfinished), start, end - 1)


def _failed(effect: FindMessages | ListStories, error: BusError) -> EffectFailed:
    log.debug("again in a moment", effect=type(effect).__name__, error=str(error))
    return EffectFailed(effect, str(error))
