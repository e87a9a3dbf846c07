"""The embedded server's own health page, looked at now and then: a disk that was full is said, with what to do.

nats-server stores nothing more on a stream whose file it once could not write, also when there is room again, until it
is restarted. Its connections and the rest of it go on, so nobody else would name it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from pocket3d.bus.tasks import within

log = structlog.get_logger(__name__)

#: From one look to the next, and for an answer, seconds.
_LOOK_S = 10.0
_ANSWER_S = 5.0
#: Looks in a row until it is said: a server that starts is not well for a moment.
_LOOKS = 2


class _Health(msgspec.Struct):
    status: str
    error: str = ""


class HealthNotice:
    """What is to be said of a row of looks."""

    def __init__(self) -> None:
        self._ill = 0

    def look(self, problem: str | None) -> bool | None:
        """Take in one look. True: say that it is ill; False: say that it is well again; None: say nothing."""
        if problem is None:
            was_said, self._ill = self._ill >= _LOOKS, 0
            return False if was_said else None
        self._ill += 1
        return True if self._ill == _LOOKS else None


async def problem_of(host: str, port: int) -> str | None:
    """What a nats-server's page `/healthz` says is wrong. None: it is well, or does not answer."""
    try:
        answer = await within(_ask(host, port), _ANSWER_S)
        health = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2], type=_Health)
    except (OSError, asyncio.TimeoutError, msgspec.DecodeError):
        # A server that ended is somebody else's matter: it is started again.
        return None
    return None if health.status == "ok" else health.error or health.status


async def _ask(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def watch_health(look: Callable[[], Awaitable[str | None]], store: Path) -> None:
    """Look for ever, and say what is wrong once, and once that it is over."""
    notice = HealthNotice()
    while True:
        problem = await look()
        match notice.look(problem):
            case True:
                log.error(
                    "nats-server is not well: where its disk is full, make room; then stop `pocket3d up` and start it "
                    "again, since it stores nothing more before",
                    problem=problem,
                    store=str(store),
                )
            case False:
                log.info("nats-server is well again")
        await asyncio.sleep(_LOOK_S)
