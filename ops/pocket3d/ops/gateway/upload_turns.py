"""Uploads take turns, so that other requests find the event loop idle most of the time."""

from __future__ import annotations

import asyncio
import time

#: Rounds of the loop after which what a piece set off is done: its chunk is a task, which fills the connection's
#: buffer, which is written; and the next piece is read from its socket.
_ROUNDS = 3
#: The loop is left alone so many times as long as a turn has kept it busy,
_IDLE = 1.0
#: if somebody has asked for something in the last seconds.
_ASKED_S = 1.0


class UploadTurns:
    """Pieces of all uploads, one after the other, first come, first served.

    Hashing, copying and sending a piece keeps the loop busy for a millisecond. Without turns, each round of the loop
    would do that for every upload whose data has come, and a request that needs five rounds would wait for all of it.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._ending: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    def asked(self) -> None:
        """Somebody asks for something."""
        self._asked_at = time.monotonic()

    async def wait(self) -> None:
        """Until a piece may be stored; it is to be done with at once."""
        await self._turn.acquire()
        self._ending = asyncio.ensure_future(self._end(time.thread_time()))

    async def _end(self, begun: float) -> None:
        try:
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
            if time.monotonic() - self._asked_at < _ASKED_S:
                await asyncio.sleep((time.thread_time() - begun) * _IDLE)
        finally:
            self._turn.release()
