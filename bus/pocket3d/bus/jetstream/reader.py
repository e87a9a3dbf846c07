"""Reading streams through the JetStream API, always from the stream's leader: a replica may lag behind a decision."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from typing import Any, TypeVar

import msgspec

from pocket3d.contracts.codec import WireError, decode

from ..port import ConsumerName, Refused, Stored
from .connection import Connection
from .publisher import ApiError, refusal

T = TypeVar("T")
A = TypeVar("A", bound="Answer")

_NO_MESSAGE = 10037
#: Reads in flight while paging, and bytes of their messages, if they are as large as those before: of a connection that
#: does not read as fast as it asks a server keeps 64 MB, in base64, and then closes it.
_PAGE_WINDOW = 64
_PAGE_BYTES = 8 * 1024 * 1024
_TIMEOUT = 5.0
#: The server looks through all subjects and sorts them for each answer of 100,000.
_SUBJECTS_TIMEOUT = 60.0


class _Message(msgspec.Struct):
    subject: str
    seq: int
    time: dt.datetime
    data: bytes = b""
    hdrs: bytes = b""


class _MessageAnswer(msgspec.Struct):
    message: _Message | None = None
    error: ApiError | None = None


class StreamState(msgspec.Struct):
    """What is in a stream."""

    messages: int = 0
    last_seq: int = 0
    #: Subject -> messages, where it was asked for.
    subjects: dict[str, int] = {}


class Answer(msgspec.Struct):
    """An answer of which only the error matters."""

    error: ApiError | None = None


class StreamInfo(Answer):
    """The answer of STREAM.INFO."""

    created: dt.datetime | None = None
    config: dict[str, Any] = {}
    state: StreamState = msgspec.field(default_factory=StreamState)
    #: Subjects that a filter takes, of which the answer may hold a part.
    total: int = 0


class AckFloor(msgspec.Struct, frozen=True):
    """Up to which sequence of the stream all is acked."""

    stream_seq: int = 0


class ConsumerInfo(Answer):
    """The answer of CONSUMER.INFO."""

    config: dict[str, Any] = {}
    num_pending: int = 0
    num_ack_pending: int = 0
    ack_floor: AckFloor = AckFloor()


def parse_headers(raw: bytes) -> dict[str, str]:
    """Headers as stored: `NATS/1.0`, then one `Name: value` a line."""
    headers: dict[str, str] = {}
    for line in raw.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.strip().decode("utf-8", "replace")] = value.strip().decode("utf-8", "replace")
    return headers


def _read(kind: type[T], data: bytes, what: str) -> T:
    try:
        return decode(kind, data)
    except WireError as error:
        # Not JetStream but somebody who listens on its subjects, or a server of another kind.
        raise Refused(f"{what}: the answer is not JetStream's: {error}") from error


class Reader:
    """Reads over one connection."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    async def api(self, verb: str, body: dict[str, Any] | None, kind: type[T], timeout: float = _TIMEOUT) -> T:
        """One request to the JetStream API, e.g. `STREAM.INFO.P3D_JOBS`. Errors as `Bus.request`."""
        data = b"" if body is None else msgspec.json.encode(body)
        answer = await self._link.request(f"$JS.API.{verb}", data, timeout, None)
        return _read(kind, answer.data, verb)

    async def ask(
        self, verb: str, body: dict[str, Any] | None, kind: type[A], what: str, timeout: float = _TIMEOUT
    ) -> A:
        """As `api`, where an error is an exception whose message begins with `what`.

        Raises:
            Conflict, Refused
        """
        answer = await self.api(verb, body, kind, timeout)
        if answer.error is not None:
            raise refusal(answer.error, what)
        return answer

    async def _message(self, stream: str, body: dict[str, Any]) -> Stored | None:
        data = msgspec.json.encode(body)
        reply = await self._link.request(f"$JS.API.STREAM.MSG.GET.{stream}", data, _TIMEOUT, None)
        answer = _read(_MessageAnswer, reply.data, f"read {stream}")
        if answer.error is not None:
            if answer.error.err_code == _NO_MESSAGE:
                return None
            raise refusal(answer.error, f"read {stream}")
        found = answer.message
        if found is None:
            raise Refused(f"read {stream}: the answer has no message")
        headers = parse_headers(found.hdrs) if found.hdrs else {}
        return Stored(stream, found.subject, found.seq, found.data, headers, found.time.timestamp())

    async def last(self, stream: str, subject: str) -> Stored | None:
        """As `Bus.last`."""
        return await self._message(stream, {"last_by_subj": subject})

    async def get(self, stream: str, seq: int) -> Stored | None:
        """As `Bus.get`."""
        return await self._message(stream, {"seq": seq}) if seq > 0 else None

    async def delete(self, stream: str, seq: int) -> bool:
        """As `Bus.delete`. The message is not overwritten (`no_erase`): that would cost a rewrite of its block."""
        if seq <= 0:
            return False
        answer = await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": True}, Answer)
        if answer.error is None:
            return True
        if await self.get(stream, seq) is None:
            # The server has several codes for that, and shares them with other errors.
            return False
        raise refusal(answer.error, f"delete message {seq} of {stream}")

    async def pages(self, stream: str, subject: str, start: int, limit: int) -> list[Stored]:
        """As `Bus.pages`.

        Each read asks for the next match at or after a sequence. Where matches lie densely, a window of reads is sent
        at once; where they are sparse the window's reads meet the same message and the window shrinks to one. Of large
        messages few are asked for at once.
        """
        found: list[Stored] = []
        position, window = max(start, 1), 8
        while len(found) < limit:
            window = min(window, limit - len(found))
            asked = range(position, position + window)
            answers = await asyncio.gather(
                *(self._message(stream, {"seq": seq, "next_by_subj": subject}) for seq in asked)
            )
            # A writer may store between two of the reads: what the first did not see lies before what the second found.
            # So nothing after the first miss is taken.
            seen = list(itertools.takewhile(lambda answer: answer is not None, answers))
            new = {answer.seq: answer for answer in seen if answer is not None}
            found.extend(new[seq] for seq in sorted(new))
            if len(seen) < len(answers):
                break
            position = max(new) + 1
            window = min(window * 2, _PAGE_WINDOW) if len(new) > window // 2 else max(len(new), 1)
            largest = max(len(answer.data) for answer in new.values())
            window = max(min(window, _PAGE_BYTES // max(largest, 1)), 1)
        return found[:limit]

    async def info(self, stream: str) -> StreamInfo:
        """Configuration and state.

        Raises:
            Refused: no such stream (10059), or another error.
        """
        return await self.ask(f"STREAM.INFO.{stream}", None, StreamInfo, f"stream {stream}")

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        """As `Bus.subjects`. The server answers with 100,000 of them at once at most."""
        found: dict[str, int] = {}
        while True:
            body = {"subjects_filter": pattern, "offset": len(found)}
            what = f"subjects of {stream}"
            info = await self.ask(f"STREAM.INFO.{stream}", body, StreamInfo, what, _SUBJECTS_TIMEOUT)
            found |= info.state.subjects
            if not info.state.subjects or len(found) >= info.total:
                return found

    async def backlog(self, consumer: ConsumerName) -> int:
        """As `Bus.backlog`."""
        place, what = f"{consumer.stream}.{consumer.name}", f"consumer {consumer.name} of {consumer.stream}"
        info = await self.ask(f"CONSUMER.INFO.{place}", None, ConsumerInfo, what)
        return info.num_pending + info.num_ack_pending
