"""Streamed uploads over one connection share what may be on its way, and keep the order of their chunks."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pocket3d.bus.jetstream.objects.layout import CHUNK_BYTES
from pocket3d.bus.jetstream.objects.link import ROOM_BYTES, ObjectLink
from pocket3d.bus.jetstream.objects.streamed import _Sending


class Publisher:
    """A server that stores nothing before it is told to."""

    def __init__(self) -> None:
        self.flying: list[tuple[str, asyncio.Future[int]]] = []
        self.most = 0

    async def append(self, subject: str, *_: Any) -> int:
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.flying.append((subject, stored))
        self.most = max(self.most, len(self.flying))
        return await stored


async def test_uploads_share_the_room_of_their_connection() -> None:
    server = Publisher()
    link = ObjectLink(cast(Any, None), cast(Any, None), cast(Any, server))
    sent: dict[str, int] = {}

    async def upload(subject: str) -> None:
        sending = _Sending(link, subject, CHUNK_BYTES)
        for _ in range(6):
            await sending.take(b"x" * CHUNK_BYTES)
        await sending.finish()
        sent[subject] = sending.chunks

    uploads = [asyncio.ensure_future(upload(str(number))) for number in range(12)]
    seq = 0
    while not all(each.done() for each in uploads):
        for _ in range(5):
            await asyncio.sleep(0)
        for _, stored in server.flying:
            seq += 1
            stored.set_result(seq)
        server.flying.clear()
    for each in uploads:
        each.result()
    assert sent == {str(number): 6 for number in range(12)}
    assert server.most == ROOM_BYTES // CHUNK_BYTES < 12 * 4
