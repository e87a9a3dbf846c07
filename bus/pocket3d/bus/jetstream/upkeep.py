"""Consumers that somebody removed: what the topology says of them, and where they stood, to make them again."""

from __future__ import annotations

import structlog

from ..port import CONSUMER_NOT_FOUND, BusError, ConsumerName, Refused
from ..topology import ConsumerSpec, Topology
from .ensure import ensure_consumer
from .reader import Answer, Reader

log = structlog.get_logger(__name__)


class Position:
    """Which messages of a stream that keeps them have been delivered, and which of those are not acked."""

    def __init__(self) -> None:
        self._unacked: set[int] = set()
        self._last = 0

    def delivered(self, seq: int) -> None:
        """A message was handed over."""
        self._unacked.add(seq)
        self._last = max(self._last, seq)

    def acked(self, seq: int) -> None:
        """It needs no second delivery."""
        self._unacked.discard(seq)

    def all_acked_up_to(self, seq: int) -> None:
        """Nothing up to that sequence needs another delivery."""
        self._last = max(self._last, seq)

    @property
    def first(self) -> int:
        """The first message that is still to be delivered or acked; 1 while nothing is known."""
        return min(self._unacked, default=self._last + 1)


class ConsumerUpkeep:
    """Makes consumers of the topology again. One for each connection.

    Args:
        reader: speaks to the server.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._specs: dict[tuple[str, str], ConsumerSpec] = {}
        #: Of consumers on streams that keep what is acked: a work queue has only what is not.
        self._positions: dict[tuple[str, str], Position] = {}
        self._missing: set[tuple[str, str]] = set()

    def declare(self, topology: Topology) -> None:
        """These are to be there from now on."""
        queues = {stream.name for stream in topology.streams if stream.retention == "workqueue"}
        for spec in topology.consumers:
            key = (spec.stream, spec.name)
            self._specs[key] = spec
            if spec.stream not in queues:
                self._positions.setdefault(key, Position())

    def position(self, consumer: ConsumerName) -> Position | None:
        """Where a declared consumer stands, if its stream keeps what is acked."""
        return self._positions.get((consumer.stream, consumer.name))

    async def restore(self, consumer: ConsumerName) -> None:
        """Look whether the consumer is there, and make it again if it is not and was declared. Says so once.

        What was not acked is delivered again; the acked messages of a stream that keeps them are not.
        """
        key = (consumer.stream, consumer.name)
        try:
            await self._reader.backlog(consumer)
        except Refused as error:
            if error.code != CONSUMER_NOT_FOUND:
                log.debug("a consumer cannot be looked at", consumer=consumer.name, error=str(error))
                return
        except BusError as error:
            log.debug("a consumer cannot be looked at", consumer=consumer.name, error=str(error))
            return
        else:
            self._missing.discard(key)
            return
        spec = self._specs.get(key)
        if key not in self._missing:
            self._missing.add(key)
            log.warning(
                "a consumer was removed from the server; " + ("it is made again" if spec else "waiting for another"),
                stream=consumer.stream,
                consumer=consumer.name,
            )
        if spec is None:
            return
        try:
            await ensure_consumer(self._reader, spec)
            await self._go_on(consumer)
        except BusError as error:
            log.debug("a consumer could not be made again yet", consumer=consumer.name, error=str(error))

    async def _go_on(self, consumer: ConsumerName) -> None:
        position = self.position(consumer)
        if position is None or position.first <= 1:
            return
        verb = f"CONSUMER.RESET.{consumer.stream}.{consumer.name}"
        what = f"start consumer {consumer.name} on {consumer.stream} where it stood"
        await self._reader.ask(verb, {"seq": position.first}, Answer, what)
