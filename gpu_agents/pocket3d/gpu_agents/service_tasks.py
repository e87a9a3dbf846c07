"""Tasks of the service: ended together, the first unexpected error kept; those of one job one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Coroutines side by side."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: dict[str, asyncio.Task[None]] = {}
        #: Set by the first coroutine that raises.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start one."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def in_line(self, token: str, work: Coroutine[Any, Any, None], *, instead: bool = False) -> None:
        """Start one when the last of the same token has ended. `instead`: end that one first."""
        former = self._lines.get(token)
        if former is not None and instead:
            former.cancel()
        task = self.spawn(self._after(former, work))
        self._lines[token] = task
        task.add_done_callback(lambda done: self._leave(token, done))

    def in_flight(self, token: str) -> bool:
        """True while work of that token has not ended."""
        last = self._lines.get(token)
        return last is not None and not last.done()

    async def _after(self, former: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
        try:
            if former is not None and not former.done():
                await asyncio.wait({former})
        except asyncio.CancelledError:
            work.close()
            raise
        await work

    def _leave(self, token: str, done: asyncio.Task[None]) -> None:
        if self._lines.get(token) is done:
            del self._lines[token]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def close(self) -> None:
        """End all of them."""
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self.failed.done():
            # Whoever awaited it has it; asyncio must not warn that nobody did.
            self.failed.exception()
        else:
            self.failed.cancel()
