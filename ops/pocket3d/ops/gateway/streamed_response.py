"""Answers that go out piece by piece, and a client that takes nothing any more is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import structlog
from litestar import Response
from litestar.types import Receive, Scope, Send

from pocket3d.bus.port import BusError

log = structlog.get_logger("pocket3d.ops.gateway.streamed")

_CANCEL_S = 1.0


class StreamedResponse(Response[None]):
    """An answer made of pieces.

    Args:
        pieces: closed at the end, however that comes.
        status: of HTTP.
        headers: all of them, `Content-Type` too.
        send_timeout_s: how long the client may take to take one piece, seconds.
        done: called at the end, also where no piece was ever asked for.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        status: int,
        headers: Mapping[str, str],
        send_timeout_s: float,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(None, status_code=status)
        self._pieces = pieces
        self._all_headers = dict(headers)
        self._send_timeout_s = send_timeout_s
        self._done = done
        self._too_slow = False

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Itself: what Litestar calls with scope, receive and send."""
        return self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        hung_up = asyncio.ensure_future(_until_hung_up(receive))
        sending = asyncio.ensure_future(self._send_all(send))
        try:
            await asyncio.wait([hung_up, sending], return_when=asyncio.FIRST_COMPLETED)
            # An answer that is not ended: the server closes the connection.
            if self._too_slow:
                why = f"the client took nothing for {self._send_timeout_s:g} s"
                log.info("an answer breaks off", path=scope.get("path"), error=why)
            elif sending.done():
                sending.result()
        except BusError as error:
            log.info("an answer breaks off", path=scope.get("path"), error=str(error))
        finally:
            try:
                for task in (hung_up, sending):
                    # More than once: before Python 3.12 wait_for may swallow a cancellation.
                    while not task.done():
                        task.cancel()
                        await asyncio.wait([task], timeout=_CANCEL_S)
                await asyncio.gather(hung_up, sending, return_exceptions=True)
                await self._pieces.aclose()
            finally:
                self._done()

    async def _send_all(self, send: Send) -> None:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._all_headers.items()
        ]
        await send({"type": "http.response.start", "status": self.status_code or 200, "headers": headers})
        async for piece in self._pieces:
            await self._send_piece(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_piece(self, send: Send, piece: bytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        # No wait_for: before Python 3.12 it makes a task of each piece.
        timer = asyncio.get_running_loop().call_later(self._send_timeout_s, self._cut_off, task)
        try:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            timer.cancel()

    def _cut_off(self, sending: asyncio.Task[None]) -> None:
        self._too_slow = True
        sending.cancel()


async def _until_hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
