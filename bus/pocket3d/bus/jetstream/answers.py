"""Requests that wait for their answers, and publishers that wait for the socket, over one connection."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from nats.aio.msg import Msg as NatsMsg

from ..port import OutcomeUnknown, Refused

#: What an acknowledgement of JetStream may say.
_ACKNOWLEDGEMENT = frozenset({"stream", "seq", "domain", "duplicate", "batch", "count", "val"})


def _is_acknowledgement(data: bytes) -> bool:
    """True for the words in which a server says that a stream has stored a message."""
    if not data.startswith(b'{"stream"'):
        return False
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(body, dict) and "seq" in body and body.keys() <= _ACKNOWLEDGEMENT


class PendingAnswers:
    """Requests in flight, each known by a token that ends its reply subject."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[asyncio.Future[NatsMsg], str, bool]] = {}
        self._counter = itertools.count()

    def expect(self, subject: str, stored: bool = False) -> tuple[str, asyncio.Future[NatsMsg]]:
        """The token and the future answer of a request that is about to be sent.

        Args:
            subject: as it is sent.
            stored: the answer is a stream's, who has stored the message.
        """
        token = f"{next(self._counter):x}"
        future: asyncio.Future[NatsMsg] = asyncio.get_running_loop().create_future()
        self._pending[token] = (future, subject, stored)
        return token, future

    def forget(self, token: str) -> None:
        """Take no answer for it any more."""
        future, *_ = self._pending.pop(token, (None,))
        if future is not None and future.done() and not future.cancelled():
            future.exception()  # taken, so that asyncio does not complain that nobody did

    def resolve(self, token: str, answer: NatsMsg) -> None:
        """An answer came; a late or a second one is nobody's.

        Where somebody records our requests in a stream of his own, the server's acknowledgement is the first answer to
        each of them. It is passed over unless it is what was asked for.
        """
        future, _, stored = self._pending.get(token, (None, "", False))
        if future is not None and not future.done() and (stored or not _is_acknowledgement(answer.data)):
            future.set_result(answer)

    def expire(self, token: str, timeout: float) -> None:
        """No answer came in time."""
        future, subject, _ = self._pending.get(token, (None, "", False))
        if future is not None and not future.done():
            future.set_exception(OutcomeUnknown(f"{subject}: no answer within {timeout:g} s"))

    def refuse(self, lowered: str) -> bool:
        """The server does not let this user publish to a subject, which it names in lower case. True if one waited."""
        waiting = [each for each in self._pending.values() if each[1].lower() == lowered and not each[0].done()]
        for future, subject, _ in waiting:
            future.set_exception(Refused(f"this user may not publish to {subject!r}", code=403))
        return bool(waiting)

    def fail_all(self, message: str) -> None:
        """No answer will come for any of them."""
        for future, subject, _ in list(self._pending.values()):
            if not future.done():
                future.set_exception(OutcomeUnknown(f"{subject}: {message}"))


class PublishLine:
    """Publishers that wait for room in the socket, first come, first served."""

    def __init__(self) -> None:
        #: Done when the last in the line has left it.
        self._last: asyncio.Future[None] | None = None

    @property
    def busy(self) -> bool:
        """True while anybody waits: then nobody passes."""
        return self._last is not None and not self._last.done()

    @contextlib.asynccontextmanager
    async def turn(self, until: asyncio.Future[Any] | None) -> AsyncIterator[None]:
        """Stand in the line; inside, all who came before have left. The place is taken when the wait begins.

        Raises:
            Exception: what `until` failed with, while waiting.
        """
        before, mine = self._last, asyncio.get_running_loop().create_future()
        self._last = mine
        try:
            if before is not None:
                either = {before} if until is None else {before, until}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not before.done() and until is not None:
                    until.result()
            yield
        finally:
            if before is None or before.done():
                mine.set_result(None)
            else:
                # It gave up in the middle of the line: those behind it wait for those before it.
                before.add_done_callback(lambda _: mine.set_result(None))
