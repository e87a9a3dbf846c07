"""A real server killed and started again under a waiting client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from pocket3d.bus.client import Client
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import Disconnected
from pocket3d.bus.topology import TopologySettings, build
from support.job_teller import Teller

pytestmark = pytest.mark.e2e


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(tmp_path / "store", http_port=None) as server:
        yield server


async def listening(client: Client, watches: int) -> None:
    async def until() -> None:
        while sum(watch.listening for watch in client.links.watches) < watches:
            await asyncio.sleep(0.001)

    await asyncio.wait_for(until(), 10)


async def test_result_events_and_feed_over_a_killed_server(own: EmbeddedServer) -> None:
    async with (
        Client.connect(own.url, reconnect_wait_s=0.05) as client,
        Client.connect(own.url, reconnect_wait_s=0.05) as system,
    ):
        await system.bus.ensure(build(system.subjects, TopologySettings()))
        handle = await client.submit("echo", job_id="chair-0001")
        job = Teller(system.bus, system.subjects, handle.job_id)
        story = [await job.event("queued")]

        async def events() -> list[object]:
            return [status async for status in handle.events()]

        async def first_of_feed() -> object:
            async with aclosing(client.results("echo", durable="mine")) as feed:
                return await feed.__anext__()

        following = [
            asyncio.ensure_future(events()),
            asyncio.ensure_future(handle.result(timeout=30)),
            asyncio.ensure_future(first_of_feed()),
        ]
        await listening(client, 2)
        down, up = asyncio.Event(), asyncio.Event()
        client.bus.on_connection(lambda connected: up.set() if connected else down.set())
        await own.kill()
        await asyncio.wait_for(down.wait(), 10)
        with pytest.raises(Disconnected):
            await client.submit("echo", timeout=0.3)
        late = asyncio.ensure_future(client.submit("echo", job_id="late"))
        waiting = asyncio.ensure_future(client.job("late").result(timeout=30))
        while len(client.links.watches) < 3:
            await asyncio.sleep(0)
        await own.start()
        await asyncio.wait_for(up.wait(), 10)
        await asyncio.wait_for(late, 20)
        while not system.bus.connected:
            await asyncio.sleep(0.01)
        story += [await job.event("started", "running"), await job.event("succeeded")]
        result = await job.result()
        assert await asyncio.wait_for(asyncio.gather(*following), 30) == [story, result, result]
        late_result = await Teller(system.bus, system.subjects, "late").result()
        assert await waiting == late_result
        # One of each was stored, whatever was repeated.
        assert await system.bus.last_seq(system.subjects.jobs_stream) == 2


async def test_connect_is_awaitable_and_says_when_nobody_is_there(own: EmbeddedServer) -> None:
    client = await Client.connect(own.url)
    assert client.bus.connected
    await client.close()
    await own.kill()
    with pytest.raises(Disconnected, match=str(own.port)):
        await Client.connect(own.url, wait_s=0.5)
    with pytest.raises(ValueError, match="namespace 'No'"):
        await Client.connect(own.url, "No")
