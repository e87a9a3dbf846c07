"""The tasks of one owner: bounded, in line where they share a key, and ended together; and work within a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """What a coroutine returns, if it does within that time; its end is waited for in any case.

    Before Python 3.12 `asyncio.wait_for` returns the result where a cancellation comes in the same moment, and the
    loop that called it goes on for ever. This one is cancelled then.

    Raises:
        asyncio.TimeoutError
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=seconds)
        if task.done():
            return task.result()
        raise asyncio.TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if task.done() and not task.cancelled():
            # Nobody may ask for it any more; asyncio must not warn of that.
            task.exception()


class TaskPool:
    """Runs coroutines side by side. The first unexpected error is kept for the owner in `failed`.

    A coroutine that never got to run, because its task was cancelled before, is closed: nothing warns that it was
    never awaited. At most `limit` bounded coroutines of one lane run at once, the others wait their turn.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        #: Bounded ones that run, by lane, and those that wait for their turn.
        self._bounded: dict[str, int] = {}
        self._waiting: dict[str, deque[Coroutine[Any, Any, None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: Key -> its tasks that have not ended, the latest last.
        self._lines: dict[str, list[asyncio.Task[None]]] = {}
        #: Set by the first coroutine that raises and has no `on_error` of its own.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None], *, bounded: bool = True, lane: str = "") -> None:
        """Start a coroutine. One that is not `bounded` neither waits for room nor takes any; the others wait only for
        those of their `lane`.
        """
        if not bounded or self._limit is None:
            self._start(work, work)
            return
        running = self._bounded.get(lane, 0)
        if running == self._limit:
            self._waiting.setdefault(lane, deque()).append(work)
            return
        self._bounded[lane] = running + 1
        self._start(work, work, lane=lane)

    def in_line(
        self,
        key: str,
        work: Coroutine[Any, Any, None],
        *,
        instead: bool = False,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Start a coroutine once all earlier ones of the same key have ended; it takes no room.

        With `instead` the earlier ones are cancelled first. `on_error` is called with what it raises, in place of
        setting `failed`.
        """
        line = self._lines.setdefault(key, [])
        if instead:
            for former in line:
                former.cancel()
        line.append(self._start(work, self._after(tuple(line), work) if line else work, on_error, key=key))

    def in_flight(self, key: str) -> bool:
        """True while a coroutine of that key has not ended."""
        # One that has ended is in line until its callbacks run, a turn of the loop later.
        return any(not task.done() for task in self._lines.get(key, ()))

    async def close(self) -> None:
        """Cancel what still runs and wait for its end; what waits does not begin."""
        for waiting in self._waiting.values():
            for work in waiting:
                work.close()
        self._waiting.clear()
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self.failed.done():
            # Whoever awaited it has it; asyncio must not warn that nobody did.
            self.failed.exception()
        else:
            self.failed.cancel()

    def _leave(self, lane: str) -> None:
        """One has ended: the next of its lane takes its place."""
        waiting = self._waiting.get(lane)
        if waiting:
            work = waiting.popleft()
            self._start(work, work, lane=lane)
            if not waiting:
                del self._waiting[lane]
        elif self._bounded[lane] > 1:
            self._bounded[lane] -= 1
        else:
            del self._bounded[lane]

    def _start(
        self,
        work: Coroutine[Any, Any, None],
        runs: Coroutine[Any, Any, None],
        on_error: Callable[[BaseException], None] | None = None,
        *,
        lane: str | None = None,
        key: str | None = None,
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(runs)
        self._tasks.add(task)
        task.add_done_callback(partial(self._on_done, work, on_error, lane, key))
        return task

    async def _after(self, formers: tuple[asyncio.Task[None], ...], work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wait(formers)
        await work

    def _on_done(
        self,
        work: Coroutine[Any, Any, None],
        on_error: Callable[[BaseException], None] | None,
        lane: str | None,
        key: str | None,
        task: asyncio.Task[None],
    ) -> None:
        self._tasks.discard(task)
        if key is not None:
            line = self._lines[key]
            line.remove(task)
            if not line:
                del self._lines[key]
        if lane is not None:
            self._leave(lane)
        if task.cancelled():
            # One whose task was cancelled before its first step has never been entered.
            work.close()
            return
        error = task.exception()
        if error is None:
            return
        if on_error is not None:
            on_error(error)
        elif not self.failed.done():
            self.failed.set_exception(error)
