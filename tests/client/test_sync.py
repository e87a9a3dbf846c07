"""The client without await, against a real server."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from pocket3d.bus.client import Client, JobRefused, WaitTimeout
from pocket3d.bus.client.handle import JobHandle
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import Disconnected
from pocket3d.bus.sync import connect
from pocket3d.bus.topology import TopologySettings, build
from support.job_teller import Teller

pytestmark = pytest.mark.e2e


def test_submit_follow_and_download(server: EmbeddedServer, namespace: str, tmp_path: Path) -> None:
    source = tmp_path / "cat.png"
    source.write_bytes(b"cat")

    async def play() -> None:
        async with Client.connect(server.url, namespace) as system:
            job = Teller(system.bus, system.subjects, "chair-0001", "image_to_mesh")
            await job.event("queued")
            await job.progress(0.5)
            artifact = await job.output("chair.glb", b"mesh")
            await job.result(job.make_result(artifacts=[artifact]))
            await job.event("succeeded")

    async def prepare() -> None:
        async with Client.connect(server.url, namespace) as system:
            await system.bus.ensure(build(system.subjects, TopologySettings()))

    asyncio.run(prepare())
    threads = threading.active_count()
    with connect(server.url, namespace) as client:
        with pytest.raises(JobRefused, match="image_path"):
            client.submit("image_to_mesh", {})
        job = client.submit("image_to_mesh", {"image_path": source}, job_id="chair-0001")
        assert job.job_id == "chair-0001"
        with pytest.raises(WaitTimeout):
            job.result(timeout=0.01)
        asyncio.run(play())
        assert [status.status for status in job.events()] == ["queued", "succeeded"]
        assert [progress.fraction for progress in job.progress()] == [0.5]
        assert job.result(timeout=5).status == "succeeded"
        assert [path.read_bytes() for path in job.download(tmp_path / "out")] == [b"mesh"]
        results = client.results("image_to_mesh", durable="mine")
        assert next(results).job_id == "chair-0001"
        results.close()
        assert client.job("chair-0001").status().status == "succeeded"
        assert "download" in dir(job)
        assert set(dir(JobHandle)) <= set(dir(job))
        half_read = job.events()
        next(half_read)
    client.close()
    assert threading.active_count() == threads
    half_read.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.submit("echo")


def test_no_server(tmp_path: Path) -> None:
    threads = threading.active_count()
    with pytest.raises(Disconnected):
        connect("nats://127.0.0.1:1", wait_s=0.3)
    assert threading.active_count() == threads
