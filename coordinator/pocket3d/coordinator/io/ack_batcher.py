"""Acks of finished jobs and of their results: a few milliseconds late, many in one go.

Nobody waits for them: the result is stored and its event published before. Sent one by one, each would cost the
coordinator and the server two messages at the very moment in which the next job arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pocket3d.bus.tasks import TaskPool

#: How long an ack may wait for others, seconds.
DELAY_S = 0.02
#: So many leave at once.
MOST = 128


class AckBatcher:
    """Collects acks and starts them together.

    Args:
        tasks: where they run.
    """

    def __init__(self, tasks: TaskPool) -> None:
        self._tasks = tasks
        self._waiting: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, ack: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start `ack` soon."""
        self._waiting.append(ack)
        if len(self._waiting) >= MOST:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY_S, self._start)

    def close(self) -> None:
        """Start no more: what was not acked comes again to the next leader, who acks it."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting = []

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for ack in waiting:
            self._tasks.spawn(ack(), lane="acks")
