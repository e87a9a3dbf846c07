"""The bus of a simulated process: the memory bus, behind a network that loses, delays and repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.subscription import MemorySubscription
from pocket3d.bus.port import (
    Append,
    BatchHandler,
    BusError,
    Closable,
    ConsumerName,
    Handler,
    Msg,
    NoResponders,
    ObjectInfo,
    OutcomeUnknown,
)

from .network import Link, refuse, settle
from .pulls import Pulls, SimulatedConsumption

T = TypeVar("T")

#: A confirmed ack is asked for again and again, so long, seconds.
_ACK_S = 5.0
_ACK_PAUSE_S = 0.5
#: Moving a file takes up to so long, seconds.
_TRANSFER_S = 1.2


class SimulatedBus(MemoryBus):
    """One connection of one life of a process."""

    def __init__(self, link: Link, pulls: Pulls) -> None:
        super().__init__(link.network.server)
        self.link = link
        link.callbacks = self._callbacks
        self._pulls = pulls

    # -- the connection

    @property
    def connected(self) -> bool:
        """What the client library believes."""
        return self.link.connected

    async def _ask(self, operation: Callable[[], T], *, timeout: float = 5.0, write: Append | None = None) -> T:
        network = self.link.network
        if not self.link.stores:
            operation = _no_store
        if write is None:
            return await self.link.ask(operation, timeout)
        self._may_send(write.data, write.headers)
        if write.expect is not None:
            operation = network.guarded(operation)
        return await self.link.ask(operation, timeout, extra_s=network.write_delay())

    # -- core messages

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """As `Bus.publish`."""
        self._may_send(data, headers)
        self._send(Msg(subject, bytes(data), dict(headers or {}), ""))

    def _send(self, msg: Msg, unheard: Callable[[], object] = lambda: None) -> None:
        def hand_on() -> None:
            self.link.network.sender = self.link.name
            self.link.network.witness(msg.subject, msg.data)
            if not self.server.publish(msg):
                unheard()

        network = self.link.network
        if not network.loses():
            self.link.there(hand_on, subject=msg.subject)
        if not msg.reply and network.strikes(network.faults.duplicate):
            self.link.there(hand_on, subject=msg.subject)

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """As `Bus.request`."""
        self._may_send(data, headers)
        future = self.link.pending()
        inbox = _Inbox(f"_INBOX.{self.server.number()}", self.link, future)
        if not self.link.network.loses_answer(subject, data):
            self.server.listen(inbox)
        nobody = NoResponders(f"nobody listens on {subject}")
        self._send(
            Msg(subject, bytes(data), dict(headers or {}), inbox.subject),
            lambda: self.link.back(refuse, future, nobody),
        )
        try:
            answer: Msg = await self.link.outcome(future, timeout)
            return answer
        finally:
            self.server.unlisten(inbox)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Closable:
        """As `Bus.subscribe`."""
        self._may_send()
        subscription = _Subscription(self, subject, queue, handler)
        self._open.append(subscription)
        try:
            await self.link.ask(lambda: self.server.listen(subscription), 5.0, sure=True)
        except BusError:
            await subscription.close()
            raise
        return subscription

    # -- consumers

    async def consume(
        self,
        consumer: ConsumerName,
        handler: BatchHandler,
        *,
        batch: int = 256,
        allowed: Callable[[], bool] | None = None,
    ) -> Closable:
        """As `Bus.consume`."""
        self._may_send()
        spec = self.declared.get((consumer.stream, consumer.name))
        consumption = SimulatedConsumption(self.link, self._pulls, consumer, handler, batch, allowed, spec)
        self._open.append(consumption)
        return consumption

    async def ack(self, consumer: ConsumerName, delivery_seq: int) -> None:
        """As `Bus.ack`: the server is silent about what it has not delivered, so it is asked again."""
        self._may_send()
        loop = self.link.network.loop
        deadline = loop.time() + _ACK_S
        while loop.time() < deadline:
            late_s = self.link.network.write_delay()
            if await self.link.ask(
                lambda: self.server.consumer(consumer).ack(delivery_seq), deadline - loop.time(), extra_s=late_s
            ):
                return
            await asyncio.sleep(_ACK_PAUSE_S)
        raise OutcomeUnknown(f"ack of {delivery_seq} on {consumer.stream} was not confirmed")

    async def take_over(self, consumer: ConsumerName) -> None:
        """As `Bus.take_over`."""

        def take() -> None:
            self._pulls.end(consumer)
            self.server.consumer(consumer).reset()

        await self._ask(take)

    # -- artifacts

    async def put_object(
        self, bucket: str, name: str, source: Path | bytes, *, headers: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """As `Bus.put_object`."""
        # If it does not get to its end, its chunks are left: whoever dies does not purge them.
        half, upload = self.server.half_uploads.setdefault(bucket, {}), f"half-{self.server.number()}"
        half[upload] = 1
        await asyncio.sleep(self.link.network.rng.uniform(0.0, _TRANSFER_S))
        stored = await super().put_object(bucket, name, source, headers=headers)
        half.pop(upload, None)
        return stored

    async def get_object(self, bucket: str, name: str, target: Path) -> ObjectInfo:
        """As `Bus.get_object`."""
        await asyncio.sleep(self.link.network.rng.uniform(0.0, _TRANSFER_S))
        return await super().get_object(bucket, name, target)


def _no_store() -> NoReturn:
    raise NoResponders("nobody listens on $JS.API")


class _Subscription(MemorySubscription):
    """Interest of a process in a subject, as the server knows it."""

    def __init__(self, bus: SimulatedBus, subject: str, queue: str, handler: Handler) -> None:
        super().__init__(bus, subject, queue, handler)
        self._link = bus.link

    @property
    def listening(self) -> bool:
        return self._link.open

    def deliver(self, msg: Msg) -> None:
        self._link.back(super().deliver, msg, subject=msg.subject, sender=self._link.network.sender)


class _Inbox:
    """Where one request's answer goes."""

    queue = ""

    def __init__(self, subject: str, link: Link, future: asyncio.Future[Msg]) -> None:
        self.subject = subject
        self._link = link
        self._future = future

    @property
    def listening(self) -> bool:
        return self._link.open

    def deliver(self, msg: Msg) -> None:
        self._link.back(settle, self._future, msg)
