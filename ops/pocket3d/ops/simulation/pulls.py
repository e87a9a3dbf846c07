"""Durable pull consumers over the simulated network: who has asked the server for messages, and who gets them.

A process that stands still, or whose link is dead without anybody having noticed, has its pull open all the same: what
the server sends it then waits in its socket or is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from pocket3d.bus.memory.stream import MemoryConsumer
from pocket3d.bus.port import BatchHandler, BusError, Closable, ConsumerName, Delivery, Refused
from pocket3d.bus.topology import ConsumerSpec, Topology

from .network import Link, Network

log = structlog.get_logger(__name__)

#: The server keeps a pull that long when nothing comes, seconds; the client asks again a moment later.
_EXPIRES_S = 30.0
_MARGIN_S = 1.0
#: A handler gets so long to finish when its consumption is closed, seconds.
_HANDLER_S = 5.0
#: Until it is asked again whether to pull, seconds.
_PAUSE_S = 0.1
#: Between pulls that are refused, until it is looked why, and for the look, seconds.
_REFUSED_PAUSE_S = 1.0
_REFUSED_S = 2.0
_RESTORE_S = 5.0


class Pull(NamedTuple):
    """One request for messages, as the server holds it."""

    link: Link
    batch: int
    until: float
    arrive: Callable[[Sequence[Delivery]], None]
    #: There is no such consumer (any more).
    refuse: Callable[[], None]


class Pulls:
    """The server's account of open pulls."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._server = network.server
        self._open: dict[ConsumerName, list[Pull]] = {}
        self._listening: dict[ConsumerName, MemoryConsumer] = {}
        self._timers: dict[ConsumerName, asyncio.TimerHandle] = {}
        #: For scenarios: deliveries of a stream take so much longer, seconds.
        self.slow_s: dict[str, float] = {}

    def add(self, name: ConsumerName, pull: Pull) -> None:
        """A pull has come."""
        self._open.setdefault(name, []).append(pull)
        try:
            consumer = self._server.consumer(name)
        except Refused:
            self._refuse(name)
            return
        if self._listening.get(name) is not consumer:
            self._listening[name] = consumer
            consumer.listeners.add(lambda: self._serve(name, consumer))
        self._serve(name, consumer)

    def _refuse(self, name: ConsumerName) -> None:
        for pull in self._open.pop(name, []):
            pull.link.back(pull.refuse)

    def restore(self, name: ConsumerName, spec: ConsumerSpec) -> None:
        """Make a removed consumer again, where it stood."""
        if name.name in self._server.stream(name.stream).consumers:
            return
        self._server.ensure(Topology(consumers=(spec,)))
        if name in self._listening:
            self._server.consumer(name).go_on_from(self._listening[name])

    def end(self, name: ConsumerName) -> None:
        """Somebody takes the consumer over: whoever is awake hears that its pull has ended, and asks again."""
        for pull in self._open.pop(name, []):
            pull.link.back(pull.arrive, ())

    def give_back(self, name: ConsumerName, seqs: Sequence[int]) -> None:
        """Negative acks of what a process pulled and does not want any more."""
        for seq in seqs:
            self._server.consumer(name).give_back(seq, self._server.clock.time())

    def _serve(self, name: ConsumerName, consumer: MemoryConsumer) -> None:
        """Hand what is due to those who pull; of several, to any."""
        if self._server.stream(name.stream).consumers.get(name.name) is not consumer:
            self._refuse(name)
            return
        now = self._network.loop.time()
        while self._network.server_up:
            pulls = self._open[name] = [p for p in self._open.get(name, []) if p.link.open and now < p.until]
            if not pulls:
                return
            pull = self._network.rng.choice(pulls)
            taken = consumer.take(pull.batch, self._server.clock.time())
            if not taken:
                self._wait_for_overdue(name, consumer)
                return
            pulls.remove(pull)
            hand_over = partial(pull.link.back, pull.arrive, taken, subject=f"{name.stream} {name.name}")
            if name.stream in self.slow_s:
                self._network.later(self.slow_s[name.stream], hand_over)
            else:
                hand_over()

    def _wait_for_overdue(self, name: ConsumerName, consumer: MemoryConsumer) -> None:
        due = consumer.next_deadline()
        if due is None:
            return
        if name in self._timers:
            self._timers[name].cancel()
        wait = max(due - self._server.clock.time(), 0.001)
        self._timers[name] = self._network.later(wait, lambda: self._serve(name, consumer))


