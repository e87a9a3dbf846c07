"""The leader record on the bus: the calls that the leadership and the event log ask for."""

from __future__ import annotations

import structlog

from pocket3d.bus.kv import is_gone
from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import Bus, BusError, Expect, Stored
from pocket3d.contracts.clock import may_be_epoch
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
from ..leadership.lease_events import LeaseRead

log = structlog.get_logger(__name__)

#: Key of the lease in the leader bucket.
LEADER_KEY = "leader"
#: Header of the entry's deletion by the leader itself. `nats kv del` does not set it.
GIVEN_BACK_HEADER = "P3d-Given-Back"


def parse_leader_record(stored: Stored) -> LeaderRecord | None:
    """The record, or None for bytes that are none: nobody leads by them."""
    try:
        record = decode(LeaderRecord, stored.data)
        if not may_be_epoch(record.epoch, stored.time):
            raise WireError("epoch", f"{record.epoch} is no time in milliseconds at which a coordinator began to lead")
    except WireError as error:
        log.warning("a leader record could not be read", subject=stored.subject, error=str(error))
        return None
    return record


async def read_leader_record(bus: Bus, subjects: Subjects) -> LeaderRecordRead | LeaderRecordUnread:
    """The record in the events stream."""
    try:
        found = await bus.last(subjects.events_stream, subjects.leader_record())
    except BusError as error:
        log.debug("the leader record could not be read", error=str(error))
        return LeaderRecordUnread()
    return LeaderRecordRead(parse_leader_record(found), found.seq) if found is not None else LeaderRecordRead(None, 0)


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


async def read_lease(bus: Bus, subjects: Subjects) -> LeaseRead:
    """The lease in the leader bucket. Errors as `Bus.last`."""
    bucket = subjects.leader_bucket
    found = await bus.last(kv_stream(bucket), kv_subject(bucket, LEADER_KEY))
    if found is None:
        return LeaseRead(None, 0)
    if is_gone(found):
        return LeaseRead(None, 0, given_back=GIVEN_BACK_HEADER in found.headers)
    return LeaseRead(parse_leader_record(found), found.seq)


async def give_lease_back(bus: Bus, subjects: Subjects, revision: int) -> None:
    """Delete the lease that was written with that revision, and say that it was its holder. Errors as `Bus.append`: a
    conflict where it is another's by now.
    """
    headers = {"KV-Operation": "DEL", GIVEN_BACK_HEADER: "1"}
    await bus.append(kv_subject(subjects.leader_bucket, LEADER_KEY), b"", headers=headers, expect=Expect(revision))
