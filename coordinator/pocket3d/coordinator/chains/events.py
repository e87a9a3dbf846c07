"""What the engine of chains learns: what the chains stream holds, and what became of jobs."""

from __future__ import annotations

from typing import NamedTuple

from .record import ChainKey, ChainRecord, Failure, StepState


class ChainFound(NamedTuple):
    """What the chains stream holds of one: it was just submitted, or is read when the lead is taken or in doubt."""

    key: ChainKey
    #: None: nothing of it, or it has ended.
    record: ChainRecord | None


class JobEnded(NamedTuple):
    """A job has its result."""

    job_id: str
    #: How its step ends.
    state: StepState
    failure: Failure | None


class StepStarted(NamedTuple):
    """The job of a step is stored, now or before."""

    key: ChainKey
    job_id: str


class StepRefused(NamedTuple):
    """The job of a step cannot be stored, and never will be."""

    key: ChainKey
    job_id: str
    failure: Failure


class StepUnstarted(NamedTuple):
    """The job of a step could not be stored yet."""

    key: ChainKey
    job_id: str


class EventStored(NamedTuple):
    """The event that was asked for is stored."""

    key: ChainKey
    seq: int


class EventInDoubt(NamedTuple):
    """It may be stored or not, or another wrote before."""

    key: ChainKey


class ChainUnread(NamedTuple):
    """The chains stream could not be read, or written to, yet."""

    key: ChainKey


class CancelAsked(NamedTuple):
    """Somebody wants the whole ended, and waits for the answer `ask`."""

    key: ChainKey
    reason: str
    ask: int


class RetryAsked(NamedTuple):
    """Somebody wants one that has ended tried again, and waits for the answer `ask`."""

    #: As the stream holds it.
    record: ChainRecord
    ask: int


class Tick(NamedTuple):
    """Time passes."""


ChainEvent = (
    ChainFound
    | JobEnded
    | StepStarted
    | StepRefused
    | StepUnstarted
    | EventStored
    | EventInDoubt
    | ChainUnread
    | CancelAsked
    | RetryAsked
    | Tick
)
