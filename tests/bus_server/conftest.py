"""One real server for a module of tests, and a connection for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats.js
import pytest

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.nats_server.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    embedded = EmbeddedServer(Path(tmp_path_factory.mktemp("store")), http_port=None)
    asyncio.run(embedded.start())
    yield embedded
    asyncio.run(embedded.stop())


@pytest.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[JetStreamBus]:
    bus = await JetStreamBus.connect(ConnectOptions(servers=(server.url,), reconnect_wait_s=0.05))
    yield bus
    await bus.close()


@pytest.fixture
async def js(server: EmbeddedServer) -> AsyncIterator[nats.js.JetStreamContext]:
    client = await nats.connect(server.url)
    yield client.jetstream()
    await client.close()
