"""The port: what coordinator, agents and clients ask of a bus.

Two implementations are shipped: `jetstream.JetStreamBus` and `memory.MemoryBus`. One conformance suite runs on both.
The words are those of JetStream; `Conflict` and `OutcomeUnknown` are what a caller must be ready for at every append.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .errors import CONSUMER_NOT_FOUND as CONSUMER_NOT_FOUND
from .errors import TEMPORARILY_UNAVAILABLE as TEMPORARILY_UNAVAILABLE
from .errors import BusError as BusError
from .errors import Conflict as Conflict
from .errors import Disconnected as Disconnected
from .errors import NoResponders as NoResponders
from .errors import OutcomeUnknown as OutcomeUnknown
from .errors import Refused as Refused
from .errors import TooLarge as TooLarge
from .errors import UntrustedServer as UntrustedServer


class Msg(NamedTuple):
    """A core message."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    #: Subject for the answer, empty if none is wanted.
    reply: str


class Stored(NamedTuple):
    """A message in a stream."""

    stream: str
    subject: str
    seq: int
    data: bytes
    headers: Mapping[str, str]
    #: When the server stored it, Unix seconds.
    time: float


class Delivery(NamedTuple):
    """A stored message handed to a durable consumer."""

    message: Stored
    #: 1 for the first delivery; counts again from 1 after a reset.
    delivered: int


class Expect(NamedTuple):
    """Optimistic concurrency: the last sequence on a subject (or wildcard filter) must be this; 0 for none."""

    last: int
    #: None: the message's own subject.
    subject: str | None = None


class Append(NamedTuple):
    """A message for a stream."""

    subject: str
    data: bytes
    headers: Mapping[str, str] | None = None
    expect: Expect | None = None


class KvEntry(NamedTuple):
    """A key's value and revision."""

    key: str
    value: bytes
    revision: int


class ObjectInfo(NamedTuple):
    """A file in an object store."""

    bucket: str
    name: str
    size: int
    #: Hex.
    sha256: str
    headers: Mapping[str, str]
    #: When it was stored, Unix seconds.
    stored_at: float
    #: When its bucket removes it, Unix seconds, as `object_info` tells; infinite where nothing is removed by age.
    kept_until: float = math.inf


class ListedObject(NamedTuple):
    """An object as a list of its store tells of it."""

    name: str
    #: Its place in the list, which rises with the time of storing.
    seq: int
    #: The upload that its chunks belong to.
    upload: str
    #: When it was stored, Unix seconds.
    stored_at: float


class ConsumerName(NamedTuple):
    """A durable pull consumer."""

    stream: str
    name: str
    #: The priority group that its pulls name, where it has one: without it the server refuses them.
    group: str | None = None


