"""Tasks in flight: bounded, and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class TaskPool:
    """Runs coroutines side by side, at most `limit` at a time; the first unexpected error is kept for the owner.

    Args:
        limit: coroutines that run at once; others wait their turn.
    """

    def __init__(self, limit: int) -> None:
        self._room = asyncio.Semaphore(limit)
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None], *, bounded: bool = True) -> None:
        """Start a coroutine."""
        task = asyncio.ensure_future(self._run(work) if bounded else work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            work.close()
            raise
        try:
            await work
        finally:
            self._room.release()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self.failed.done():
            # Taken note of by whoever awaited it; asyncio must not warn that nobody did.
            self.failed.exception()
        else:
            self.failed.cancel()
