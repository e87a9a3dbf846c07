"""Storing messages in JetStream by our own pipelined requests, and reading the server's answer to each.

The NATS client's own asynchronous publish never resolves when the server refuses (its error class raises inside the
reply handler), so a compare-and-set cannot be built on it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

import msgspec
from nats.aio.msg import Msg as NatsMsg

from ..jetstream_away import advice
from ..matching import SubjectIndex
from ..port import Append, Conflict, Expect, OutcomeUnknown, Refused
from .connection import Connection

#: Most messages of one atomic batch (the server's limit).
MAX_BATCH = 1000
#: Appends that wait for an answer at once; more of them wait for their turn.
WINDOW = 1024
#: Wrong last sequence; the same while a rival is in process (replicated streams).
_CONFLICTS = frozenset({10071, 10164})
#: "maximum messages exceeded", "maximum bytes exceeded", or of a subject "maximum messages per subject exceeded".
_FULL, _FULL_SUBJECT = 10077, "per subject"
_LAST = re.compile(r"wrong last sequence: ([0-9]{1,20})")
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class ApiError(msgspec.Struct):
    """The error part of a JetStream answer."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class _PubAck(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    error: ApiError | None = None


_decode_ack = msgspec.json.Decoder(_PubAck).decode


def refusal(error: ApiError, what: str) -> Conflict | Refused:
    """The exception for a JetStream error."""
    text = f"{what}: {error.description} ({error.err_code or error.code}){advice(error.err_code)}"
    if error.err_code in _CONFLICTS:
        found = _LAST.search(error.description)
        return Conflict(text, last=int(found[1]) if found else None)
    if error.err_code == _FULL and _FULL_SUBJECT in error.description:
        return Conflict(text)
    return Refused(text, code=error.err_code or error.code)


def check_batch(messages: Sequence[Append]) -> None:
    """Refuse batches that no server could judge as meant. Shared by all buses.

    The server judges an expectation by what is stored before the batch: a wildcard filter does not see the batch's own
    earlier messages, so two CAS-0 publishes of one id in one batch would both be stored (seen on 2.15.1).

    Raises:
        ValueError: empty, or an expectation that covers an earlier message of the same batch.
        Refused: more than `MAX_BATCH` messages.
    """
    if not messages:
        raise ValueError("the batch is empty")
    if len(messages) > MAX_BATCH:
        raise Refused(f"{len(messages)} messages in one batch, at most {MAX_BATCH} are taken", code=10199)
    earlier = SubjectIndex()
    for message in messages:
        if message.expect is not None:
            covered = message.expect.subject or message.subject
            found = earlier.find(covered)
            if found:
                raise ValueError(f"the expectation on {covered!r} covers {found[0]!r}, earlier in the same batch")
        earlier.add(message.subject)


class Publisher:
    """Appends to streams over one connection."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._window = asyncio.Semaphore(WINDOW)

    async def append(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None, expect: Expect | None, timeout: float
    ) -> int:
        """As `Bus.append`."""
        headers = _with_expectation(headers, expect)
        if not self._window.locked():
            async with self._window:
                return _sequence(await self._link.request(subject, data, timeout, headers, stored=True), subject)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        entering = asyncio.ensure_future(self._window.acquire())
        try:
            await asyncio.wait({entering}, timeout=timeout)
            if not entering.done():
                raise OutcomeUnknown(f"{subject}: {WINDOW} appends before it had no answer within {timeout:g} s")
            left = max(end - loop.time(), 0.0)
            return _sequence(await self._link.request(subject, data, left, headers, stored=True), subject)
        finally:
            if not entering.cancel():
                self._window.release()

    async def append_batch(self, messages: Sequence[Append], timeout: float) -> int:
        """As `Bus.append_batch`: headers of the atomic batch, only the first and the last message ask for an answer."""
        check_batch(messages)
        link = self._link
        if len(messages) == 1:
            only = messages[0]
            return await self.append(only.subject, only.data, only.headers, only.expect, timeout)
        batch_id = link.new_inbox().rsplit(".", 1)[-1]

        def headers_of(number: int) -> dict[str, str]:
            message = messages[number - 1]
            headers = dict(_with_expectation(message.headers, message.expect) or {})
            headers["Nats-Batch-Id"] = batch_id
            headers["Nats-Batch-Sequence"] = str(number)
            return headers

        first = messages[0]
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        late = loop.create_future()
        not_sent = OutcomeUnknown(f"{first.subject}: a batch was not sent within {timeout:g} s")
        timer = loop.call_later(timeout, late.set_exception, not_sent)
        # The first answer is empty when the stream takes batches at all, and is the error at once when not.
        opening = asyncio.ensure_future(link.request(first.subject, first.data, timeout, headers_of(1), stored=True))
        try:
            await asyncio.sleep(0)  # the opening message must be sent before the next: the server counts them
            for number in range(2, len(messages)):
                message = messages[number - 1]
                await link.publish(message.subject, message.data, headers_of(number), until=late)
            last = messages[-1]
            headers = {**headers_of(len(messages)), "Nats-Batch-Commit": "1"}
            closing = asyncio.ensure_future(
                link.request(last.subject, last.data, end - loop.time(), headers, stored=True)
            )
            try:
                await asyncio.wait({opening, closing}, return_when=asyncio.FIRST_COMPLETED)
                _accepted(await opening, first.subject)
                return _sequence(await closing, last.subject)
            finally:
                await _end(closing)
        finally:
            timer.cancel()
            if late.done():
                late.exception()
            await _end(opening)


async def _end(task: asyncio.Task[NatsMsg]) -> None:
    """End a task whose answer is not needed any more, taking its exception."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _with_expectation(headers: Mapping[str, str] | None, expect: Expect | None) -> Mapping[str, str] | None:
    if expect is None:
        return headers
    full = dict(headers) if headers else {}
    full[_EXPECTED] = str(expect.last)
    if expect.subject is not None:
        full[f"{_EXPECTED}-Subject"] = expect.subject
    return full


def _accepted(answer: NatsMsg, subject: str) -> None:
    if answer.data:
        _sequence(answer, subject)


def _sequence(answer: NatsMsg, subject: str) -> int:
    try:
        ack = _decode_ack(answer.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Somebody else, no stream, answered: a service listens on this subject.
        raise Refused(f"{subject}: the answer is not JetStream's: {answer.data[:80]!r}") from error
    if ack.error is not None:
        raise refusal(ack.error, subject)
    if not ack.stream:
        raise Refused(f"{subject}: the answer is not JetStream's: {answer.data[:80]!r}")
    return ack.seq