class ServiceError(Exception):
    """What an endpoint's handler raises to answer with an error: headers and body as the nats CLI expects."""

    def __init__(self, code: int, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


Handler = Callable[[Msg], Awaitable[None]]
BatchHandler = Callable[[Sequence[Delivery]], Awaitable[None]]
#: Takes the request, returns the body of the answer; raises `ServiceError`.
EndpointHandler = Callable[[Msg], Awaitable[bytes]]


class Endpoint(NamedTuple):
    """One endpoint of a micro service. `name` is what `nats micro req` uses: letters, digits, _ and -."""

    name: str
    subject: str
    handler: EndpointHandler
    metadata: Mapping[str, str] = {}


class ServiceSpec(NamedTuple):
    """A NATS micro service. Requests of one endpoint are handled concurrently."""

    name: str
    version: str
    description: str
    endpoints: Sequence[Endpoint]
    #: What discovery tells of it; a function is asked each time, where it changes.
    metadata: Mapping[str, str] | Callable[[], Mapping[str, str]] = {}


class Closable(Protocol):
    """A subscription, a consumption or a service: it goes on until closed."""

    async def close(self) -> None:
        """End it. Calling it again does nothing."""


class Bus(Protocol):
    """One connection. All methods but `close` raise `Disconnected` while there is none: nothing is buffered."""

    @property
    def connected(self) -> bool:
        """True while the connection stands."""

    @property
    def max_payload(self) -> int:
        """Largest message the server takes, bytes."""

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(True)` after each reconnect and `callback(False)` after each loss. It must not block."""

    async def close(self) -> None:
        """Drain and disconnect."""

    # -- core messages: at most once

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send to whoever listens now.

        Raises:
            Refused: it is no subject.
            Disconnected, TooLarge
        """

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """Ask and wait for one answer.

        Raises:
            NoResponders, OutcomeUnknown (timeout), Disconnected, TooLarge
            Refused: it is no subject.
        """

    async def respond(self, msg: Msg, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Answer a message; does nothing if it wants no answer."""

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Closable:
        """Hand messages to `handler`, one after the other in the order they come. Survives reconnects. Effective
        on the server when it returns. An exception of the handler is logged and the next message is handled.
        """

    async def serve(self, service: ServiceSpec) -> Closable:
        """Register a micro service; `$SRV.PING`, `INFO` and `STATS` answer in the forms the nats CLI accepts."""

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
        """Store one message; the sequence it got. Many may be in flight at once.

        Raises:
            Conflict: `expect` does not hold (or a rival is in process).
            OutcomeUnknown: no answer in time.
            Refused, NoResponders, Disconnected, TooLarge
        """

    async def append_batch(self, messages: Sequence[Append], *, timeout: float = 5.0) -> int:
        """Store all or none (JetStream atomic batch, at most 1,000); the last sequence. Errors as `append`."""

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message on a subject or wildcard filter, read from the stream's leader (never a replica)."""

    async def get(self, stream: str, seq: int) -> Stored | None:
        """The message with that sequence, or None if it is gone."""

    async def delete(self, stream: str, seq: int) -> bool:
        """Take a message out of a stream; false if there is none with that sequence (any more).

        Raises:
            Refused: no such stream, or it denies deletion.
            OutcomeUnknown, Disconnected
        """

    async def last_seq(self, stream: str) -> int:
        """The sequence of the newest message ever stored in the stream."""

    async def message_count(self, stream: str) -> int:
        """How many messages the stream holds."""

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        """The subjects under a filter on which the stream holds messages, and how many: names without bodies."""

    async def stream_created(self, stream: str) -> float:
        """When the stream was created, Unix seconds."""

    async def stream_takes(self, stream: str) -> list[str]:
        """The subjects that a stream takes; it may store their messages under others.

        Raises:
            Refused: no such stream, or (403) this user may not ask.
            OutcomeUnknown, Disconnected
        """

    async def pages(self, stream: str, subject: str, *, start: int, limit: int) -> list[Stored]:
        """Up to `limit` stored messages on a filter with sequence >= `start`, in order, without a consumer."""

    # -- durable pull consumers (declared in the topology)

    async def consume(
        self,
        consumer: ConsumerName,
        handler: BatchHandler,
        *,
        batch: int = 256,
        allowed: Callable[[], bool] | None = None,
    ) -> Closable:
        """Pull continuously; `handler` is awaited with each batch before the next is asked for. Survives reconnects
        and server restarts. An exception of the handler is logged; its batch is redelivered after the ack wait.
        While `allowed` says no, nothing is asked for. A consumer that `ensure` made through this connection and that
        somebody removed meanwhile is made again, while `allowed`; what was not acked is delivered again.
        """

    async def ack(self, consumer: ConsumerName, delivery_seq: int) -> None:
        """Confirmed ack (ack sync) of the stored message with that stream sequence. Of one already gone: nothing.

        Raises:
            OutcomeUnknown, Disconnected
        """

    async def reset(self, consumer: ConsumerName) -> None:
        """Deliver every un-acked message again, from the first."""

    async def take_over(self, consumer: ConsumerName) -> None:
        """As `reset`, and end the pulls of all others: what a sleeping process had asked for would go to it."""

    async def backlog(self, consumer: ConsumerName) -> int:
        """Messages that the consumer has not acked: delivered or not."""

    # -- key/value buckets

    async def kv_get(self, bucket: str, key: str) -> KvEntry | None:
        """The entry, or None when it is absent, deleted or expired."""

    async def kv_put(self, bucket: str, key: str, value: bytes) -> int:
        """Set unconditionally; the revision."""

    async def kv_update(self, bucket: str, key: str, value: bytes, *, last: int) -> int:
        """Set if the key's revision is `last` (0: absent); the new revision.

        Raises:
            Conflict, OutcomeUnknown
        """

    async def kv_delete(self, bucket: str, key: str) -> None:
        """Remove a key; nothing if absent."""

    async def kv_entries(self, bucket: str, pattern: str = ">") -> list[KvEntry]:
        """All entries whose key matches the subject pattern (matched by the server)."""

    # -- artifacts

    async def put_object(
        self, bucket: str, name: str, source: Path | bytes, *, headers: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """Store a file, streamed in constant memory. An object of that name with the same digest is left as it is."""

    async def get_object(self, bucket: str, name: str, target: Path) -> ObjectInfo:
        """Write an object to a file, streamed in constant memory; the digest is checked.

        Raises:
            KeyError: no such object.
            BusError: the digest does not match, or the stream broke off.
        """

    async def put_stream(
        self,
        bucket: str,
        name_of: Callable[[str], str],
        pieces: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store a file that comes piece by piece, in constant memory, under the name that `name_of` makes of its digest
        (hex). An object of that name with the same digest is left as it is. If anything fails, `pieces` too, nothing
        stays; it cannot begin again by itself.

        Raises:
            Refused: no such bucket, or it is full.
            Disconnected, OutcomeUnknown, NoResponders: send it all again.
        """

    def read_object(
        self, bucket: str, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """An object's bytes from `start` up to and without `stop`, piece by piece, in constant memory. Read whole, its
        last piece comes when the digest of all is right.

        Raises:
            KeyError: no such object.
            BusError: the digest does not match, or the stream broke off.
        """

    async def object_info(self, bucket: str, name: str) -> ObjectInfo | None:
        """What is stored under that name, or None."""

    async def delete_object(self, bucket: str, name: str) -> None:
        """Remove an object and its chunks; nothing if absent."""

    async def objects(self, bucket: str, *, start: int, limit: int) -> list[ListedObject]:
        """Up to `limit` objects whose `seq` is >= `start`, in its order."""

    async def uploads(self, bucket: str) -> dict[str, int]:
        """The uploads of which the store has chunks, and how many: of whole objects, of those that are being stored,
        and of those that were broken off.
        """

    async def delete_upload(self, bucket: str, upload: str) -> None:
        """Remove the chunks of one upload; nothing if absent."""

    # -- topology

    async def ensure(self, topology: Any) -> list[str]:
        """Create what is missing, widen what may be widened; returns differences that it left alone, in words."""

    async def missing(self, topology: Any) -> list[str]:
        """The names of the topology's streams that are not there."""
