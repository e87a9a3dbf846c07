"""Answers that go out piece by piece: their end is told once, however it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from pocket3d.ops.gateway.streamed_response import StreamedResponse


async def test_an_answer_that_is_cancelled_again_while_it_ends_gives_its_place_back() -> None:
    held_up, given_back = asyncio.Event(), []

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x"
            await asyncio.Event().wait()
        finally:
            held_up.set()
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        return None

    response = StreamedResponse(pieces(), 200, {}, 5.0, lambda: given_back.append(1))
    answering = asyncio.ensure_future(response.to_asgi_response()({}, receive, send))
    await asyncio.sleep(0)
    while not held_up.is_set():
        answering.cancel()
        await asyncio.wait([answering], timeout=0.01)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert given_back == [1]
