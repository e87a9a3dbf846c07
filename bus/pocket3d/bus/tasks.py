"""The tasks of one owner: bounded, in line where they share a key, and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class TaskPool:
    """Runs coroutines side by side. The first unexpected error is kept for the owner in `failed`.

    A coroutine that never got to run, because its task was cancelled before, is closed: nothing warns that it was
    never awaited.

    Args:
        limit: bounded coroutines that run at once, the others wait their turn; None: as many as there are.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._room = asyncio.Semaphore(limit) if limit is not None else None
        self._tasks: set[asyncio.Task[None]] = set()
        #: Key -> its tasks that have not ended, the latest last.
        self._lines: dict[str, list[asyncio.Task[None]]] = {}
        #: Set by the first coroutine that raises and has no `on_error` of its own.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None], *, bounded: bool = True) -> None:
        """Start a coroutine. One that is not `bounded` neither waits for room nor takes any."""
        self._start(work, self._in_room(work, self._room) if bounded and self._room is not None else work, None)

    def in_line(
        self,
        key: str,
        work: Coroutine[Any, Any, None],
        *,
        instead: bool = False,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Start a coroutine once all earlier ones of the same key have ended; it takes no room.

        Args:
            key: coroutines of one key run one after the other.
            work: what to run.
            instead: cancel the earlier ones of this key first.
            on_error: called with what `work` raises, in place of setting `failed`.
        """
        line = self._lines.setdefault(key, [])
        if instead:
            for former in line:
                former.cancel()
        task = self._start(work, self._after(tuple(line), work), on_error)
        line.append(task)
        task.add_done_callback(lambda done: self._leave_line(key, done))

    def in_flight(self, key: str) -> bool:
        """True while a coroutine of that key has not ended."""
        return key in self._lines

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self.failed.done():
            # Whoever awaited it has it; asyncio must not warn that nobody did.
            self.failed.exception()
        else:
            self.failed.cancel()

    def _start(
        self,
        work: Coroutine[Any, Any, None],
        runs: Coroutine[Any, Any, None],
        on_error: Callable[[BaseException], None] | None,
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(runs)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._on_done(done, work, on_error))
        return task

    async def _in_room(self, work: Coroutine[Any, Any, None], room: asyncio.Semaphore) -> None:
        async with room:
            await work

    async def _after(self, formers: tuple[asyncio.Task[None], ...], work: Coroutine[Any, Any, None]) -> None:
        if formers:
            await asyncio.wait(formers)
        await work

    def _leave_line(self, key: str, done: asyncio.Task[None]) -> None:
        line = self._lines[key]
        line.remove(done)
        if not line:
            del self._lines[key]

    def _on_done(
        self,
        task: asyncio.Task[None],
        work: Coroutine[Any, Any, None],
        on_error: Callable[[BaseException], None] | None,
    ) -> None:
        self._tasks.discard(task)
        # Does nothing to one that ran; one whose task was cancelled before its first step has never been entered.
        work.close()
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if on_error is not None:
            on_error(error)
        elif not self.failed.done():
            self.failed.set_exception(error)
