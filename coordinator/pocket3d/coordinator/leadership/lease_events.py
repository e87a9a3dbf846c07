"""What happens to a leadership, and what it asks for in answer: the events and effects of `lease.Leadership`."""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.commands import LeaderRecord

from .leader_record import LeaderRecordEvent, ReadLeaderRecord, WriteLeaderRecord


class LeaseRead(NamedTuple):
    """What the leader bucket holds; None for nothing (revision 0), or for bytes that are no record."""

    record: LeaderRecord | None
    revision: int
    #: There is nothing because the leader gave the lease back.
    given_back: bool = False


class LeaseWritten(NamedTuple):
    """Our compare-and-set went through."""

    revision: int


class LeaseConflict(NamedTuple):
    """Somebody else's came first."""


class LeaseUnknown(NamedTuple):
    """No answer: it may have been written."""


class LeaseUnread(NamedTuple):
    """The leader bucket could not be read."""


class FencedOut(NamedTuple):
    """A batch of events was refused: another leader wrote its record."""


class GivenUp(NamedTuple):
    """Lead no more. The lease is given back meanwhile."""

    why: str


class LeaderPinged(NamedTuple):
    """What came of `PingLeader`."""

    coordinator_id: str
    #: False: the server says that it is not connected. None: no answer, which says nothing.
    there: bool | None


class ProofWanted(NamedTuple):
    """Renew now, and say so."""


class LinkLost(NamedTuple):
    """The connection is gone."""


class LinkBack(NamedTuple):
    """The connection is back."""


class LeaseTick(NamedTuple):
    """Time passed."""


LeaseEvent = (
    LeaseRead
    | LeaseWritten
    | LeaseConflict
    | LeaseUnknown
    | LeaseUnread
    | FencedOut
    | GivenUp
    | LeaderRecordEvent
    | LeaderPinged
    | ProofWanted
    | LinkLost
    | LinkBack
    | LeaseTick
)


class ReadLease(NamedTuple):
    """Read the leader bucket: answered by `LeaseRead`."""


class WriteLease(NamedTuple):
    """Compare-and-set the lease: answered by `LeaseWritten`, `LeaseConflict` or `LeaseUnknown`."""

    record: LeaderRecord
    last: int


class PingLeader(NamedTuple):
    """Ask a coordinator for a sign of life: answered by `LeaderPinged`."""

    coordinator_id: str


class Lead(NamedTuple):
    """Lead from now on."""

    epoch: int
    #: Sequence of the leader record in the events stream.
    fence: int
    record: LeaderRecord


class StepDown(NamedTuple):
    """Lead no more."""

    why: str


class Proven(NamedTuple):
    """The leadership was renewed just now."""


LeaseEffect = ReadLease | WriteLease | PingLeader | ReadLeaderRecord | WriteLeaderRecord | Lead | StepDown | Proven
