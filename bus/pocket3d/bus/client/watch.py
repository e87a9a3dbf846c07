"""Waiting for something to appear in a stream: core messages as hints, the stream as the truth.

A hint says only that reading may be worth it. A core subscriber sees a publish before it is stored, and also those that
JetStream refuses; and it sees nothing of what is published while it has no connection. So after a hint the stream is
read, a few times more if there is nothing yet, and without any hint now and then; a consumer per job would meet the
limit of 1,000 consumers on a stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

import structlog

from ..port import Bus, Closable, Disconnected, Msg, NoResponders, OutcomeUnknown, Refused
from ..tasks import within

T = TypeVar("T")

_log = structlog.get_logger("pocket3d.bus.client.watch")

#: Pauses before reading again after a hint, seconds: a store takes about a millisecond, a new stream leader some
#: seconds.
_QUICK_S = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0)
#: Between reads when nothing hints at anything, seconds.
BACKSTOP_S = 5.0


class Links:
    """Tells every watch of a bus when its connection is back. One per bus: a bus's callbacks cannot be taken back."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.watches: set[StreamWatch] = set()
        bus.on_connection(self._changed)

    def _changed(self, up: bool) -> None:
        if up:
            for watch in self.watches:
                watch.reconnected()


class StreamWatch:
    """Wakes its reader when something may have changed on some subjects. Use it with `async with`.

    `on_message` gets each message that comes, e.g. to show it before it is read back.
    """

    def __init__(self, links: Links, *subjects: str, on_message: Callable[[Msg], None] | None = None) -> None:
        self._links = links
        self._bus = links.bus
        self._missing = list(subjects)
        self._subscriptions: list[Closable] = []
        self._on_message = on_message
        self._hint = asyncio.Event()
        self._step = len(_QUICK_S)

    async def __aenter__(self) -> StreamWatch:
        self._links.watches.add(self)
        await self._subscribe()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._links.watches.discard(self)
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.close()

    @property
    def listening(self) -> bool:
        """True once every subject is listened to (or may not be)."""
        return not self._missing

    def reconnected(self) -> None:
        """The connection is back: whatever came meanwhile was not heard."""
        self._hint.set()

    async def read(self, reading: Callable[[], Awaitable[T]], nothing: T) -> T:
        """What `reading` returns, or `nothing` while the server cannot be asked."""
        try:
            return await reading()
        except (Disconnected, OutcomeUnknown, NoResponders) as error:
            _log.debug("a stream could not be read; reading again later", error=str(error))
            return nothing

    async def news(self, deadline: float | None = None) -> bool:
        """Wait until reading again is worth it; False once `deadline` (of the loop's clock) has passed."""
        await self._subscribe()
        now = asyncio.get_running_loop().time()
        if deadline is not None and now >= deadline:
            return False
        pause = _QUICK_S[self._step] if self._step < len(_QUICK_S) else BACKSTOP_S
        if deadline is not None:
            pause = min(pause, deadline - now)
        try:
            await within(self._hint.wait(), pause)
        except asyncio.TimeoutError:
            self._step += 1
        else:
            self._hint.clear()
            self._step = 0
        return True

    async def _subscribe(self) -> None:
        while self._missing:
            try:
                self._subscriptions.append(await self._bus.subscribe(self._missing[-1], self._on_hint))
            except Disconnected:
                return
            except Refused as error:
                _log.info(
                    "the server forbids to listen; the stream is read now and then instead",
                    subject=self._missing[-1],
                    error=str(error),
                )
            self._missing.pop()

    async def _on_hint(self, msg: Msg) -> None:
        if self._on_message is not None:
            self._on_message(msg)
        self._hint.set()
