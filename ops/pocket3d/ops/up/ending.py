"""Ends with a bound: tasks that are cancelled until they have ended, and a process that is gone in any case."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Collection
from typing import Any

from ..exit_codes import Exit

#: From one cancellation to the next, seconds.
_AGAIN_S = 0.5


async def end_all(tasks: Collection[asyncio.Task[Any]], within_s: float) -> list[asyncio.Task[Any]]:
    """Cancel tasks until all have ended; those that have not within that time, seconds.

    More than once: before Python 3.12 `asyncio.wait_for` returns its result where the cancellation comes in the same
    moment, and a loop around it goes on for ever.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    left = {task for task in tasks if not task.done()}
    while left and (left_s := deadline - loop.time()) > 0:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=min(_AGAIN_S, left_s))
    return list(left)


class LastResort:
    """Ends this process after a time, whatever it waits for: a thread does it, so a loop that is held up is no matter.

    Processes that watch their parent (`die_with_parent`, the embedded server) end with it.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Count from now on; once is enough."""
        if self._timer is None:
            self._timer = threading.Timer(self._within_s, os._exit, (int(Exit.ERROR),))
            self._timer.daemon = True
            self._timer.start()

    def off(self) -> None:
        """The end has come by itself."""
        if self._timer is not None:
            self._timer.cancel()
