"""How a process of ours stops: Ctrl-C and SIGTERM end the work in an orderly way; a second one ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from .ending import LastResort

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: The descriptor of a pipe whose other end the supervisor holds: at its end the supervisor is gone.
PARENT_VARIABLE = "POCKET3D_PARENT_FD"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_done(work: Coroutine[Any, Any, T], *, ends_within_s: float | None = None) -> T:
    """Run a coroutine; Ctrl-C or SIGTERM cancels it. The process is gone so many seconds after the first of them, if
    the end does not come before.

    Raises:
        asyncio.CancelledError: it was cancelled by a signal.
    """
    last_resort = LastResort(ends_within_s) if ends_within_s is not None else None

    async def guarded() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def end() -> None:
            if last_resort is not None:
                last_resort.begin()
            task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, end)
        try:
            return await task
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    try:
        return asyncio.run(guarded())
    finally:
        if last_resort is not None:
            last_resort.off()


def stop_on_signals(*gentler: Callable[[], None]) -> asyncio.Event:
    """An event that Ctrl-C or SIGTERM sets; once more ends the process at once.

    Each of `gentler` is called for one of the first signals, before the one that sets the event.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    steps = list(gentler)

    def asked(number: signal.Signals) -> None:
        if steps:
            log.info("stopping when what runs is done; once more to stop now", signal=number.name)
            steps.pop(0)()
        elif not stop.is_set():
            log.info("stopping; once more to stop at once", signal=number.name)
            stop.set()
        else:
            log.warning("stopping at once", signal=number.name)
            os._exit(128 + number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, asked, number)
    return stop


def die_with_parent() -> bool:
    """If a supervisor started this process (true then): end it when the supervisor is gone, however that died.

    Its end is told by a pipe that only it holds open. A thread waits for it, so that a busy event loop does not matter.
    """
    given = os.environ.pop(PARENT_VARIABLE, None)
    if given is None:
        return False
    descriptor = int(given)
    os.set_inheritable(descriptor, False)

    def wait() -> None:
        try:
            while os.read(descriptor, 64):
                pass
        except OSError:
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="parent watch", daemon=True).start()
    return True
