"""Who leads, decided on values: a lease kept by compare-and-set, an epoch, and the fence in the events stream.

The lease is a record in the leader bucket that the leader renews. A standby takes it over when the record has not
changed for a whole lease on the standby's own monotonic clock, so no two clocks are ever compared; or sooner, when the
server says twice in a row that the leader is not connected. The new leader then writes the leader record into the
events stream: from that moment event batches of the former leader are refused. A leader whose connection broke is not
certain of its lease until it has renewed it.
"""

from __future__ import annotations

import math

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.commands import LeaderRecord

from .leader_record import (
    LeaderRecordNotWritten,
    LeaderRecordRead,
    LeaderRecordUnread,
    LeaderRecordWritten,
    ReadLeaderRecord,
    WriteLeaderRecord,
    is_of,
)
from .lease_events import (
    FencedOut,
    GivenUp,
    Lead,
    LeaderPinged,
    LeaseConflict,
    LeaseEffect,
    LeaseEvent,
    LeaseRead,
    LeaseTick,
    LeaseUnknown,
    LeaseUnread,
    LeaseWritten,
    LinkBack,
    LinkLost,
    PingLeader,
    ProofWanted,
    Proven,
    ReadLease,
    StepDown,
    WriteLease,
)

#: Before the leader record is read again, seconds.
_PAUSE_S = 0.25
#: How often a standby pings the leader, and for how long at least the server has to say that it is not connected,
#: seconds: a connection that breaks is made again sooner.
_PING_S = 0.5
_GONE_S = 1.0


