"""The leader record: one message in the events stream, written by compare-and-set, whose sequence fences batches of
events. Read and written by the leadership when it begins, and by the event log when it needs a new fence.
"""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.commands import LeaderRecord


class ReadLeaderRecord(NamedTuple):
    """Answered by `LeaderRecordRead` or `LeaderRecordUnread`."""


class WriteLeaderRecord(NamedTuple):
    """Store the record, expecting the one with sequence `last` (0: none) to be the latest: answered by
    `LeaderRecordWritten` or `LeaderRecordNotWritten`.
    """

    record: LeaderRecord
    last: int


class LeaderRecordRead(NamedTuple):
    """What is stored: no record and sequence 0 if nothing is, no record and a sequence for bytes that are none."""

    record: LeaderRecord | None
    seq: int


class LeaderRecordUnread(NamedTuple):
    """The events stream did not answer."""


class LeaderRecordWritten(NamedTuple):
    """It is stored with that sequence."""

    epoch: int
    seq: int


class LeaderRecordNotWritten(NamedTuple):
    """Refused, or no answer: what is stored is to be read."""


LeaderRecordEvent = LeaderRecordRead | LeaderRecordUnread | LeaderRecordWritten | LeaderRecordNotWritten


def is_of(record: LeaderRecord | None, owner: LeaderRecord) -> bool:
    """True if it was written by the same coordinator for the same leadership."""
    return record is not None and (record.coordinator_id, record.epoch) == (owner.coordinator_id, owner.epoch)
