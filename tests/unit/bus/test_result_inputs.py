"""What is looked at before a job is stored that names files of other jobs: are they there, and for how long?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.bus.client import Client
from pocket3d.bus.client.submission import with_jobs
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import ObjectInfo
from pocket3d.bus.result_inputs import check_results
from pocket3d.bus.sync_face import LoopThread, unwrapped
from pocket3d.bus.sync_handles import SyncJob
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.codec import encode
from pocket3d.contracts.jobs import Job, Rejection
from pocket3d.contracts.messages import Artifact, Result
from pocket3d.contracts.subjects import Subjects

SUBJECTS = Subjects()
NOW = 1_795_000_000.0
#: How much longer the bucket of these tests keeps what lies in it, seconds.
LEFT_S = 10_000.0


class AgeingBus(MemoryBus):
    """A bus whose outputs leave by age."""

    async def object_info(self, bucket: str, name: str) -> ObjectInfo | None:
        info = await super().object_info(bucket, name)
        return info._replace(kept_until=NOW + LEFT_S) if info is not None else None


@pytest.fixture
async def bus() -> MemoryBus:
    made = AgeingBus(MemoryServer())
    await made.ensure(build(SUBJECTS, TopologySettings()))
    return made


async def stored(bus: MemoryBus, *, status: str = "succeeded", kept: bool = True) -> None:
    """The result of `chair`, with one mesh."""
    artifact = Artifact(
        name="a.glb", bucket=SUBJECTS.outputs_bucket, object="chair/1-1/a.glb", size=4, sha256="00",
        media_type="model/gltf-binary",
    )  # fmt: skip
    result = Result(job_id="chair", feature="echo", status=status, artifacts=[artifact])
    await bus.append(SUBJECTS.proposal("echo", "chair"), encode(result))
    if kept:
        await bus.put_object(SUBJECTS.outputs_bucket, artifact.object, b"glTF")


async def check(bus: MemoryBus, limits: Mapping[str, Any] | None = None, **inputs: Any) -> Rejection | None:

    job = msgspec.convert({"inputs": inputs or {"mesh_path": {"result": "chair"}}, "limits": limits or {}}, Job)
    return await check_results(bus, SUBJECTS, job, NOW)


async def test_a_handle_stands_for_the_file_of_its_job_also_that_of_the_client_without_await(bus: MemoryBus) -> None:
    handle = Client(bus).job("chair")
    thread = LoopThread()
    sync = SyncJob(handle, thread)
    given = {"mesh_path": handle, "image_paths": [sync, sync.artifact("a.png"), Path("b.png")], "n": 1}
    assert with_jobs(unwrapped(given) or {}) == {
        "mesh_path": {"result": "chair"},
        "image_paths": [{"result": "chair"}, {"result": "chair", "name": "a.png"}, Path("b.png")],
        "n": 1,
    }
    assert sync.as_input == {"result": "chair"}
    thread.stop()


async def test_what_is_there_for_long_enough_is_no_matter(bus: MemoryBus) -> None:
    await stored(bus)
    assert await check(bus) is None
    assert await check(bus, {"load_s": 900.0, "start_to_close_s": LEFT_S - 900.0}) is None


async def test_a_job_that_may_take_longer_than_its_file_is_kept_is_refused(bus: MemoryBus) -> None:
    await stored(bus)
    found = await check(bus, {"load_s": 900.0, "start_to_close_s": LEFT_S - 899.0})
    assert found is not None
    assert (found.code.value, found.field) == ("artifact_missing", "inputs.mesh_path.result")
    assert "a.glb of job chair is kept for 10000 s more and the job may take 10001 s" in found.message
    waits = await check(bus, {"load_s": 1.0, "start_to_close_s": 1.0, "schedule_to_start_s": LEFT_S})
    assert waits is not None, "the wait for a start is one of the limits"


async def test_a_file_that_is_gone_is_missing(bus: MemoryBus) -> None:
    await stored(bus, kept=False)
    found = await check(bus)
    assert found is not None
    assert (found.code.value, found.field) == ("artifact_missing", "inputs.mesh_path.result")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_what_did_not_succeed_or_has_not_ended_is_left_to_the_coordinator(bus: MemoryBus, status: str) -> None:
    assert await check(bus) is None
    await stored(bus, status=status)
    assert await check(bus) is None


async def test_several_files_are_looked_at(bus: MemoryBus, tmp_path: Path) -> None:
    await stored(bus)
    found = await check(bus, image_paths=[{"artifact": "sha256-00"}, {"result": "chair"}])
    assert found is not None and found.field == "inputs.image_paths[1].name"
