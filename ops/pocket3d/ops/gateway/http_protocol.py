"""HTTP of uvicorn, with an end to connections that ask for nothing, or take too long to ask."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

#: From the connection, or the end of the answer before, until the whole head of a request is there, seconds.
REQUEST_S = 20.0
#: Read from a socket at a time.
_READ_BYTES = 64 * 1024


class TimedProtocol(H11Protocol):
    """One connection. uvicorn itself waits for ever for a request of which a part has come."""

    _asking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As uvicorn's; the time begins."""
        super().connection_made(cast(asyncio.Transport, transport))
        # asyncio's own is four times as much, which one round of the loop would copy and parse.
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As uvicorn's; a request that is whole ends the time."""
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        """As uvicorn's; the time begins anew."""
        super().on_response_complete()
        self._time()

    def _time(self) -> None:
        """The time runs while no request is answered; bytes that drip in do not begin it anew."""
        if self.transport.is_closing() or (self.cycle is not None and not self.cycle.response_complete):
            self._stop()
        elif self._asking is None:
            self._asking = self.loop.call_later(REQUEST_S, self._give_up)

    def _stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _give_up(self) -> None:
        self._asking = None
        self.timeout_keep_alive_handler()
