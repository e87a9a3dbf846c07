"""The bus in memory: the same promises as JetStream's, for tests and simulations, without a server or real timers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog

from ..jetstream.objects.layout import CHUNK_BYTES
from ..jetstream.publisher import check_batch
from ..kv import KvOnStreams
from ..message_size import header_size
from ..names import check_subject
from ..port import (
    Append,
    BatchHandler,
    Closable,
    ConsumerName,
    Disconnected,
    Expect,
    Handler,
    ListedObject,
    Msg,
    NoResponders,
    ObjectInfo,
    OutcomeUnknown,
    Stored,
    TooLarge,
)
from ..topology import ConsumerSpec
from .consumption import MemoryConsumption
from .server import MemoryServer
from .subscription import MemoryInbox, MemorySubscription

log = structlog.get_logger(__name__)

T = TypeVar("T")

_ACK_TIMEOUT_S = 5.0


class MemoryBus(KvOnStreams):
    """One connection to a `MemoryServer`."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self._up = True
        self._closed = False
        self._callbacks: list[Callable[[bool], None]] = []
        self._open: list[Closable] = []
        self._pending: set[asyncio.Future[Msg]] = set()
        #: Stream and name -> what `ensure` was told of a consumer: if it is removed it is made again.
        self.declared: dict[tuple[str, str], ConsumerSpec] = {}

    # -- the connection, for tests

    def disconnect(self) -> None:
        """Cut the connection: requests in flight end with `OutcomeUnknown`, nothing is delivered."""
        if self._up:
            self._up = False
            for future in list(self._pending):
                if not future.done():
                    future.set_exception(OutcomeUnknown("the connection broke before an answer came"))
            self._tell()

    def reconnect(self) -> None:
        """Put the connection back; subscriptions and consumptions go on."""
        if not self._up and not self._closed:
            self._up = True
            self._tell()

    def _tell(self) -> None:
        for callback in list(self._callbacks):
            try:
                callback(self._up)
            except Exception:
                # As on a real connection: one callback's error is not another's.
                log.exception("a connection callback failed", up=self._up)

    @property
    def connected(self) -> bool:
        """True while the connection stands."""
        return self._up

    @property
    def max_payload(self) -> int:
        """Largest message, headers included, bytes."""
        return self.server.max_payload

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` after each reconnect (True) and each loss (False)."""
        self._callbacks.append(callback)

    def off_connection(self, callback: Callable[[bool], None]) -> None:
        """Call it no more."""
        self._callbacks.remove(callback)

    async def close(self) -> None:
        """Let handlers finish what they have, then disconnect."""
        if self._closed:
            return
        self._closed = True
        for thing in list(self._open):
            if isinstance(thing, MemorySubscription):
                await thing.drain()
            else:
                await thing.close()
        self._up = False

    def forget(self, thing: Closable) -> None:
        """It was closed."""
        if thing in self._open:
            self._open.remove(thing)

    def _may_send(
        self, data: bytes = b"", headers: Mapping[str, str] | None = None, subject: str | None = None
    ) -> None:
        """What every operation begins with."""
        if not self.connected:
            raise Disconnected("not connected to NATS")
        if subject is not None:
            check_subject(subject)
        size = len(data) + header_size(headers)
        if size > self.max_payload:
            raise TooLarge(size, self.max_payload)

    async def _ask(self, operation: Callable[[], T], *, timeout: float = 5.0, write: Append | None = None) -> T:
        """Have the server do something. Others get their turn, as they do when bytes go over a wire.

        The operation returns the answer or raises; `write` is the message that it stores, the first of a batch.
        """
        if write is None:
            self._may_send()
        else:
            self._may_send(write.data, write.headers, write.subject)
        await self._turn()
        return operation()

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if not self.connected:
            raise OutcomeUnknown("the connection broke before an answer came")

    # -- core messages

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """As `Bus.publish`."""
        self._may_send(data, headers, subject)
        await self._turn()
        self.server.publish(Msg(subject, bytes(data), dict(headers or {}), ""))

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """As `Bus.request`; the timeout passes on the server's clock."""
        self._may_send(data, headers, subject)
        await self._turn()
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        answer = MemoryInbox(f"_INBOX.{self.server.number()}", self, future)

        def expire() -> None:
            if not future.done():
                future.set_exception(OutcomeUnknown(f"{subject}: no answer within {timeout:g} s"))

        self._pending.add(future)
        self.server.listen(answer)
        timer = None
        try:
            if not self.server.publish(Msg(subject, bytes(data), dict(headers or {}), answer.subject)):
                raise NoResponders(f"nobody listens on {subject}")
            if self.server.answers_lost(subject):
                self.server.unlisten(answer)
            timer = self.server.clock.call_at(self.server.clock.time() + timeout, expire)
            return await future
        finally:
            if timer is not None:
                timer.cancel()
            self.server.unlisten(answer)
            self._pending.discard(future)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Closable:
        """As `Bus.subscribe`."""
        return await self._ask(lambda: self._listen(MemorySubscription(self, subject, queue, handler)))

    def _listen(self, subscription: MemorySubscription) -> Closable:
        self._open.append(subscription)
        self.server.listen(subscription)
        return subscription

    # -- streams

    async def append(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        expect: Expect | None = None,
        timeout: float = 5.0,
    ) -> int:
        """As `Bus.append`."""
        message = Append(subject, data, headers, expect)
        return await self._ask(lambda: self._append([message]), timeout=timeout, write=message)

    async def append_batch(self, messages: Sequence[Append], *, timeout: float = 5.0) -> int:
        """As `Bus.append_batch`."""
        check_batch(messages)
        for message in messages[1:]:
            check_subject(message.subject)
            size = len(message.data) + header_size(message.headers)
            if size > self.max_payload:
                raise TooLarge(size, self.max_payload)
        sent = list(messages)
        return await self._ask(lambda: self._append(sent), timeout=timeout, write=sent[0])

    def _append(self, messages: Sequence[Append]) -> int:
        seq = self.server.append(messages[0]) if len(messages) == 1 else self.server.append_batch(messages)
        if self.server.answers_lost(messages[0].subject):
            raise OutcomeUnknown(f"{messages[0].subject}: no answer in time")
        return seq

    async def last(self, stream: str, subject: str) -> Stored | None:
        """As `Bus.last`."""
        return await self._ask(lambda: self.server.stream(stream).last(subject))

    async def get(self, stream: str, seq: int) -> Stored | None:
        """As `Bus.get`."""
        return await self._ask(lambda: self.server.stream(stream).messages.get(seq))

    async def delete(self, stream: str, seq: int) -> bool:
        """As `Bus.delete`."""
        return await self._ask(lambda: self.server.stream(stream).delete(seq))

    async def last_seq(self, stream: str) -> int:
        """As `Bus.last_seq`."""
        return await self._ask(lambda: self.server.stream(stream).last_seq)

    async def message_count(self, stream: str) -> int:
        """As `Bus.message_count`."""
        return await self._ask(lambda: len(self.server.stream(stream).messages))

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        """As `Bus.subjects`."""
        return await self._ask(lambda: self.server.stream(stream).subjects(pattern))

    async def stream_created(self, stream: str) -> float:
        """As `Bus.stream_created`."""
        return await self._ask(lambda: self.server.stream(stream).created)

    async def stream_takes(self, stream: str) -> list[str]:
        """As `Bus.stream_takes`."""
        return await self._ask(lambda: list(self.server.stream(stream).config.get("subjects", ())))

    async def pages(self, stream: str, subject: str, *, start: int, limit: int) -> list[Stored]:
        """As `Bus.pages`."""
        return await self._ask(lambda: self.server.stream(stream).from_seq(subject, start, limit))

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
        await self._turn()
        consumption = MemoryConsumption(self, consumer, handler, batch, allowed)
        self._open.append(consumption)
        return consumption

    async def ack(self, consumer: ConsumerName, delivery_seq: int) -> None:
        """As `Bus.ack`. Of a message not yet delivered since a reset it waits for the delivery, as JetStream's does."""
        self._may_send()
        await self._turn()
        durable = self.server.consumer(consumer)
        if durable.ack(delivery_seq):
            return
        news = asyncio.Event()
        deadline = self.server.clock.time() + _ACK_TIMEOUT_S
        timer = self.server.clock.call_at(deadline, news.set)
        durable.listeners.add(news.set)
        try:
            while not durable.ack(delivery_seq):
                if self.server.clock.time() >= deadline or not self.connected:
                    raise OutcomeUnknown(f"ack of {delivery_seq} on {consumer.stream} was not confirmed")
                news.clear()
                await news.wait()
        finally:
            durable.listeners.discard(news.set)
            timer.cancel()

    async def reset(self, consumer: ConsumerName) -> None:
        """As `Bus.reset`."""
        await self._ask(lambda: self.server.consumer(consumer).reset())

    async def take_over(self, consumer: ConsumerName) -> None:
        """As `Bus.take_over`. No process sleeps here, so no pull waits for one."""
        await self.reset(consumer)

    async def backlog(self, consumer: ConsumerName) -> int:
        """As `Bus.backlog`."""
        return await self._ask(lambda: self.server.consumer(consumer).backlog())

    # -- artifacts

    async def put_object(
        self, bucket: str, name: str, source: Path | bytes, *, headers: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """As `Bus.put_object`; held in memory."""
        self._may_send()
        data = source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
        return await self._ask(lambda: self._put(bucket, name, data, headers))

    def _put(self, bucket: str, name: str, data: bytes, headers: Mapping[str, str] | None) -> ObjectInfo:
        digest = hashlib.sha256(data).hexdigest()
        objects = self.server.bucket(bucket)
        present = objects.get(name)
        if present is not None and present[1].sha256 == digest and not self.server.past_half_age(present[1]):
            return present[1]
        info = ObjectInfo(bucket, name, len(data), digest, dict(headers or {}), self.server.clock.time())
        objects[name] = (data, info)
        self.server.object_seqs[bucket, name] = self.server.number()
        return info

    async def get_object(self, bucket: str, name: str, target: Path) -> ObjectInfo:
        """As `Bus.get_object`."""
        data, info = await self._ask(lambda: self.server.bucket(bucket)[name])
        await asyncio.to_thread(target.write_bytes, data)
        return info

    async def put_stream(
        self,
        bucket: str,
        name_of: Callable[[str], str],
        pieces: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """As `Bus.put_stream`; held in memory."""
        self._may_send()
        data = b"".join([piece async for piece in pieces])
        name = name_of(hashlib.sha256(data).hexdigest())
        return await self._ask(lambda: self._put(bucket, name, data, headers))

    async def read_object(
        self, bucket: str, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As `Bus.read_object`."""
        data, _ = await self._ask(lambda: self.server.bucket(bucket)[name])
        wanted = data[start:stop]
        for at in range(0, len(wanted), CHUNK_BYTES):
            yield wanted[at : at + CHUNK_BYTES]

    async def object_info(self, bucket: str, name: str) -> ObjectInfo | None:
        """As `Bus.object_info`."""
        found = await self._ask(lambda: self.server.bucket(bucket).get(name))
        return found[1] if found else None

    async def delete_object(self, bucket: str, name: str) -> None:
        """As `Bus.delete_object`."""
        await self._ask(lambda: self.server.bucket(bucket).pop(name, None))

    async def objects(self, bucket: str, *, start: int, limit: int) -> list[ListedObject]:
        """As `Bus.objects`."""
        return await self._ask(lambda: self.server.listed(bucket, start)[:limit])

    async def uploads(self, bucket: str) -> dict[str, int]:
        """As `Bus.uploads`. Each object is one chunk."""

        def find() -> dict[str, int]:
            whole = {listed.upload: 1 for listed in self.server.listed(bucket, 1)}
            return {**whole, **self.server.half_uploads.get(bucket, {})}

        return await self._ask(find)

    async def delete_upload(self, bucket: str, upload: str) -> None:
        """As `Bus.delete_upload`."""
        await self._ask(lambda: self.server.half_uploads.get(bucket, {}).pop(upload, None))

    # -- topology

    async def ensure(self, topology: Any) -> list[str]:
        """As `Bus.ensure`, of a `topology.Topology`."""
        left = await self._ask(lambda: self.server.ensure(topology))
        self.declared.update(((spec.stream, spec.name), spec) for spec in topology.consumers)
        return left

    async def missing(self, topology: Any) -> list[str]:
        """As `Bus.missing`, of a `topology.Topology`."""
        return await self._ask(lambda: [each.name for each in topology.streams if each.name not in self.server.streams])
