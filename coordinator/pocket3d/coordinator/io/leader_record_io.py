"""The leader record on the bus: the calls that the leadership and the event log ask for."""

from __future__ import annotations

import structlog

from pocket3d.bus.port import Bus, BusError, Expect
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.subjects import Subjects

from ..leadership.leader_record import (
    LeaderRecordNotWritten,
    LeaderRecordRead,
    LeaderRecordUnread,
    LeaderRecordWritten,
    WriteLeaderRecord,
)

log = structlog.get_logger(__name__)


def parse_leader_record(data: bytes) -> LeaderRecord | None:
    """The record, or None for bytes that are none: nobody leads by them."""
    try:
        return decode(LeaderRecord, data)
    except WireError as error:
        log.warning("a leader record could not be read", error=str(error))
        return None


async def read_leader_record(bus: Bus, subjects: Subjects) -> LeaderRecordRead | LeaderRecordUnread:
    """The record in the events stream."""
    try:
        found = await bus.last(subjects.events_stream, subjects.leader_record())
    except BusError as error:
        log.debug("the leader record could not be read", error=str(error))
        return LeaderRecordUnread()
    return (
        LeaderRecordRead(parse_leader_record(found.data), found.seq) if found is not None else LeaderRecordRead(None, 0)
    )


async def write_leader_record(
    bus: Bus, subjects: Subjects, effect: WriteLeaderRecord
) -> LeaderRecordWritten | LeaderRecordNotWritten:
    """Store it by compare-and-set."""
    try:
        seq = await bus.append(subjects.leader_record(), encode(effect.record), expect=Expect(effect.last))
    except BusError as error:
        log.debug("the leader record could not be written", error=str(error))
        return LeaderRecordNotWritten()
    return LeaderRecordWritten(effect.record.epoch, seq)
