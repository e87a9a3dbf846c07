"""Answers of the bus that the engine never sees: its shell makes others of them, counts, or asks again."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..engine.effects import ConsumerKey, PublishQueuedBatch
from ..engine.events import Event


class QueuedBatchStored(NamedTuple):
    """All first events of the batch were admitted: their ids are new."""

    batch: PublishQueuedBatch


class QueuedBatchConflict(NamedTuple):
    """The batch was refused: the events stream knows one of its ids at least."""

    batch: PublishQueuedBatch


class QueuedBatchUnknown(NamedTuple):
    """No answer: the first events of the batch may all be stored, or none."""

    batch: PublishQueuedBatch


FirstEventsOutcome = QueuedBatchStored | QueuedBatchConflict | QueuedBatchUnknown


class ResultAcked(NamedTuple):
    """The results consumer will not hand that message over again."""

    seq: int


class RequestRead(NamedTuple):
    """The jobs stream was read at a sequence: the message, or None if it is gone."""

    seq: int
    data: bytes | None


class BacklogCounted(NamedTuple):
    """So many messages are not acked on that consumer."""

    consumer: ConsumerKey
    unacked: int


class BacklogUncounted(NamedTuple):
    """The server did not say."""

    consumer: ConsumerKey


class MessagesCounted(NamedTuple):
    """So many messages are in the jobs stream; None where the server did not say."""

    messages: int | None


class EffectFailed(NamedTuple):
    """An effect could not be carried out, or its answer was lost; it may be repeated as it is."""

    effect: Any
    error: str


#: What the bus answers to effects of the engine.
BusAnswer = (
    Event
    | FirstEventsOutcome
    | ResultAcked
    | RequestRead
    | BacklogCounted
    | BacklogUncounted
    | MessagesCounted
    | EffectFailed
)
