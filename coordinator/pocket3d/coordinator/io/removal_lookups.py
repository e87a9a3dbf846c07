"""What the streams are asked for to notice messages that somebody removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import Bus, BusError, Stored
from pocket3d.contracts.subjects import Subjects

from ..engine.effects import FindMessages, JobMessage, ListStories
from ..engine.events import MessagesLooked, StoriesListed
from ..leadership.bus_answers import EffectFailed, MessagesCounted
from ..leadership.ended_sweep import EndedLooked, LookAtEnded
from .status_bucket import newest, read_down, unfinished_of

log = structlog.get_logger(__name__)

#: Messages that are read at once.
_READS = 16


async def find_messages(
    bus: Bus, subjects: Subjects, effect: FindMessages, job_id: Callable[[Stored], str]
) -> MessagesLooked | EffectFailed:
    """Which of these messages the jobs stream still holds. In one that was removed and made again another job may have
    their sequence.
    """
    found: list[JobMessage] = []
    try:
        for start in range(0, len(effect.messages), _READS):
            part = effect.messages[start : start + _READS]
            stored = await asyncio.gather(*(bus.get(subjects.jobs_stream, each.seq) for each in part))
            found += [
                each
                for each, message in zip(part, stored, strict=True)
                if message is not None and job_id(message) == each.job_id
            ]
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
    try:
        below = effect.before if effect.before is not None else await newest(bus, subjects)
        entries, down_to = await read_down(bus, subjects, below)
    except BusError as error:
        return _failed(effect, error)
    return StoriesListed(unfinished_of(entries), down_to)


async def look_at_ended(bus: Bus, subjects: Subjects, effect: LookAtEnded) -> EndedLooked:
    """How many jobs have a status, and which of these have none, and no result."""
    bucket, stream = subjects.status_bucket, kv_stream(subjects.status_bucket)
    gone: list[JobMessage] = []
    try:
        for start in range(0, len(effect.jobs), _READS):
            part = effect.jobs[start : start + _READS]
            entries = await asyncio.gather(*(bus.last(stream, kv_subject(bucket, each.job_id)) for each in part))
            left = [each for each, entry in zip(part, entries, strict=True) if entry is None]
            # The server may be about to fill the bucket anew, whose results are there.
            results = (bus.last(subjects.results_stream, subjects.result_of(each.job_id)) for each in left)
            gone += [each for each, found in zip(left, await asyncio.gather(*results), strict=True) if found is None]
        return EndedLooked(await bus.message_count(stream), tuple(gone))
    except BusError as error:
        log.debug("ended jobs were not looked up", error=str(error))
        return EndedLooked(None)


def _failed(effect: FindMessages | ListStories, error: BusError) -> EffectFailed:
    log.debug("again in a moment", effect=type(effect).__name__, error=str(error))
    return EffectFailed(effect, str(error))
