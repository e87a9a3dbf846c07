"""An asyncio event loop in virtual time, on which several simulated processes run and can be paused or killed.

Time jumps from one timer to the next, so hours pass in seconds, and the order of everything is a function of the
program alone. Each callback belongs to the life of a process: whatever is started while a life's context is current
(tasks, timers, callbacks of futures) carries it on, as asyncio copies contexts. A paused life's callbacks are held back
until it resumes, as those of a process under SIGSTOP are.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


#: Turns of the loop in which no time passes. More are a busy loop: it would never end here, and eat a core elsewhere.
_MOST_TURNS = 50_000


class Stuck(Exception):
    """What is waited for never comes: nobody waits for a timer, or time does not pass any more."""


class Life:
    """One life of a simulated process, from its start to its end."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.alive = True
        #: While it is, whatever falls due is held back.
        self.paused = False
        #: Callbacks that wait for its resumption; true for those of timers.
        self.held: list[tuple[bool, asyncio.Handle]] = []
        #: Its tasks, oldest first.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self._loop = loop
        self.context = contextvars.Context()
        self.context.run(_LIFE.set, self)

    def soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call something in this life, as if a socket had become readable."""
        self._loop.call_soon(callback, *args, context=self.context)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of this life."""
        task: asyncio.Task[T] = self.context.run(asyncio.ensure_future, work)
        return task

    def resume(self, *, timers_first: bool) -> None:
        """Do what has been held back.

        Args:
            timers_first: whether timers come before what sockets brought. An event loop looks at its sockets first,
                but what they brought may take a turn more.
        """
        self.paused = False
        held, self.held = self.held, []
        held.sort(key=lambda each: each[0] != timers_first)
        self._loop.put_back([handle for _, handle in held])

    def kill(self) -> None:
        """End it. Its tasks are cancelled so that nothing is left suspended; nobody hears of what they do in their
        last turn, since the connections of a dead life carry nothing.
        """
        self.alive = False
        for task in list(self.tasks):
            task.cancel()
        self.resume(timers_first=False)


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. It has no sockets, signals or threads; what is sent to an executor is done at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._order = 0
        #: Since time passed.
        self._turns = 0
        #: (when, order in which it was asked for, timer)
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.set_task_factory(_task_of_a_life)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call something at a time; of equal times, in the order asked for."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, timer))
        return timer

    def put_back(self, handles: list[asyncio.Handle]) -> None:
        """Have callbacks done next, in this order."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Call it in this thread: what threads do in production takes no virtual time."""

        async def call() -> T:
            return func(*args)

        return self.create_task(call())

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers = self._timers
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise Stuck(f"at {self._now:.3f} s nothing is left to happen")
            if timers[0][0] > self._now:
                self._now = timers[0][0]
                self._turns = 0
        self._turns += 1
        if self._turns > _MOST_TURNS:
            self._turns = 0
            raise Stuck(f"time stands still at {self._now:.6f} s; next: {ready[0] if ready else timers[0][2]}")
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            if not timer.cancelled():
                life = _life_of(timer)
                if life is not None and life.paused:
                    life.held.append((True, timer))
                else:
                    ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            life = _life_of(handle)
            if life is not None and life.paused:
                life.held.append((False, handle))
            else:
                handle._run()

    def _process_events(self, event_list: Any) -> None:
        """There are no events from outside."""

    def _write_to_self(self) -> None:
        """No other thread wakes this loop."""


def _life_of(handle: asyncio.Handle) -> Life | None:
    life: Life | None = handle._context.get(_LIFE)  # type: ignore[attr-defined]
    return life


def _task_of_a_life(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **more)
    life = _LIFE.get()
    if life is not None:
        life.tasks[task] = None
        task.add_done_callback(life.tasks.pop)
        if not life.alive:
            task.cancel()
    return task


def current_name() -> str:
    """The process whose code runs now; empty outside of all."""
    life = _LIFE.get()
    return life.name if life is not None else ""
