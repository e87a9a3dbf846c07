"""A client that closed itself is replaced, whatever stands in the way for a while; a race for a stream is no error."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.bus.connect import ConnectError, ConnectOptions
from pocket3d.bus.jetstream.connection import Connection
from pocket3d.bus.jetstream.ensure import _drop_from_memory
from pocket3d.bus.jetstream.publisher import ApiError
from pocket3d.bus.port import Disconnected, Refused


async def test_a_new_client_is_made_until_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Connection(ConnectOptions(servers=("nats://127.0.0.1:1",), reconnect_wait_s=0.001))
    broken = [ConnectError("fleet.creds: no key in it"), Disconnected("the connection broke"), OSError("unreachable")]
    seen: list[bool] = []

    async def connect() -> None:
        if broken:
            raise broken.pop(0)

    monkeypatch.setattr(link, "_connect_client", connect)
    link.on_connection(seen.append)
    await link._revive()
    assert not broken and seen == [True]


class _Reader:
    """A server on which another coordinator is faster, or that refuses."""

    def __init__(self, code: int) -> None:
        self.code = code

    async def api(self, verb: str, body: Any, kind: Any) -> Any:
        if verb.startswith("STREAM.INFO"):
            return kind(config={"storage": "memory"})
        return kind(error=ApiError(code=404, err_code=self.code, description="no"))

    async def ask(self, verb: str, body: Any, kind: Any, what: str) -> Any:
        raise Refused(f"{what}: no ({self.code})", code=self.code)


async def test_a_stream_that_another_coordinator_deleted_first_is_no_error() -> None:
    await _drop_from_memory(_Reader(10059), "X")  # type: ignore[arg-type]
    with pytest.raises(Refused, match="delete stream X"):
        await _drop_from_memory(_Reader(10100), "X")  # type: ignore[arg-type]