class SimulatedConsumption(Closable):
    """One process pulls, again and again, until closed."""

    def __init__(
        self,
        link: Link,
        pulls: Pulls,
        consumer: ConsumerName,
        handler: BatchHandler,
        batch: int,
        allowed: Callable[[], bool] | None,
        spec: ConsumerSpec | None,
    ) -> None:
        self._spec = spec
        #: When pulls began to be refused.
        self._refused_since: float | None = None
        self._link = link
        self._pulls = pulls
        self._name = consumer
        self._handler = handler
        self._batch = batch
        self._allowed = allowed
        self._closed = False
        self._buffer: list[Delivery] = []
        #: True while the server is believed to hold a pull of ours.
        self._asked = False
        self._news = asyncio.Event()
        link.callbacks.append(self._on_connection)
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """End it once the handler is done with its batch: what was pulled and not handled goes back to the server."""
        if self._closed:
            return
        self._closed = True
        self._news.set()
        self._link.callbacks.remove(self._on_connection)
        if asyncio.current_task() is not self._task:
            await asyncio.wait({self._task}, timeout=_HANDLER_S)
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task})
        self._give_back()

    def _give_back(self) -> None:
        given, self._buffer = self._buffer, []
        if given:
            self._link.there(lambda: self._pulls.give_back(self._name, [each.message.seq for each in given]))

    def _on_connection(self, up: bool) -> None:
        # The server forgot the pull, or its answers went to the connection before.
        self._asked = False
        self._news.set()

    def _arrive(self, taken: Sequence[Delivery]) -> None:
        self._asked = False
        self._refused_since = None
        self._buffer += taken
        self._news.set()
        if self._closed:
            self._give_back()

    def _refuse(self) -> None:
        self._asked = False
        if self._refused_since is None:
            self._refused_since = self._link.network.loop.time()
        self._news.set()

    async def _restore(self) -> None:
        """As the product's own pull loop does it: it is looked at what is refused for a while."""
        since, spec = self._refused_since, self._spec
        if since is None:
            return
        await asyncio.sleep(_REFUSED_PAUSE_S)
        if spec is not None and self._link.network.loop.time() - since >= _REFUSED_S:
            self._refused_since = None
            try:
                await self._link.ask(lambda: self._pulls.restore(self._name, spec), _RESTORE_S)
            except BusError as error:
                log.debug("a consumer could not be made again yet", consumer=self._name.name, error=str(error))

    async def _run(self) -> None:
        while not self._closed:
            self._news.clear()
            if self._buffer:
                batch, self._buffer = self._buffer[: self._batch], self._buffer[self._batch :]
                try:
                    await self._handler(batch)
                except Exception:  # a handler's error must not end the consumption; the server redelivers
                    log.exception("a batch handler failed", consumer=self._name.name, first=batch[0].message.seq)
            elif self._asked or not self._link.connected:
                await self._wait(_EXPIRES_S + _MARGIN_S)
            elif self._allowed is not None and not self._allowed():
                await self._wait(_PAUSE_S)
            else:
                await self._restore()
                self._ask()

    def _ask(self) -> None:
        self._asked = True
        pull = Pull(self._link, self._batch, self._link.network.loop.time() + _EXPIRES_S, self._arrive, self._refuse)
        self._link.there(lambda: self._pulls.add(self._name, pull), subject=f"{self._name.stream} {self._name.name}")

    async def _wait(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        try:
            await self._news.wait()
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._asked = False
        self._news.set()
