"""Who listens on a memory server: subscriptions of a connection, and the inbox of one request."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import structlog

from ..port import Closable, Handler, Msg
from .server import MemoryServer

log = structlog.get_logger(__name__)


class Connected(Protocol):
    """What a subscription needs of its connection."""

    server: MemoryServer

    @property
    def connected(self) -> bool:
        """True while the connection stands."""

    def forget(self, thing: Closable) -> None:
        """It was closed."""


class MemorySubscription(Closable):
    """Interest of one connection in a subject."""

    def __init__(self, bus: Connected, subject: str, queue: str, handler: Handler) -> None:
        self.subject = subject
        self.queue = queue
        self._bus = bus
        self._handler = handler
        self._waiting: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._closed = False
        self._task = asyncio.ensure_future(self._run())

    @property
    def listening(self) -> bool:
        """False while the connection is down."""
        return self._bus.connected

    def deliver(self, msg: Msg) -> None:
        """Queue a message for the handler."""
        self._waiting.append(msg)
        self._news.set()

    async def _run(self) -> None:
        while True:
            while self._waiting:
                msg = self._waiting.popleft()
                try:
                    await self._handler(msg)
                except Exception:
                    # A handler's error must not end the subscription.
                    log.exception("a message handler failed", subject=msg.subject)
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    async def close(self) -> None:
        """End the interest; messages not yet handled are dropped, those of a queue group are still handled."""
        if not self.queue:
            self._waiting.clear()
        await self.drain()

    async def drain(self) -> None:
        """End the interest once what has come is handled."""
        self._bus.server.unlisten(self)
        self._bus.forget(self)
        self._closed = True
        self._news.set()
        if asyncio.current_task() is not self._task:
            await asyncio.wait({self._task})


class MemoryInbox:
    """The inbox of one request."""

    queue = ""

    def __init__(self, subject: str, bus: Connected, future: asyncio.Future[Msg]) -> None:
        self.subject = subject
        self._bus = bus
        self._future = future

    @property
    def listening(self) -> bool:
        """False while the connection is down."""
        return self._bus.connected

    def deliver(self, msg: Msg) -> None:
        """Take the first answer."""
        if not self._future.done():
            self._future.set_result(msg)
