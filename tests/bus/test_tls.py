"""TLS that was asked for: a server that offers none gets nothing, least of all the password."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.connect import ConnectError, ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.port import BusError, UntrustedServer
from support.nats_fixture import NatsProcess


class FakeServer:
    """Greets with an INFO of the test's choice and keeps whatever it is sent."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {"server_id": "F", "version": "2.15.1", "max_payload": 1 << 20, "headers": True}
        self.greetings = 0
        self.heard = b""
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greetings += 1
        writer.write(b"INFO " + json.dumps(self.info).encode() + b"\r\n")
        try:
            while data := await reader.read(4096):
                self.heard += data
                writer.write(b"PONG\r\n" * data.count(b"PING\r\n"))
        except ConnectionResetError:
            return
        finally:
            writer.close()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
async def fake() -> AsyncIterator[FakeServer]:
    server = FakeServer()
    yield server
    await server.close()


async def test_without_tls_in_the_greeting_nothing_is_sent(fake: FakeServer, tmp_path: Path) -> None:
    port = await fake.start()
    options = ConnectOptions(servers=(f"tls://user:hunter2@127.0.0.1:{port}",), wait_s=30)
    with pytest.raises(ConnectError, match="offers no TLS") as caught:
        await asyncio.wait_for(JetStreamBus.connect(options), 10)
    assert fake.greetings and fake.heard == b""
    assert "hunter2" not in str(caught.value) and f"127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize("word", ["tls_required", "tls_available"])
async def test_a_server_that_offers_tls_is_greeted_by_it(fake: FakeServer, word: str) -> None:
    fake.info[word] = True
    port = await fake.start()
    options = ConnectOptions(servers=(f"tls://user:hunter2@127.0.0.1:{port}",), wait_s=0.5)
    with pytest.raises(BusError):
        await JetStreamBus.connect(options)
    # A TLS record of a handshake: it knows no certificate, so the connection ends there.
    assert fake.heard[:2] == b"\x16\x03"
    assert b"CONNECT" not in fake.heard and b"hunter2" not in fake.heard


async def test_without_a_wish_for_tls_a_plain_server_is_used_as_ever(fake: FakeServer) -> None:
    port = await fake.start()
    bus = await JetStreamBus.connect(ConnectOptions(servers=(f"nats://127.0.0.1:{port}",), wait_s=10))
    assert b"CONNECT" in fake.heard
    await bus.close()


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")
async def test_a_certificate_that_nobody_vouches_for_is_told_as_that(tmp_path: Path) -> None:
    server = _tls_server(tmp_path)
    server.start()
    try:
        with pytest.raises(
            UntrustedServer, match=r"TLS certificate of the server at tls://127\.0\.0\.1:\d+ is not trust"
        ):
            await JetStreamBus.connect(ConnectOptions(servers=(server.url.replace("nats://", "tls://"),), wait_s=1.0))
    finally:
        server.stop()


def _tls_server(folder: Path) -> NatsProcess:
    cert, key = folder / "cert.pem", folder / "key.pem"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
    )
    return NatsProcess(folder, more_config=f'tls {{ cert_file: "{cert}", key_file: "{key}" }}')


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")
async def test_the_end_of_a_connection_with_tls_is_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = _tls_server(tmp_path)
    server.start()
    try:
        options = ConnectOptions(servers=(server.url.replace("nats://", "tls://"),), tls_ca=tmp_path / "cert.pem")
        bus = await JetStreamBus.connect(options)
        lost = asyncio.Event()
        bus.on_connection(lambda up: None if up else lost.set())
        await bus.request("$JS.API.INFO", b"", timeout=5)
        server.stop()
        await asyncio.wait_for(lost.wait(), 10)
        await bus.close()
    finally:
        server.stop()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
