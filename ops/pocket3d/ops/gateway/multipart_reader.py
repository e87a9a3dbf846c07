"""Forms with files (multipart/form-data, RFC 7578), part by part as they come; nothing is kept but a piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from litestar import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from .body import pieces
from .errors import HttpError

#: Parts of one form: as many files as a job takes, and its JSON.
_PARTS = 65


class Part(NamedTuple):
    """One part of a form: its name, the file's name if it is a file, and its bytes. Read them before the next part."""

    name: str
    filename: str | None
    data: AsyncGenerator[bytes, None]


def is_form(request: Request[Any, Any, Any]) -> bool:
    """True if the body is a form with files."""
    return request.content_type[0] == "multipart/form-data"


async def form_parts(request: Request[Any, Any, Any], most: int, idle_s: float) -> AsyncGenerator[Part, None]:
    """The parts of a form, in their order; what of a part was not read is passed over.

    Raises:
        HttpError: 400 no such form, 413 more than `most` bytes, 408 nothing comes for `idle_s` seconds.
    """
    boundary = request.content_type[1].get("boundary", "")
    try:
        parser = PushMultipartParser(boundary, max_segment_count=_PARTS)
    except MultipartError as error:
        raise _broken(error) from error
    events = _events(parser, pieces(request, most, idle_s))
    try:
        while True:
            event = await anext(events, None)
            if not isinstance(event, MultipartSegment):
                break
            data = _data_of(events)
            yield Part(event.name or "", event.filename, data)
            async for _ in data:
                pass
    finally:
        await events.aclose()


async def _events(
    parser: PushMultipartParser, body: AsyncIterator[bytes]
) -> AsyncGenerator[MultipartSegment | bytes | None, None]:
    try:
        async for piece in body:
            for event in parser.parse(piece):
                yield bytes(event) if isinstance(event, bytearray) else event
        parser.close()
    except MultipartError as error:
        raise _broken(error) from error


async def _data_of(events: AsyncGenerator[MultipartSegment | bytes | None, None]) -> AsyncGenerator[bytes, None]:
    while True:
        event = await anext(events, None)
        if not isinstance(event, bytes):
            return
        yield event


def _broken(error: MultipartError) -> HttpError:
    return HttpError(400, f"the form cannot be read: {error}", "body")
