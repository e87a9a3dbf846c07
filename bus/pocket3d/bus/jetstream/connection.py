"""One connection to NATS: core messages and requests, with a life of its own. Knows nothing of streams.

It hides what the NATS client does badly: requests in flight end with the connection instead of at their timeout,
nothing is kept back and sent after a reconnect, and a client that has closed itself for good is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg as NatsMsg
from nats.errors import ConnectionClosedError, ConnectionDrainingError, Error, OutboundBufferLimitError

from ..connect import ConnectError, ConnectOptions
from ..jetstream_away import NO_JETSTREAM
from ..message_size import header_size
from ..names import check_subject
from ..port import (
    BusError,
    Closable,
    Disconnected,
    Handler,
    Msg,
    NoResponders,
    OutcomeUnknown,
    Refused,
    TooLarge,
    UntrustedServer,
)
from .answers import PendingAnswers, PublishLine
from .nats_client import SecureClient, TlsNotOffered, end_client
from .subscription import RawHandler, Subscription

log = structlog.get_logger(__name__)

#: Unsent bytes after which a publisher waits for the socket: the client itself never makes it wait.
_HIGH_WATER = 1 << 20
#: Longer than it takes the client's pings to find a connection dead, seconds.
_NEVER_S = 600
#: How long closing may take with the drain of the subscriptions (10 s), seconds.
_CLOSE_S = 15
#: How long closing may take where there is nothing to drain, seconds.
_GIVE_UP_S = 1
_DENIED_PUBLISH = 'permissions violation for publish to "'
_DENIED_SUBSCRIBE = 'permissions violation for subscription to "'


class Connection:
    """A NATS client that stays connected until it is closed. Use `Connection.open`."""

    def __init__(self, options: ConnectOptions) -> None:
        self.options = options
        self._nc: Client = SecureClient()
        self._callbacks: list[Callable[[bool], None]] = []
        self._subscriptions: set[Subscription] = set()
        self._answers = PendingAnswers()
        self._inbox = ""
        self._closing = False
        #: Done when the connection of now is lost; then another one takes its place.
        self._loss: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: The first connect has succeeded.
        self._opened = False
        #: The client of now has all our subscriptions.
        self._ready = False
        #: What ends the first connect at once.
        self._fatal: asyncio.Future[Exception] | None = None
        self._last_error = ""
        self._denied: list[str] = []
        #: Subscriptions whose caller waits to hear whether they are allowed.
        self._attaching: set[Subscription] = set()
        self._revival: asyncio.Task[None] | None = None
        self._line = PublishLine()

    @classmethod
    async def open(cls, options: ConnectOptions) -> Connection:
        """Connect.

        Raises:
            Disconnected: no server answered within `options.wait_s`.
            Refused: the server does not accept these credentials.
            ConnectError: the options are wrong.
        """
        link = cls(options)
        await link._connect_first()
        return link

    @property
    def nc(self) -> Client:
        """The client of now; another one after it closed itself for good. Don't keep it."""
        return self._nc

    @property
    def connected(self) -> bool:
        """True while the connection stands."""
        return self._ready and self._nc.is_connected

    @property
    def max_payload(self) -> int:
        """Largest message the server takes, headers included, bytes."""
        return self._nc.max_payload

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` after each reconnect (True) and each loss (False)."""
        self._callbacks.append(callback)

    def off_connection(self, callback: Callable[[bool], None]) -> None:
        """Call it no more."""
        self._callbacks.remove(callback)

    # -- life

    async def _connect_first(self) -> None:
        self._fatal = asyncio.get_running_loop().create_future()
        connecting = asyncio.ensure_future(self._connect_client())
        either: set[asyncio.Future[Any]] = {connecting, self._fatal}
        await asyncio.wait(either, timeout=self.options.wait_s, return_when=asyncio.FIRST_COMPLETED)
        fatal, self._fatal = self._fatal, None
        if connecting.done() and not connecting.cancelled() and connecting.exception() is None:
            self._opened = True
            return
        self._closing = True
        connecting.cancel()
        await asyncio.wait({connecting})
        await end_client(self._nc, self._nc.close(), _GIVE_UP_S)
        where = ", ".join(self.options.public_servers)
        if fatal.done():
            if isinstance(fatal.result(), TlsNotOffered):
                raise ConnectError(str(fatal.result()))
            raise Refused(f"{where} refuses this client ({self.options.auth_kind}): {fatal.result()}")
        if not connecting.cancelled():
            error = connecting.exception()
            if error is not None and not isinstance(error, (Error, OSError, asyncio.TimeoutError)):
                raise error
        if "certificate verify failed" in self._last_error.lower():
            raise UntrustedServer(f"the TLS certificate of the server at {where} is not trusted: {self._last_error}")
        told = f"no NATS server at {where}: {self._last_error or 'no answer'}"
        raise Disconnected(told + self.options.about_selected_context)

    async def _connect_client(self) -> None:
        nc = self._nc
        await nc.connect(
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            lame_duck_mode_cb=self._on_lame_duck,
            **self.options.client_settings(),
        )
        self._inbox = f"{nc.new_inbox()}."
        await nc.subscribe(f"{self._inbox}*", cb=self._on_answer, pending_msgs_limit=1 << 20, pending_bytes_limit=0)
        for subscription in list(self._subscriptions):
            await subscription.attach(nc)
        await self.flush()
        self._ready = True

    async def close(self) -> None:
        """Let handlers finish what they have (bounded by the drain timeout), then disconnect."""
        if self._closing:
            return
        self._closing = True
        if self._revival is not None:
            self._revival.cancel()
            await asyncio.wait({self._revival})
        await end_client(self._nc, self._end(), _CLOSE_S)
        self._subscriptions.clear()
        self._answers.fail_all("the connection was closed before an answer came")

    async def _end(self) -> None:
        try:
            await self._nc.drain()
        except Error:  # not connected, or the link broke while draining
            await self._nc.close()

    async def _on_error(self, error: Exception) -> None:
        # Awaited inside the client's read loop: an exception here would end that loop without a reconnect.
        text = str(error)
        before, self._last_error = self._last_error, text or type(error).__name__
        lowered = text.lower()
        final = isinstance(error, TlsNotOffered)
        if self._fatal is not None and not self._fatal.done() and (final or "authorization" in lowered):
            self._fatal.set_result(error)
        #: Somebody waits for it and tells it in his own words.
        told = False
        if _DENIED_PUBLISH in lowered:
            told = self._answers.refuse(lowered.split(_DENIED_PUBLISH, 1)[1].split('"', 1)[0])
        if _DENIED_SUBSCRIBE in lowered:
            subject = lowered.split(_DENIED_SUBSCRIBE, 1)[1].split('"', 1)[0]
            told = any(each.subject.lower() == subject for each in self._attaching)
            self._denied.append(subject)
            del self._denied[:-100]
        if self._opened and not told and (self._nc.is_connected or (final and before != text)):
            log.warning("nats", error=self._last_error)
        else:
            log.debug("nats", error=self._last_error)

    async def _on_disconnected(self) -> None:
        self._loss.set_result(None)
        self._loss = asyncio.get_running_loop().create_future()
        # What was queued but not written must not be sent at some later time: its senders are told now.
        self._nc._pending.clear()
        self._nc._pending_data_size = 0
        self._answers.fail_all("the connection broke before an answer came")
        if self._opened and not self._closing:
            log.warning("nats connection lost", servers=self.options.public_servers)
            self._tell(False)

    async def _on_reconnected(self) -> None:
        if not self._closing:
            log.info("nats connection is back", servers=self.options.public_servers)
            self._tell(True)

    async def _on_closed(self) -> None:
        # The client gives up for good on some errors of the server (expired credentials, a slow consumer).
        self._ready = False
        if self._opened and not self._closing and (self._revival is None or self._revival.done()):
            self._revival = asyncio.ensure_future(self._revive())

    async def _on_lame_duck(self) -> None:
        log.info("nats server is about to stop; moving to another")
        await self._nc.force_reconnect()

    async def _revive(self) -> None:
        log.warning("nats client closed itself; making a new one", error=self._last_error)
        while not self._closing:
            self._nc = SecureClient()
            try:
                await self._connect_client()
            except (Error, OSError, asyncio.TimeoutError, BusError, ConnectError) as error:
                # A file of credentials may be about to be written anew, and what connects may break again at once.
                before, self._last_error = self._last_error, str(error)
                if isinstance(error, ConnectError) and before != self._last_error:
                    log.warning("nats", error=self._last_error)
                await end_client(self._nc, self._nc.close(), _GIVE_UP_S)
                await asyncio.sleep(self.options.reconnect_wait_s)
                continue
            self._tell(True)
            return

    def _tell(self, up: bool) -> None:
        for callback in list(self._callbacks):
            try:
                callback(up)
            except Exception:  # a foreign callback must not end the client's own task
                log.exception("a connection callback failed", up=up)

    # -- core messages

    async def flush(self, until: asyncio.Future[Any] | None = None) -> None:
        """Return once the server has seen all that was sent.

        Args:
            until: ends the wait with its error.

        Raises:
            Disconnected: the connection broke meanwhile.
        """
        # Never cancelled, never timed out: either leaves a cancelled future behind that kills the client's read loop
        # when the PONG comes. And the client forgets flushes when the connection breaks: the loss ends the wait.
        flushing = asyncio.ensure_future(self._nc.flush(timeout=_NEVER_S))
        flushing.add_done_callback(lambda done: done.cancelled() or done.exception())
        either: set[asyncio.Future[Any]] = {flushing, self._loss} | ({until} if until is not None else set())
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not flushing.done():
            if until is not None and until.done():
                until.result()
            raise Disconnected("the connection broke")
        try:
            flushing.result()
        except (Error, OSError) as error:
            raise Disconnected(f"the connection broke: {error}") from error

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None,
        reply: str = "",
        until: asyncio.Future[Any] | None = None,
    ) -> None:
        """Send one message; waits before it only when the socket is far behind. Messages go out in the order of the
        calls, also then. Errors as `Bus.publish`, and that of `until`, which ends the wait.
        """
        if not self._line.busy and self._nc.pending_data_size <= _HIGH_WATER:
            await self._publish_now(subject, data, headers, reply)
            return
        async with self._line.turn(until):
            if self._ready and self._nc.pending_data_size > _HIGH_WATER:
                await self.flush(until)
            await self._publish_now(subject, data, headers, reply)

    async def _publish_now(self, subject: str, data: bytes, headers: Mapping[str, str] | None, reply: str) -> None:
        nc = self._nc
        if not (self._ready and nc.is_connected):
            raise Disconnected("not connected to NATS")
        check_subject(subject, reply)
        if subject[0] == "$":
            subject = self.options.on_the_server(subject)
        limit = nc.max_payload
        size = len(data) + header_size(headers)
        if size > limit:
            raise TooLarge(size, limit)
        try:
            await nc.publish(subject, data, reply=reply, headers=dict(headers) if headers else None)
        except (OutboundBufferLimitError, ConnectionClosedError, ConnectionDrainingError) as error:
            raise Disconnected("not connected to NATS") from error

    async def request(
        self, subject: str, data: bytes, timeout: float, headers: Mapping[str, str] | None, *, stored: bool = False
    ) -> NatsMsg:
        """Ask; the answer, also when it is a status. The time runs from the call. Errors as `Bus.request`.

        Args:
            stored: the answer is a stream's, who has stored the message; else such an answer is passed over.
        """
        token, future = self._answers.expect(self.options.on_the_server(subject), stored)
        timer = asyncio.get_running_loop().call_later(timeout, self._answers.expire, token, timeout)
        try:
            try:
                await self.publish(subject, data, headers, self._inbox + token, until=future)
            except OutcomeUnknown as error:
                # While it waited for the socket: nothing was sent.
                if self.connected:
                    raise
                raise Disconnected("not connected to NATS") from error
            answer = await future
        finally:
            self._answers.forget(token)
            timer.cancel()
        if answer.headers is not None and not answer.data and answer.headers.get("Status") == "503":
            raise NoResponders(NO_JETSTREAM if subject.startswith("$JS.API.") else f"nobody listens on {subject}")
        return answer

    async def _on_answer(self, msg: NatsMsg) -> None:
        self._answers.resolve(msg.subject[len(self._inbox) :], msg)

    async def subscribe(self, subject: str, handler: Handler, queue: str) -> Closable:
        """As `Bus.subscribe`."""

        async def handle(msg: NatsMsg) -> None:
            try:
                await handler(Msg(msg.subject, msg.data, msg.headers or {}, msg.reply))
            except Exception:  # a handler's error must not end the subscription
                log.exception("a message handler failed", subject=msg.subject)

        return await self.subscribe_raw(subject, handle, queue)

    async def subscribe_raw(self, subject: str, handler: RawHandler, queue: str = "") -> Subscription:
        """A subscription whose handler gets the client's own messages, statuses too; it must not raise.

        Raises:
            Disconnected, Refused: not allowed.
        """
        if not self.connected:
            raise Disconnected("not connected to NATS")
        subscription = Subscription(self, subject, queue, handler)
        self._subscriptions.add(subscription)
        self._attaching.add(subscription)
        try:
            await subscription.attach(self._nc)
            await self.flush()
        except BaseException:
            self._subscriptions.discard(subscription)
            raise
        finally:
            self._attaching.discard(subscription)
        if subject.lower() in self._denied:
            self._denied = [denied for denied in self._denied if denied != subject.lower()]
            await subscription.close()
            raise Refused(f"this user may not subscribe to {subject!r}", code=403)
        return subscription

    def forget(self, subscription: Subscription) -> bool:
        """Stop re-establishing it; False if that was already so."""
        if subscription not in self._subscriptions:
            return False
        self._subscriptions.remove(subscription)
        return True

    def new_inbox(self) -> str:
        """A fresh subject under the connection's inbox prefix."""
        return self._nc.new_inbox()
