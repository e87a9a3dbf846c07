"""Bodies of requests, bounded before they are read: whole as JSON, or piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from litestar import Request
from litestar.exceptions import ClientException

from pocket3d.contracts.codec import decode

from .errors import HttpError

T = TypeVar("T")

#: Of a body so much comes in each `idle_s` seconds, or the sender is too slow: whoever waits for his turn behind him
#: would wait for hours.
_LEAST_BYTES = 64 * 1024
#: What follows of such a body is not read.
_CLOSE = {"Connection": "close"}


async def read_json(request: Request[Any, Any, Any], most: int) -> dict[str, Any]:
    """The JSON object of a request; `{}` for an empty body.

    Raises:
        HttpError: 413 larger than `most` bytes, 408 nothing comes.
        WireError: no JSON object.
    """
    data = await read_whole(request, most)
    return decode(dict[str, Any], data or b"{}")


async def read_struct(request: Request[Any, Any, Any], kind: type[T], most: int) -> T:
    """The JSON of a request as a message. Errors as `read_json`."""
    return decode(kind, await read_whole(request, most) or b"{}")


async def read_whole(request: Request[Any, Any, Any], most: int, idle_s: float = 30.0) -> bytes:
    """A small body. Errors as `pieces`."""
    return b"".join([piece async for piece in pieces(request, most, idle_s)])


def check_length(request: Request[Any, Any, Any], most: int) -> None:
    """Refuse a body that says to be too large, before anything of it is read.

    Raises:
        HttpError: 413; 400 for a length that is none.
    """
    try:
        length = request.content_length
    except ClientException as error:
        raise HttpError(400, "Content-Length is no number") from error
    if length is not None and length > most:
        raise HttpError(413, f"the body has {length} bytes, at most {most} are taken", headers=_CLOSE)


async def pieces(request: Request[Any, Any, Any], most: int, idle_s: float) -> AsyncGenerator[bytes, None]:
    """The body piece by piece, counted.

    Raises:
        HttpError: 413 larger than `most` bytes, whatever it says; 408 less than 64 KiB come in `idle_s` seconds.
        litestar.exceptions.InternalServerException: the client has gone.
    """
    check_length(request, most)
    clock = asyncio.get_running_loop().time
    seen = 0
    # Only the time in which we wait for the sender counts.
    recent, left_s = 0, idle_s
    stream = request.stream()
    while True:
        begun = clock()
        try:
            piece = await asyncio.wait_for(_next(stream), left_s)
        except asyncio.TimeoutError:
            why = f"only {recent} bytes" if recent else "nothing"
            raise HttpError(408, f"{why} came in {idle_s:g} s", headers=_CLOSE) from None
        if piece is None:
            return
        seen += len(piece)
        recent += len(piece)
        left_s = max(left_s - (clock() - begun), 0.001)
        if recent >= _LEAST_BYTES:
            recent, left_s = 0, idle_s
        if seen > most:
            raise HttpError(413, f"the body has more than {most} bytes", headers=_CLOSE)
        if piece:
            yield piece


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    return await anext(stream, None)
