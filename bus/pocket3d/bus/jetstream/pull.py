"""Durable pull consumers: an endless pull that survives whatever happens to connection, server and consumer.

The NATS client's `fetch` idles out its whole timeout after a reconnect or a re-created consumer, since the outstanding
pull is lost without a word. Here every pull asks for idle heartbeats; silence, a status or a reconnect start a new one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg as NatsMsg

from ..port import (
    BatchHandler,
    BusError,
    Closable,
    ConsumerName,
    Delivery,
    Disconnected,
    NoResponders,
    OutcomeUnknown,
    Stored,
)
from .connection import Connection
from .reader import Answer, Reader
from .subscription import Subscription
from .upkeep import ConsumerUpkeep

log = structlog.get_logger(__name__)

#: The server speaks at least this often during a pull, seconds; silence for twice as long is a lost pull.
HEARTBEAT_S = 1.0
#: One pull lasts that long when nothing comes, seconds.
_EXPIRES_S = 30.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
#: Until it is asked again whether to pull, seconds.
_NOT_ALLOWED_PAUSE_S = 0.1
#: After pulls were refused for so long it is looked at whether the consumer is there at all, seconds.
_REFUSED_S = 2.0
#: How long a confirmed ack is repeated until it is answered, seconds, and how long the first try waits.
_ACK_TIMEOUT_S = 5.0
_ACK_TRY_S = 0.5


def _always() -> bool:
    return True


def parse_delivery(reply: str, subject: str, data: bytes, headers: Mapping[str, str]) -> tuple[str, Delivery]:
    """The ack subject's prefix (`$JS.ACK.<stream>.<consumer>`, longer in its second form) and the delivery.

    Raises:
        ValueError: not an ack subject.
    """
    tokens = reply.split(".")
    if len(tokens) == 9:  # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
        at = 2
    elif len(tokens) >= 11:  # $JS.ACK.<domain>.<account>.<stream>.<consumer>....
        at = 4
    else:
        raise ValueError(f"{reply!r} is not an ack subject")
    delivered, seq, time = int(tokens[at + 2]), int(tokens[at + 3]), int(tokens[at + 5])
    stored = Stored(tokens[at], subject, seq, data, headers, time / 1e9)
    return ".".join(tokens[: at + 2]), Delivery(stored, delivered)


class Consumers:
    """Pulls, acks and resets over one connection."""

    def __init__(self, link: Connection, reader: Reader) -> None:
        self._link = link
        self._reader = reader
        self.upkeep = ConsumerUpkeep(reader)
        #: Ack prefixes as the server sent them.
        self._prefixes: dict[ConsumerName, str] = {}

    async def consume(
        self, consumer: ConsumerName, handler: BatchHandler, batch: int, allowed: Callable[[], bool] | None
    ) -> Closable:
        """As `Bus.consume`."""
        consumption = Consumption(self._link, consumer, handler, batch, self._prefixes, allowed or _always, self.upkeep)
        await consumption.start()
        return consumption

    async def ack(self, consumer: ConsumerName, seq: int) -> None:
        """As `Bus.ack`."""
        await self._ack(consumer, seq)
        position = self.upkeep.position(consumer)
        if position is not None:
            position.acked(seq)

    async def _ack(self, consumer: ConsumerName, seq: int) -> None:
        # The stream sequence is all that the server looks at; a repeated ack is confirmed again. An ack of a message
        # that was not delivered since the consumer was reset or made anew is passed over in silence by the server, so
        # it is repeated for a while, and a message that is not in the stream any more needs none.
        prefix = self._prefixes.get(consumer, f"$JS.ACK.{consumer.stream}.{consumer.name}")
        dummies = ".1.0" + (".x" if prefix.count(".") > 3 else "")
        subject = f"{prefix}.1.{seq}.1{dummies}"
        loop = asyncio.get_running_loop()
        deadline, wait = loop.time() + _ACK_TIMEOUT_S, _ACK_TRY_S
        while True:
            try:
                await self._link.request(subject, b"+ACK", wait, None)
                return
            except (OutcomeUnknown, NoResponders) as error:
                if not self._link.connected:
                    raise OutcomeUnknown(f"ack of {seq} on {consumer.stream}: {error}") from error
                if loop.time() + wait > deadline:
                    raise OutcomeUnknown(f"ack of {seq} on {consumer.stream} was not confirmed") from error
                missing = isinstance(error, NoResponders)
            if not missing and await self._reader.get(consumer.stream, seq) is None:
                return
            if missing:
                await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_PAUSE_S)

    async def reset(self, consumer: ConsumerName) -> None:
        """As `Bus.reset`."""
        # The server does not answer the reset of a consumer that is not there; this does.
        await self._reader.backlog(consumer)
        # Not {"seq": 1}: that fails once message 1 is gone; without it the server goes back to what is un-acked.
        verb = f"CONSUMER.RESET.{consumer.stream}.{consumer.name}"
        await self._reader.ask(verb, None, Answer, f"reset of {consumer.stream} {consumer.name}")


class Consumption(Closable):
    """One endless pull."""

    def __init__(
        self,
        link: Connection,
        consumer: ConsumerName,
        handler: BatchHandler,
        batch: int,
        prefixes: dict[ConsumerName, str],
        allowed: Callable[[], bool],
        upkeep: ConsumerUpkeep,
    ) -> None:
        self._link = link
        self._consumer = consumer
        self._handler = handler
        self._batch = batch
        self._prefixes = prefixes
        self._allowed = allowed
        self._upkeep = upkeep
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._buffer: deque[NatsMsg] = deque()
        self._news = asyncio.Event()
        self._closed = False
        self._number = 0
        #: Messages that the pull of now may still bring; 0 when it is over.
        self._open = 0
        self._pause = _FIRST_PAUSE_S
        #: Wait before the next pull.
        self._back_off = False
        self._heard = 0.0
        #: When pulls began to be refused, without a message since: the consumer may have been removed.
        self._refused_since: float | None = None

    async def start(self) -> None:
        """Listen for deliveries and begin to pull."""
        self._inbox = f"{self._link.new_inbox()}."
        self._subscription = await self._link.subscribe_raw(f"{self._inbox}*", self._on_message)
        self._link.on_connection(self._on_connection)
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """End it: what was pulled and not handled goes back to the server at once."""
        if self._closed:
            return
        self._closed = True
        self._news.set()
        self._link.off_connection(self._on_connection)
        if self._subscription is not None:
            await self._subscription.close()
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task}, timeout=5.0)
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task})
        try:
            while self._buffer:
                await self._link.publish(self._buffer.popleft().reply, b"-NAK", None)
        except Disconnected:
            self._buffer.clear()

    def _on_connection(self, up: bool) -> None:
        # The server forgot the pull, or its answers went to the connection before.
        self._open = 0
        self._back_off = False
        self._news.set()

    async def _on_message(self, msg: NatsMsg) -> None:
        self._heard = asyncio.get_running_loop().time()
        if not msg.subject.startswith(self._inbox):
            self._refused_since = None
            self._buffer.append(msg)
            self._open = max(self._open - 1, 0)
            self._news.set()
            return
        status = (msg.headers or {}).get("Status", "")
        if status == "100":
            self._refused_since = None
            return
        if msg.subject != f"{self._inbox}{self._number}":
            return
        self._open = 0
        if status not in ("404", "408"):
            # 409: consumer deleted, leadership moved, server stops. 503: no consumer, or no leader now. 400: the
            # consumer's priority group is another than ours.
            self._back_off = True
            if self._refused_since is None:
                self._refused_since = self._heard
            log.debug("pull ended", consumer=self._consumer.name, headers=msg.headers)
        self._news.set()

    async def _run(self) -> None:
        while not self._closed:
            if self._buffer:
                await self._hand_over()
            elif self._open == 0:
                await self._pull()
            else:
                await self._listen()

    async def _hand_over(self) -> None:
        self._pause = _FIRST_PAUSE_S
        batch: list[Delivery] = []
        position = self._upkeep.position(self._consumer)
        while self._buffer and len(batch) < self._batch:
            msg = self._buffer.popleft()
            try:
                prefix, delivery = parse_delivery(msg.reply, msg.subject, msg.data, msg.headers or {})
            except ValueError as error:
                log.warning("not a delivery", subject=msg.subject, error=str(error))
                continue
            self._prefixes[self._consumer] = prefix
            if position is not None:
                position.delivered(delivery.message.seq)
            batch.append(delivery)
        if not batch:
            return
        try:
            await self._handler(batch)
        except Exception:  # a handler's error must not end the consumption; the server redelivers
            log.exception("a batch handler failed", consumer=self._consumer.name, first=batch[0].message.seq)
        self._heard = asyncio.get_running_loop().time()

    async def _pull(self) -> None:
        if self._back_off:
            self._back_off = False
            self._news.clear()
            await self._wait_for_news(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)
        if self._closed or not self._link.connected:
            self._news.clear()
            await self._wait_for_news(_LONGEST_PAUSE_S)
            return
        if not self._allowed():
            self._news.clear()
            await self._wait_for_news(_NOT_ALLOWED_PAUSE_S)
            return
        if self._refused_since is not None and self._heard - self._refused_since >= _REFUSED_S:
            self._refused_since = self._heard
            await self._upkeep.restore(self._consumer)
        self._number += 1
        body: dict[str, Any] = {
            "batch": self._batch,
            "expires": int(_EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        if self._consumer.group is not None:
            body["group"] = self._consumer.group
        self._open = self._batch
        self._heard = asyncio.get_running_loop().time()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer.stream}.{self._consumer.name}"
        try:
            await self._link.publish(subject, msgspec.json.encode(body), None, f"{self._inbox}{self._number}")
        except Disconnected:
            self._open = 0
        except BusError as error:
            self._open = 0
            self._back_off = True
            log.warning("pull failed", consumer=self._consumer.name, error=str(error))

    async def _listen(self) -> None:
        self._news.clear()
        silence = asyncio.get_running_loop().time() - self._heard
        await self._wait_for_news(max(2 * HEARTBEAT_S - silence, 0.01))
        if asyncio.get_running_loop().time() - self._heard >= 2 * HEARTBEAT_S and not self._buffer:
            log.debug("pull went silent", consumer=self._consumer.name)
            self._open = 0

    async def _wait_for_news(self, seconds: float) -> None:
        # Not `wait_for`: before Python 3.12 that is a task of its own, and two turns of the loop, for each message.
        timer = asyncio.get_running_loop().call_later(seconds, self._news.set)
        try:
            await self._news.wait()
        finally:
            timer.cancel()
