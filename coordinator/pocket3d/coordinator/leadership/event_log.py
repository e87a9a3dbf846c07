"""Events on their way to the stream: in order, in atomic batches, one in flight, each fenced by the leader record.

Pure: effects go out, their answers come in.

A batch without an answer may still be stored at any time (a dead connection's last bytes, a slow proposal), also after
it was sent again, and then would store a job's older events behind the newer ones. So the leader record is written anew
first: what carries the former fence is refused from then on, and what is read back is final.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import NamedTuple

from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import LeaderRecord

from ..engine.effects import PublishEvent
from .leader_record import (
    LeaderRecordEvent,
    LeaderRecordNotWritten,
    LeaderRecordRead,
    LeaderRecordUnread,
    LeaderRecordWritten,
    ReadLeaderRecord,
    WriteLeaderRecord,
    is_of,
)
from .message_limits import fit_status, room_of

#: Most events of one batch; the server takes 1,000.
MOST_EVENTS = 500
#: Most bytes of one batch.
MOST_BYTES = 768 * 1024
#: Before anything is tried again, seconds.
PAUSE_S = 0.2


class AppendBatch(NamedTuple):
    """Store these events, all or none, expecting the leader record with sequence `fence` to be the latest: answered by
    `BatchStored`, `BatchConflict`, `BatchUnknown` or `BatchUnsent`.
    """

    #: The batch's own name, by which it is recognised when it is read back.
    name: str
    events: tuple[PublishEvent, ...]
    #: What is stored of each event.
    bodies: tuple[bytes, ...]
    fence: int


class ReadBatchEnd(NamedTuple):
    """Read the newest message on the subject of a batch's last event: answered by `BatchEndRead` or
    `BatchEndUnread`.
    """

    event: PublishEvent


class FencedOut(NamedTuple):
    """Another leads: nothing more is stored by this one."""


class EventsAreStored(NamedTuple):
    """These events are stored."""

    events: tuple[PublishEvent, ...]


class BatchStored(NamedTuple):
    """The batch is stored."""


class BatchConflict(NamedTuple):
    """The fence does not hold, or the batch was stored already."""


class BatchUnknown(NamedTuple):
    """No answer: the batch may be stored, now or later."""


class BatchUnsent(NamedTuple):
    """The batch was not stored and will not be: no connection, or the server refused it."""

    error: str


class BatchEndRead(NamedTuple):
    """The name of the batch that the newest message belongs to; None if there is no message, or it names none."""

    name: str | None


class BatchEndUnread(NamedTuple):
    """The events stream did not answer."""


LogEvent = BatchStored | BatchConflict | BatchUnknown | BatchUnsent | BatchEndRead | BatchEndUnread | LeaderRecordEvent
LogEffect = AppendBatch | ReadBatchEnd | ReadLeaderRecord | WriteLeaderRecord | FencedOut | EventsAreStored


class _Step(Enum):
    """What the batch in flight waits for."""

    #: The answer to its append.
    APPEND = "append"
    #: Its last event, read back: is it stored?
    READ_BACK = "read back"
    #: The leader record, after a conflict: does our fence still hold?
    CHECK_FENCE = "check fence"
    #: The leader record, read to be written anew.
    READ_FENCE = "read fence"
    #: The answer to the writing of the leader record.
    WRITE_FENCE = "write fence"


class EventLog:
    """The queue of events and the one batch in flight. Stops for good when the fence says that another leads.

    Args:
        record: this leader's record.
        fence: its sequence in the events stream.
    """

    def __init__(self, record: LeaderRecord, fence: int, max_payload: int) -> None:
        self._record = record
        self.fence = fence
        #: Largest message that the server takes, bytes.
        self.max_payload = max_payload
        self._waiting: deque[PublishEvent] = deque()
        self._batch: AppendBatch | None = None
        self._batches = 0
        #: Of the batch in flight.
        self._step: _Step
        #: Known when it is read back: the fence was written anew since it was sent, so what is found is final.
        self._fence_checked: bool
        #: When the present step is tried again, monotonic seconds; None while an answer is awaited.
        self.resume_at: float | None = None
        self.fenced_out = False

    @property
    def waiting(self) -> int:
        """Events that are not stored yet."""
        return len(self._waiting) + (len(self._batch.events) if self._batch is not None else 0)

    def put(self, event: PublishEvent) -> None:
        """Queue an event; `begin` sends it when its turn comes."""
        self._waiting.append(event)

    @property
    def may_begin(self) -> bool:
        """True if something waits and nothing is in flight."""
        return bool(self._waiting) and self._batch is None and not self.fenced_out

    def begin(self) -> list[LogEffect]:
        """Send the next batch, unless one is in flight or nothing waits."""
        if not self.may_begin:
            return []
        self._batches += 1
        events: list[PublishEvent] = []
        bodies: list[bytes] = []
        size = 0
        room = room_of(self.max_payload)
        while self._waiting and len(events) < MOST_EVENTS:
            body = encode(fit_status(self._waiting[0].status, room))
            if events and size + len(body) > MOST_BYTES:
                break
            size += len(body)
            events.append(self._waiting.popleft())
            bodies.append(body)
        name = f"{self._record.coordinator_id}-{self._record.epoch}-{self._batches}"
        self._batch = AppendBatch(name, tuple(events), tuple(bodies), self.fence)
        self._step = _Step.APPEND
        return [self._batch]

    def resume(self, now_mono: float) -> list[LogEffect]:
        """Try the present step again if its pause is over."""
        if self.resume_at is None or now_mono < self.resume_at or self._batch is None:
            return []
        self.resume_at = None
        if self._step is _Step.APPEND:
            return [self._batch]
        if self._step is _Step.READ_BACK:
            return [ReadBatchEnd(self._batch.events[-1])]
        if self._step is _Step.WRITE_FENCE:
            # It may have got through.
            self._step = _Step.READ_FENCE
        return [ReadLeaderRecord()]

    def _pause(self, now_mono: float) -> list[LogEffect]:
        self.resume_at = now_mono + PAUSE_S
        return []

    def handle(self, event: LogEvent, now_mono: float) -> list[LogEffect]:
        """Take in the answer to the effect in flight."""
        batch = self._batch
        if batch is None or self.fenced_out or self.resume_at is not None:
            return []
        match event:
            case BatchStored():
                return self._stored(batch)
            case BatchConflict():
                # Ours may be stored already, or another leader's record is.
                self._fence_checked = False
                self._step = _Step.READ_BACK
                return [ReadBatchEnd(batch.events[-1])]
            case BatchUnknown():
                self._step = _Step.READ_FENCE
                return [ReadLeaderRecord()]
            case BatchUnsent():
                # Encoded anew: a reconnect may have led to a server that takes less.
                self._batch = batch._replace(bodies=self._bodies(batch))
                return self._pause(now_mono)
            case BatchEndRead(name):
                return self._read_back(batch, name, now_mono)
            case LeaderRecordRead(record, seq):
                return self._fence_read(batch, record, seq, now_mono)
            case LeaderRecordWritten(_, seq):
                return self._fence_renewed(batch, seq)
            case BatchEndUnread() | LeaderRecordUnread() | LeaderRecordNotWritten():
                return self._pause(now_mono)
        raise TypeError(f"unknown event {event!r}")

    def _bodies(self, batch: AppendBatch) -> tuple[bytes, ...]:
        room = room_of(self.max_payload)
        return tuple(encode(fit_status(event.status, room)) for event in batch.events)

    def _stored(self, batch: AppendBatch) -> list[LogEffect]:
        self._batch = None
        return [EventsAreStored(batch.events), *self.begin()]

    def _read_back(self, batch: AppendBatch, name: str | None, now_mono: float) -> list[LogEffect]:
        if name == batch.name:
            return self._stored(batch)
        if self._fence_checked:
            # Not stored, and never will be with its former fence.
            self._batch = batch._replace(fence=self.fence)
            self._step = _Step.APPEND
            return self._pause(now_mono)
        self._step = _Step.CHECK_FENCE
        return [ReadLeaderRecord()]

    def _fence_read(
        self, batch: AppendBatch, record: LeaderRecord | None, seq: int, now_mono: float
    ) -> list[LogEffect]:
        if self._step is _Step.CHECK_FENCE:
            if seq != self.fence:
                return self._fall()
            # The fence holds, so it was a rival in process: again.
            self._step = _Step.APPEND
            return self._pause(now_mono)
        if seq != self.fence:
            # An earlier try to write it anew may have got through.
            return self._fence_renewed(batch, seq) if is_of(record, self._record) else self._fall()
        self._step = _Step.WRITE_FENCE
        return [WriteLeaderRecord(self._record, seq)]

    def _fence_renewed(self, batch: AppendBatch, seq: int) -> list[LogEffect]:
        self.fence = seq
        self._fence_checked = True
        self._step = _Step.READ_BACK
        return [ReadBatchEnd(batch.events[-1])]

    def _fall(self) -> list[LogEffect]:
        self.fenced_out = True
        return [FencedOut()]
