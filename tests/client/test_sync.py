"""The client without await, against a real server."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import threading
from pathlib import Path
from typing import Any, cast

import mypy.api
import pytest

from pocket3d.bus import sync_export
from pocket3d.bus.client import Client, JobRefused, WaitTimeout
from pocket3d.bus.client.handle import JobHandle
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import Disconnected
from pocket3d.bus.sync import SyncClient, SyncJob, connect
from pocket3d.bus.sync_face import SyncFace, unwrapped
from pocket3d.bus.topology import TopologySettings, build
from support.job_teller import Teller
from support.pages import ROOT


@pytest.mark.e2e
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
        assert isinstance(job, SyncJob)
        half_read = job.events()
        next(half_read)
    client.close()
    assert threading.active_count() == threads
    half_read.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.submit("echo")


def public(target: type[object]) -> set[str]:
    return {name for name, value in vars(target).items() if callable(value) and not name.startswith("_")}


def test_every_method_is_there_with_its_types() -> None:
    for path, text in sync_export.texts().items():
        assert text == path.read_text(encoding="utf-8"), "python -m pocket3d.bus.sync_export --write"
    assert public(JobHandle) == public(SyncJob)
    for name in public(Client):
        assert callable(getattr(SyncClient, name)), name
    here = inspect.signature(SyncClient.submit)
    assert list(here.parameters) == list(inspect.signature(Client.submit).parameters)
    assert here.return_annotation == "SyncJob"


def test_help_shows_what_can_be_called() -> None:
    told = pydoc.plain(pydoc.render_doc(SyncClient))
    assert "submit(self, feature: 'str'" in told
    assert "Upload the job's files and publish it" in told


def test_a_checker_finds_a_mistake_in_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pocket3d.bus.sync import connect\n"
        "with connect() as client:\n"
        "    job = client.submit('echo', priority=7)\n"
        "    reveal_type(job.result().status)\n"
        "    job.results()\n"
    )
    told, _, code = mypy.api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"), str(script)]
    )
    assert code == 1
    assert 'script.py:3: error: Argument "priority" to "submit"' in told
    assert 'script.py:4: note: Revealed type is "builtins.str"' in told or 'Revealed type is "str"' in told
    assert 'script.py:5: error: "SyncJob" has no attribute "results"' in told
    assert told.count("error:") == 2, told


def test_handles_among_inputs_are_those_of_the_client_beneath() -> None:
    handle = object()
    face = SyncFace(handle, cast(Any, None))
    assert unwrapped({"mesh_path": face, "image_paths": [face, "x"], "seed": 7}) == {
        "mesh_path": handle,
        "image_paths": [handle, "x"],
        "seed": 7,
    }
    assert unwrapped(None) is None


def test_no_server(tmp_path: Path) -> None:
    threads = threading.active_count()
    with pytest.raises(Disconnected):
        connect("nats://127.0.0.1:1", wait_s=0.3)
    assert threading.active_count() == threads