class Leadership:
    """One coordinator's part in the leadership.

    Args:
        coordinator_id: unique for each process.
        lease_s: how long an unchanged record protects its writer.
        renew_s: how often the leader renews it.
    """

    def __init__(self, coordinator_id: str, *, lease_s: float, renew_s: float, host: str = "", pid: int = 0) -> None:
        self._id = coordinator_id
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._host = host
        self._pid = pid
        self._linked = True
        #: Since when the connection stands, monotonic seconds; a lease is proven by a renewal sent later.
        self._linked_at = -math.inf
        self._waiting = False
        self._asked_at = -math.inf
        #: The record that was seen last, and when it was seen to be new; from the first reading on.
        self._seen: tuple[int, int, int] | None
        self._seen_at: float
        self._read_at = -math.inf
        #: The leader that a standby pings, when it did last, and since when the server says that it is not connected.
        self._rival = ""
        self._pinged_at = -math.inf
        self._gone_since: float | None = None
        self._revision = 0
        self._record: LeaderRecord | None = None
        #: The lease was taken where no record stood, none had been given back, and none had been watched: whoever wrote
        #: the leader record in the events stream may lead still. Until when it is respected, monotonic seconds.
        self._unseen = False
        self._respected_until: float | None = None
        #: The lease is ours, and the leader record is being written.
        self._fencing = False
        #: When the leader record is read again, monotonic seconds; None while an answer is awaited.
        self._fence_at: float | None = None
        #: Sequence of our leader record, once it is stored.
        self._fence: int | None = None
        self._leading = False
        #: When the last renewal that is stored was sent, and the last one of all; once there is one.
        self._written_at: float
        self._write_sent: float
        #: Since when a proof is wanted: only a renewal sent later is one.
        self._proof_wanted: float | None = None
        #: The youngest epoch of another leader's record, for clocks that run behind.
        self._epoch_seen = 0

    @property
    def leading(self) -> bool:
        """True from `Lead` to `StepDown`."""
        return self._leading

    @property
    def epoch(self) -> int:
        """Of this coordinator's leadership; 0 if it never led."""
        return self._record.epoch if self._record is not None else 0

    @property
    def revision(self) -> int:
        """Of this coordinator's last renewal."""
        return self._revision

    def handle(self, event: LeaseEvent, now: Now) -> list[LeaseEffect]:
        """Take in one event."""
        match event:
            case LeaseTick():
                return self._tick(now)
            case LeaseRead():
                return self._read(event, now)
            case LeaseWritten(revision):
                return self._written(revision, now)
            case LeaseConflict():
                self._waiting = False
                if self._leading:
                    # It may have been a renewal of our own that was given up for lost: the record decides.
                    return self._look(now)
                return self._down("another coordinator holds the lease") + self._look(now)
            case LeaseUnknown():
                self._waiting = False
                return self._look(now)
            case LeaseUnread():
                self._waiting = False
                return []
            case LeaderRecordRead(record, seq):
                return self._record_read(record, seq, now)
            case LeaderRecordWritten(epoch, seq):
                return self._fenced(seq, epoch, now)
            case LeaderRecordUnread() | LeaderRecordNotWritten():
                self._fence_at = now.mono + _PAUSE_S
                return []
            case LeaderPinged():
                return self._pinged(event, now)
            case FencedOut():
                return self._overtaken(now)
            case GivenUp(why):
                return self._down(why)
            case ProofWanted():
                self._proof_wanted = now.mono
                return self._renew(now) if self._leading else []
            case LinkLost():
                self._linked = False
                self._waiting = False
                self._gone_since = None
                return []
            case LinkBack():
                self._linked = True
                self._linked_at = now.mono
                self._waiting = False
                return self._renew(now) if self._leading else self._look(now)
        raise TypeError(f"unknown event {event!r}")

    def _look(self, now: Now) -> list[LeaseEffect]:
        if self._waiting or not self._linked:
            return []
        self._waiting = True
        self._asked_at = now.mono
        return [ReadLease()]

    def _tick(self, now: Now) -> list[LeaseEffect]:
        if not self._linked:
            return []
        if self._leading:
            if now.mono - self._written_at >= self._renew_s:
                return self._renew(now)
            return []
        effects: list[LeaseEffect] = []
        # Where the server itself was away, the leader has some seconds to come back as well.
        if self._rival and now.mono - max(self._pinged_at + _PING_S, self._linked_at + self._renew_s) >= 0.0:
            self._pinged_at = now.mono
            effects.append(PingLeader(self._rival))
        if self._fencing and self._fence_at is not None and now.mono >= self._fence_at:
            self._fence_at = None
            return [*effects, ReadLeaderRecord()]
        if now.mono - self._asked_at >= self._renew_s / 3:
            self._waiting = self._waiting and now.mono - self._asked_at < self._lease_s
            effects += self._look(now)
        return effects

    def _pinged(self, event: LeaderPinged, now: Now) -> list[LeaseEffect]:
        if event.coordinator_id != self._rival or event.there is not False:
            self._gone_since = None
            return []
        if self._gone_since is None:
            self._gone_since = now.mono
        return self._look(now) if self._is_gone(now) else []

    def _is_gone(self, now: Now) -> bool:
        return self._gone_since is not None and now.mono - self._gone_since >= _GONE_S

    def _renew(self, now: Now) -> list[LeaseEffect]:
        if self._waiting or not self._linked or self._record is None:
            return []
        self._waiting = True
        self._write_sent = now.mono
        self._asked_at = now.mono
        record = self._stamp(self._record.epoch, self._record.renewal + 1, now)
        self._record = record
        return [WriteLease(record, self._revision)]

    def _stamp(self, epoch: int, renewal: int, now: Now) -> LeaderRecord:
        return LeaderRecord(
            coordinator_id=self._id,
            epoch=epoch,
            renewal=renewal,
            host=self._host,
            pid=self._pid,
            at=rfc3339(now.wall),
            answers_pings=True,
        )

    def _read(self, event: LeaseRead, now: Now) -> list[LeaseEffect]:
        self._waiting = False
        gap_s, self._read_at = now.mono - self._read_at, now.mono
        if gap_s > self._lease_s / 3:
            # This process slept, or the server was away: nobody watched the record, so it may have changed.
            self._seen, self._seen_at = None, -math.inf
        record = event.record
        mine = record if record is not None and record.coordinator_id == self._id else None
        # A write whose answer was lost may have got through.
        if self._record is not None and mine is not None and mine.epoch == self._record.epoch:
            if mine.renewal == self._record.renewal:
                return self._written(event.revision, now)
            if self._leading:
                self._revision = event.revision
                return self._renew(now)
        if self._leading:
            if record is not None and record.coordinator_id != self._id:
                return self._down("another coordinator took the lease")
            self._revision = event.revision
            return self._renew(now)
        if self._record is not None and mine is None:
            # A candidate that was overtaken while it fenced.
            self._down("another coordinator took the lease")
        seen = (event.revision, record.epoch, record.renewal) if record is not None else None
        if seen is None and event.revision:
            # Bytes that are no record may have replaced a leader's record a moment ago: it has its lease.
            seen = (event.revision, 0, 0)
        rival = record.coordinator_id if record is not None and record.answers_pings else ""
        if rival != self._rival:
            self._rival, self._gone_since = rival, None
        if seen is not None and seen != self._seen:
            self._seen = seen
            self._seen_at = now.mono
            return []
        # Nothing may stand there because somebody removed the entry, or the whole bucket, of a leader that lives: it
        # writes its record again.
        protected = now.mono - self._seen_at < self._lease_s and not self._is_gone(now)
        if protected and not event.given_back:
            return []
        last = max(record.epoch if record is not None else 0, self._epoch_seen)
        epoch = max(last + 1, int(now.wall * 1000))
        self._record = self._stamp(epoch, 0, now)
        self._unseen = record is None and not event.given_back and self._seen_at == -math.inf
        self._waiting = True
        self._write_sent = now.mono
        return [WriteLease(self._record, event.revision)]

    def _written(self, revision: int, now: Now) -> list[LeaseEffect]:
        self._waiting = False
        self._revision = revision
        # The lease counts from when the write was sent: a standby may have seen it then.
        self._written_at = self._write_sent
        if self._leading:
            if self._proof_wanted is None:
                return []
            if self._write_sent < self._proof_wanted:
                # Sent before the pause that made the proof necessary.
                return self._renew(now)
            self._proof_wanted = None
            return [Proven()]
        if self._record is None:
            return []
        if self._fence is not None:
            self._leading = True
            return [Lead(self._record.epoch, self._fence, self._record)]
        if self._fencing:
            return []
        self._fencing = True
        return [ReadLeaderRecord()]

    def _record_read(self, record: LeaderRecord | None, seq: int, now: Now) -> list[LeaseEffect]:
        """Write ours over any record with a lower epoch, or over bytes that are none."""
        if not self._fencing or self._record is None:
            return []
        if is_of(record, self._record):
            # An earlier try of ours got through.
            return self._fenced(seq, self._record.epoch, now)
        if record is not None and record.epoch >= self._record.epoch:
            self._epoch_seen = max(self._epoch_seen, record.epoch)
            return self._overtaken(now)
        if record is not None and self._unseen and self._respects(record, now):
            self._fence_at = now.mono + _PAUSE_S
            return []
        return [WriteLeaderRecord(self._record, seq)]

    def _respects(self, record: LeaderRecord, now: Now) -> bool:
        """True while the writer of that leader record may still be certain of a lease whose entry was removed: it sees
        ours at its next renewal, or cannot renew and stops by itself.
        """
        if self._respected_until is None:
            self._respected_until = now.mono + self._lease_s - self._renew_s
            self._rival, self._gone_since = record.coordinator_id if record.answers_pings else "", None
        return now.mono < self._respected_until and not self._is_gone(now)

    def _overtaken(self, now: Now) -> list[LeaseEffect]:
        return self._down("another leader's record is in the events stream") + self._look(now)

    def _fenced(self, sequence: int, epoch: int, now: Now) -> list[LeaseEffect]:
        if self._leading or self._record is None or self._record.epoch != epoch:
            return []
        self._fencing = False
        self._fence = sequence
        if not self._fresh(now):
            # It took so long that a standby may have taken over.
            return self._renew(now)
        self._leading = True
        return [Lead(epoch, sequence, self._record)]

    def _down(self, why: str) -> list[LeaseEffect]:
        was_leading, self._leading = self._leading, False
        self._record = None
        self._fencing = False
        self._fence_at = None
        self._unseen = False
        self._respected_until = None
        self._gone_since = None
        self._fence = None
        self._proof_wanted = None
        self._seen = None
        return [StepDown(why)] if was_leading else []

    def certain(self, now: Now) -> bool:
        """True while no standby can have taken over: the last renewal is younger than a lease, with a margin, and than
        the connection.
        """
        return self._leading and self._linked and self._written_at >= self._linked_at and self._fresh(now)

    def _fresh(self, now: Now) -> bool:
        return now.mono - self._written_at < self._lease_s - self._renew_s / 3
