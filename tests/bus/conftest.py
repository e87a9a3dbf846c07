"""The places on which the conformance suite runs: the memory server, and a real nats-server."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

import pytest

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.clock import FakeClock
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Bus
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.subjects import Subjects
from support.nats_fixture import NatsProcess

_namespaces = itertools.count()
SETTINGS = TopologySettings(jobs_max_msgs=3000, jobs_ack_wait_s=1.0)


class Place(Protocol):
    """A server under test, with one namespace for this test."""

    kind: str
    subjects: Subjects

    async def connect(self) -> Any: ...

    async def eventually(self, condition: Callable[[], Any], seconds: float = 10.0) -> None: ...

    async def cut(self) -> None: ...

    async def mend(self) -> None: ...

    async def close(self) -> None: ...


class MemoryPlace:
    kind = "memory"

    def __init__(self) -> None:
        self.subjects = Subjects(f"t{next(_namespaces)}")
        self.clock = FakeClock()
        self.server = MemoryServer(self.clock)
        self.buses: list[MemoryBus] = []

    async def connect(self) -> MemoryBus:
        self.buses.append(MemoryBus(self.server))
        return self.buses[-1]

    async def eventually(self, condition: Callable[[], Any], seconds: float = 10.0) -> None:
        """Time passes in small steps, everybody having their turn between them."""
        end = self.clock.time() + seconds
        while True:
            for _ in range(50):
                await asyncio.sleep(0)
                if condition():
                    return
            assert self.clock.time() < end, "it did not happen"
            self.clock.advance(0.1)

    async def cut(self) -> None:
        for bus in self.buses:
            bus.disconnect()

    async def mend(self) -> None:
        for bus in self.buses:
            bus.reconnect()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


class RealPlace:
    kind = "jetstream"

    def __init__(self, process: NatsProcess) -> None:
        self.subjects = Subjects(f"t{next(_namespaces)}")
        self.process = process
        self.buses: list[JetStreamBus] = []

    async def connect(self) -> JetStreamBus:
        options = ConnectOptions(servers=(self.process.url,), reconnect_wait_s=0.05)
        self.buses.append(await JetStreamBus.connect(options))
        return self.buses[-1]

    async def eventually(self, condition: Callable[[], Any], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            await asyncio.sleep(0.005)

    async def cut(self) -> None:
        await asyncio.to_thread(self.process.kill)
        await self.eventually(lambda: not any(bus.connected for bus in self.buses))

    async def mend(self) -> None:
        await asyncio.to_thread(self.process.start)
        await self.eventually(lambda: all(bus.connected for bus in self.buses))

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    process = NatsProcess(tmp_path_factory.mktemp("nats"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    """A server that the test may kill."""
    process = NatsProcess(tmp_path_factory.mktemp("nats"))
    process.start()
    yield process
    process.kill()


@pytest.fixture(params=["memory", "jetstream"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A server on which the topology of this test's namespace stands."""
    made: Place = MemoryPlace() if request.param == "memory" else RealPlace(request.getfixturevalue("shared_server"))
    bus = await made.connect()
    assert await bus.ensure(build(made.subjects, SETTINGS)) == []
    yield made
    await made.close()


@pytest.fixture(params=["memory", "jetstream"])
async def fragile(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """The same on a server that the test may cut off and kill."""
    made: Place = MemoryPlace() if request.param == "memory" else RealPlace(request.getfixturevalue("own_server"))
    bus = await made.connect()
    assert await bus.ensure(build(made.subjects, SETTINGS)) == []
    yield made
    await made.close()


@pytest.fixture
async def bus(place: Any) -> Bus:
    """The first connection of the place."""
    first: Bus = place.buses[0]
    return first


@pytest.fixture
def s(place: Place) -> Subjects:
    return place.subjects
