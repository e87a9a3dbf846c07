"""What the engine of chains asks for. Each of the first three may be done any number of times with one outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pocket3d.contracts.chain_messages import ChainEventWord, ChainStatus, GroupStatus

from .record import ChainKey


class StartStep(NamedTuple):
    """Publish the job of a step, unless it is published or has ended.

    Answered by `JobEnded`, `StepStarted`, `StepRefused` or `StepUnstarted`.
    """

    key: ChainKey
    #: Of the request in the chains stream.
    seq: int
    #: Of the step in the request.
    place: int
    job_id: str
    #: Job ids of the steps whose files it takes, by their names.
    sources: Mapping[str, str]


class CancelJob(NamedTuple):
    """End the job of a step. Asked for again until its result is there."""

    job_id: str
    reason: str


class ReadChain(NamedTuple):
    """Read what the chains stream holds of one. Answered by `ChainFound` or `ChainUnread`."""

    key: ChainKey


class StoreEvent(NamedTuple):
    """Store an event behind the one with the sequence `last`, or not at all.

    Answered by `EventStored`, `EventInDoubt` or `ChainUnread`.
    """

    key: ChainKey
    event: ChainEventWord
    status: ChainStatus | GroupStatus
    last: int


class Answer(NamedTuple):
    """What somebody asked for is stored, or not needed any more."""

    ask: int


ChainEffect = StartStep | CancelJob | ReadChain | StoreEvent | Answer
