"""Interest in a subject that outlives connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg as NatsMsg
from nats.errors import Error

from ..port import BusError, Closable

log = structlog.get_logger(__name__)

#: How long a queue group's member that ends may take for messages that have come, seconds.
_HANDLED_S = 5

RawHandler = Callable[[NatsMsg], Awaitable[None]]


class Link(Protocol):
    """What a subscription asks of its connection."""

    @property
    def nc(self) -> Client:
        """The client of now."""

    async def flush(self) -> None:
        """Return once the server has seen all that was sent."""

    def forget(self, subscription: Subscription) -> bool:
        """Stop re-establishing it; False if that was already so."""


class Subscription(Closable):
    """Interest in a subject, re-established on every connection until closed."""

    def __init__(self, link: Link, subject: str, queue: str, handler: RawHandler) -> None:
        self._link = link
        self._queue = queue
        self._handler = handler
        self._client_side: Any = None
        self.subject = subject

    async def attach(self, nc: Client) -> None:
        """Tell this client's server of the interest."""
        self._client_side = await nc.subscribe(
            self.subject, queue=self._queue, cb=self._handler, pending_bytes_limit=512 << 20
        )

    async def close(self) -> None:
        """End the interest, on the server too. Messages that have come and wait for the handler are dropped, but those
        of a queue group are still handled: nobody else gets them.
        """
        if not self._link.forget(self):
            return
        ours = self._client_side
        try:
            if self._queue and ours._wait_for_msgs_task is not asyncio.current_task():
                await self._link.nc._send_unsubscribe(ours._id)
                await self._link.flush()
                handled = asyncio.ensure_future(ours._pending_queue.join())
                await asyncio.wait({handled}, timeout=_HANDLED_S)
                handled.cancel()
            await ours.unsubscribe()
            await self._link.flush()
        except (Error, BusError) as error:  # the connection is lost, closed or draining: the interest ends with it
            log.debug("unsubscribe", subject=self.subject, error=str(error))
