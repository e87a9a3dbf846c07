"""One endless pull from a durable consumer in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from ..port import BatchHandler, Closable, ConsumerName, Refused
from ..topology import ConsumerSpec, Topology
from .clock import Timer
from .stream import MemoryConsumer
from .subscription import Connected

log = structlog.get_logger(__name__)


class Consuming(Connected, Protocol):
    """What a consumption needs of its connection besides."""

    declared: dict[tuple[str, str], ConsumerSpec]

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call back on loss and return."""

    def off_connection(self, callback: Callable[[bool], None]) -> None:
        """Call it no more."""


#: Until it is asked again whether to take messages, seconds.
_NOT_ALLOWED_PAUSE_S = 0.1


class MemoryConsumption(Closable):
    """Hands batches to a handler until closed."""

    def __init__(
        self,
        bus: Consuming,
        consumer: ConsumerName,
        handler: BatchHandler,
        batch: int,
        allowed: Callable[[], bool] | None = None,
    ) -> None:
        self._bus = bus
        self._name = consumer
        self._handler = handler
        self._batch = batch
        self._allowed = allowed
        self._news = asyncio.Event()
        self._closed = False
        #: It was said that the group is not the consumer's.
        self._refused = False
        bus.on_connection(self._on_connection)
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """End it once the handler is done with its batch."""
        if self._closed:
            return
        self._closed = True
        self._news.set()
        self._bus.off_connection(self._on_connection)
        self._bus.forget(self)
        if asyncio.current_task() is not self._task:
            await asyncio.wait({self._task})

    def _on_connection(self, up: bool) -> None:
        self._news.set()

    async def _run(self) -> None:
        consumer: MemoryConsumer | None = None
        try:
            while not self._closed:
                self._news.clear()
                consumer = self._find(consumer)
                taken = []
                if consumer is not None and self._bus.connected and self._may_take():
                    taken = consumer.take(self._batch, self._bus.server.clock.time())
                if not taken:
                    await self._wait(consumer)
                    continue
                try:
                    await self._handler(taken)
                except Exception:
                    # A handler's error must not end the consumption; the batch comes again after the ack wait.
                    log.exception("a batch handler failed", consumer=self._name.name, first=taken[0].message.seq)
                await asyncio.sleep(0)
        finally:
            if consumer is not None:
                consumer.listeners.discard(self._news.set)

    def _find(self, before: MemoryConsumer | None) -> MemoryConsumer | None:
        """The consumer of now: it may not be there yet, or be another one since."""
        try:
            consumer = self._bus.server.consumer(self._name)
        except Refused:
            return self._restore(before)
        if consumer is not before:
            consumer.listeners.add(self._news.set)
        if consumer.config.get("priority_groups", [self._name.group]) != [self._name.group]:
            if not self._refused:
                log.warning("pull refused: the consumer has another priority group", consumer=self._name.name)
            self._refused = True
            return None
        return consumer

    def _restore(self, before: MemoryConsumer | None) -> MemoryConsumer | None:
        """Make a consumer again that somebody removed, as it stood, if `ensure` was told of it."""
        spec = self._bus.declared.get((self._name.stream, self._name.name))
        if spec is None or before is None or not self._bus.connected or not self._may_take():
            return None
        log.warning(
            "a consumer was removed from the server; it is made again",
            stream=self._name.stream,
            consumer=self._name.name,
        )
        self._bus.server.ensure(Topology(consumers=(spec,)))
        consumer = self._bus.server.consumer(self._name)
        consumer.go_on_from(before)
        consumer.listeners.add(self._news.set)
        return consumer

    def _may_take(self) -> bool:
        return self._allowed is None or self._allowed()

    async def _wait(self, consumer: MemoryConsumer | None) -> None:
        """Until there is news, or the first un-acked message is due again."""
        clock = self._bus.server.clock
        due = consumer.next_deadline() if consumer is not None else clock.time() + 1
        if not self._may_take():
            due = clock.time() + _NOT_ALLOWED_PAUSE_S
        timer: Timer | None = clock.call_at(due, self._news.set) if due is not None else None
        await self._news.wait()
        if timer is not None:
            timer.cancel()
