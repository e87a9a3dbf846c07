"""The bus of production: one connection to a NATS server with JetStream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from nats.aio.client import Client

from ..connect import ConnectOptions
from ..kv import KvOnStreams
from ..port import Append, BatchHandler, Closable, ConsumerName, Expect, Handler, ListedObject, Msg, ObjectInfo, Stored
from ..topology import Topology
from .connection import Connection
from .ensure import ensure, missing
from .objects.download import download
from .objects.link import ObjectLink
from .objects.streamed import read_stream, upload_stream
from .objects.upload import remove, upload
from .publisher import Publisher
from .pull import Consumers
from .reader import Reader
from .takeover import take_over


class JetStreamBus(KvOnStreams):
    """`Bus` on NATS. Make one with `JetStreamBus.connect`."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._publisher = Publisher(link)
        self.reader = Reader(link)
        self._consumers = Consumers(link, self.reader)
        self._objects = ObjectLink(link, self.reader, self._publisher)

    @classmethod
    async def connect(cls, options: ConnectOptions) -> JetStreamBus:
        """Connect; from then on the connection is kept up until `close`.

        Raises:
            Disconnected: no server answered within `options.wait_s`.
            Refused: the server does not accept these credentials.
            ConnectError: the options are wrong, or name a file that cannot be read.
        """
        return cls(await Connection.open(options))

    @property
    def nc(self) -> Client:
        """The NATS client of now. Another one replaces it after it closed itself for good: don't keep it."""
        return self._link.nc

    @property
    def link(self) -> Connection:
        """The connection, for parts of `bus` that speak NATS themselves."""
        return self._link

    @property
    def connected(self) -> bool:
        """True while the connection stands."""
        return self._link.connected

    @property
    def max_payload(self) -> int:
        """Largest message the server takes, headers included, bytes."""
        return self._link.max_payload

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` after each reconnect (True) and each loss (False)."""
        self._link.on_connection(callback)

    async def close(self) -> None:
        """Drain and disconnect."""
        await self._link.close()

    # -- core messages

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """As `Bus.publish`."""
        await self._link.publish(subject, data, headers)

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """As `Bus.request`."""
        answer = await self._link.request(subject, data, timeout, headers)
        return Msg(answer.subject, answer.data, answer.headers or {}, answer.reply)

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Closable:
        """As `Bus.subscribe`."""
        return await self._link.subscribe(subject, handler, queue)

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
        return await self._publisher.append(subject, data, headers, expect, timeout)

    async def append_batch(self, messages: Sequence[Append], *, timeout: float = 5.0) -> int:
        """As `Bus.append_batch`."""
        return await self._publisher.append_batch(messages, timeout)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """As `Bus.last`."""
        return await self.reader.last(stream, subject)

    async def get(self, stream: str, seq: int) -> Stored | None:
        """As `Bus.get`."""
        return await self.reader.get(stream, seq)

    async def delete(self, stream: str, seq: int) -> bool:
        """As `Bus.delete`."""
        return await self.reader.delete(stream, seq)

    async def last_seq(self, stream: str) -> int:
        """As `Bus.last_seq`."""
        return (await self.reader.info(stream)).state.last_seq

    async def message_count(self, stream: str) -> int:
        """As `Bus.message_count`."""
        return (await self.reader.info(stream)).state.messages

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        """As `Bus.subjects`."""
        return await self.reader.subjects(stream, pattern)

    async def stream_created(self, stream: str) -> float:
        """As `Bus.stream_created`."""
        created = (await self.reader.info(stream)).created
        return created.timestamp() if created is not None else 0.0

    async def stream_takes(self, stream: str) -> list[str]:
        """As `Bus.stream_takes`."""
        return list((await self.reader.info(stream)).config.get("subjects") or [])

    async def pages(self, stream: str, subject: str, *, start: int, limit: int) -> list[Stored]:
        """As `Bus.pages`."""
        return await self.reader.pages(stream, subject, start, limit)

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
        return await self._consumers.consume(consumer, handler, batch, allowed)

    async def ack(self, consumer: ConsumerName, delivery_seq: int) -> None:
        """As `Bus.ack`."""
        await self._consumers.ack(consumer, delivery_seq)

    async def reset(self, consumer: ConsumerName) -> None:
        """As `Bus.reset`."""
        await self._consumers.reset(consumer)

    async def take_over(self, consumer: ConsumerName) -> None:
        """As `Bus.take_over`."""
        floor = await take_over(self.reader, consumer)
        position = self._consumers.upkeep.position(consumer)
        if position is not None:
            position.all_acked_up_to(floor)

    async def backlog(self, consumer: ConsumerName) -> int:
        """As `Bus.backlog`."""
        return await self.reader.backlog(consumer)

    # -- artifacts

    async def put_object(
        self, bucket: str, name: str, source: Path | bytes, *, headers: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """As `Bus.put_object`."""
        return await upload(self._objects, bucket, name, source, headers or {})

    async def get_object(self, bucket: str, name: str, target: Path) -> ObjectInfo:
        """As `Bus.get_object`."""
        return await download(self._objects, bucket, name, target)

    async def put_stream(
        self,
        bucket: str,
        name_of: Callable[[str], str],
        pieces: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """As `Bus.put_stream`."""
        return await upload_stream(self._objects, bucket, name_of, pieces, headers or {})

    def read_object(
        self, bucket: str, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As `Bus.read_object`."""
        return read_stream(self._objects, bucket, name, start, stop)

    async def object_info(self, bucket: str, name: str) -> ObjectInfo | None:
        """As `Bus.object_info`."""
        return await self._objects.info(bucket, name)

    async def delete_object(self, bucket: str, name: str) -> None:
        """As `Bus.delete_object`."""
        await remove(self._objects, bucket, name)

    async def objects(self, bucket: str, *, start: int, limit: int) -> list[ListedObject]:
        """As `Bus.objects`."""
        return await self._objects.listed(bucket, start, limit)

    async def uploads(self, bucket: str) -> dict[str, int]:
        """As `Bus.uploads`."""
        return await self._objects.uploads(bucket)

    async def delete_upload(self, bucket: str, upload: str) -> None:
        """As `Bus.delete_upload`."""
        await self._objects.purge(bucket, upload)

    # -- topology

    async def ensure(self, topology: Topology) -> list[str]:
        """As `Bus.ensure`, of a `topology.Topology`."""
        left = await ensure(self.reader, topology)
        self._consumers.upkeep.declare(topology)
        return left

    async def missing(self, topology: Topology) -> list[str]:
        """As `Bus.missing`, of a `topology.Topology`."""
        return await missing(self.reader, topology)
