"""Pages of a stream: how many messages are asked for at once."""

from __future__ import annotations

import asyncio
import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from pocket3d.bus.jetstream.reader import Reader


class Link:
    """A server with as many messages of one size as there are."""

    def __init__(self, messages: int, size: int) -> None:
        self.messages = messages
        self.data = base64.b64encode(bytes(size)).decode()
        self.in_flight = self.most = 0

    async def request(self, subject: str, data: bytes, timeout: float, headers: Any) -> Any:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        seq = json.loads(data)["seq"]
        if seq > self.messages:
            return SimpleNamespace(data=json.dumps({"error": {"code": 404, "err_code": 10037}}).encode())
        found = {"subject": "s", "seq": seq, "time": "2026-11-29T06:00:00Z", "data": self.data}
        return SimpleNamespace(data=json.dumps({"message": found}).encode())


@pytest.mark.parametrize(
    ("size", "messages", "most"),
    [(0, 200, 64), (128 * 1024, 130, 64), (256 * 1024, 70, 32), (1_000_000, 20, 8)],
)
async def test_of_large_messages_few_are_asked_for_at_once(size: int, messages: int, most: int) -> None:
    link = Link(messages, size)
    found = await Reader(link).pages("S", "s", 1, 1000)  # type: ignore[arg-type]
    assert [each.seq for each in found] == list(range(1, messages + 1))
    assert link.most == most
