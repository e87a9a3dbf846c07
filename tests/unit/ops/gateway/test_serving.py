"""The socket and the protocol under the application: quick answers, many connections, none that waits for ever."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any

import pytest

pytest.importorskip("uvicorn")

from uvicorn import Config
from uvicorn.server import ServerState

from pocket3d.ops.gateway import http_protocol
from pocket3d.ops.gateway.http_protocol import TimedProtocol
from pocket3d.ops.gateway.listening import allow_many_files, listening_socket


def test_what_a_connection_is_given_is_sent_at_once() -> None:
    with listening_socket("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()[:2]):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_more_files_may_be_open_than_a_shell_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(1024, before[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= before[0], "it is never lowered"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_connection_that_does_not_ask_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_S", 0.05)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked.set()
        await answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    config = Config(app, http=TimedProtocol, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: TimedProtocol(config, state, {}), "127.0.0.1", 0)

    async def connect(sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        return reader, writer

    async def closed(sent: bytes) -> None:
        reader, writer = await connect(sent)
        assert await reader.read() == b""
        writer.close()

    try:
        waiting, writer = await connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(asked.wait(), 10)
        # Each of these waits for longer than a request may take to come, while the one above is answered.
        for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"):
            await asyncio.wait_for(closed(sent), 10)
        answer.set()
        assert (await waiting.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await waiting.readexactly(2) == b"ok"
        writer.write(b"GET / HT")
        assert await asyncio.wait_for(waiting.read(), 10) == b"", "nor does it wait for ever after an answer"
        writer.close()
    finally:
        server.close()
        await server.wait_closed()
