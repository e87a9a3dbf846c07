"""A client on the memory bus and on a real server, each test in a namespace of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from pocket3d.bus.client import Client
from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.clock import WallClock
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import Bus
from pocket3d.bus.topology import TopologySettings, build
from support.job_teller import Teller


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    embedded = EmbeddedServer(Path(tmp_path_factory.mktemp("store")), http_port=None)
    asyncio.run(embedded.start())
    yield embedded
    asyncio.run(embedded.stop())


@pytest.fixture
def namespace() -> str:
    return f"t{secrets.token_hex(4)}"


@pytest.fixture(params=["memory", pytest.param("jetstream", marks=pytest.mark.e2e)])
def server_or_memory(request: pytest.FixtureRequest) -> EmbeddedServer | None:
    return None if request.param == "memory" else request.getfixturevalue("server")


@pytest.fixture
async def bus(server_or_memory: EmbeddedServer | None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    made: Bus
    if server_or_memory is None:
        made = MemoryBus(MemoryServer(WallClock()))
        # No core message is sent when the memory bus stores one, so there only the slow look tells of news.
        monkeypatch.setattr("pocket3d.bus.client.watch.BACKSTOP_S", 0.02)
    else:
        options = ConnectOptions(servers=(server_or_memory.url,), reconnect_wait_s=0.05)
        made = await JetStreamBus.connect(options)
    yield made
    await made.close()


@pytest.fixture
async def client(bus: Bus, namespace: str) -> Client:
    client = Client(bus, namespace)
    await bus.ensure(build(client.subjects, TopologySettings()))
    return client


@pytest.fixture
def tell(client: Client) -> Callable[..., Teller]:
    def make(job_id: str = "chair-0001", feature: str = "echo") -> Teller:
        return Teller(client.bus, client.subjects, job_id, feature)

    return make
