"""A worker's word on its output files: names, paths and sizes may be anything, and cost its own job only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.contracts.commands import StoredFile
from pocket3d.contracts.subjects import Subjects
from pocket3d.contracts.worker_frames import OutputFile
from pocket3d.gpu_agents.engine.effects import FetchInputs, UploadOutputs
from pocket3d.gpu_agents.engine.events import InputsFailed, InputsFetched, OutputsUploaded, UploadFailed
from pocket3d.gpu_agents.io.job_files import JobFiles
from pocket3d.gpu_agents.io.job_folders import JobFolders

SUBJECTS = Subjects()
MOST = 8 * 1024 * 1024


class Rig:
    """The files of one agent with one job."""

    def __init__(self, files: JobFiles, home: Path) -> None:
        self.files = files
        self.home = home

    def file(self, name: str, data: bytes = b"glTF") -> OutputFile:
        path = self.home / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return OutputFile(name=name, path=str(path), size=len(data))

    async def upload(self, *files: OutputFile) -> OutputsUploaded | UploadFailed:
        return await self.files.upload(UploadOutputs("1-1", "job", files))

    async def refused(self, *files: OutputFile) -> str:
        """What is said of files that are no use to try again."""
        answer = await self.upload(*files)
        assert isinstance(answer, UploadFailed) and answer.permanent
        assert await self.files.bus.object_info(SUBJECTS.outputs_bucket, f"job/1-1/{files[0].name}") is None
        return answer.message


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    folders = JobFolders(tmp_path)
    files = JobFiles(bus, folders, SUBJECTS.inputs_bucket, SUBJECTS.outputs_bucket, MOST, MOST)
    return Rig(files, Path(await folders.take("1-1")))


async def test_what_a_worker_names_properly_is_stored(rig: Rig) -> None:
    answer = await rig.upload(rig.file("mesh.glb"), rig.file("parts/part-2.glb"), rig.file("x" * 120 + "-2.glb"))
    assert isinstance(answer, OutputsUploaded)
    assert [each.name for each in answer.artifacts][:2] == ["mesh.glb", "parts/part-2.glb"]
    assert answer.artifacts[0].object == "job/1-1/mesh.glb"


@pytest.mark.parametrize(
    "name",
    ["../../../x\ny", "a > * . b", "x\x1b[2J", "/etc/passwd", "", ".", "a//b", ".hidden", "-rf", "n\u00e4", "a" * 1001],
)
async def test_a_name_that_is_none_of_an_artifact_fails_the_job(rig: Rig, name: str) -> None:
    real = rig.file("mesh.glb")
    said = await rig.refused(OutputFile(name=name, path=real.path, size=4))
    assert "is no name of an artifact" in said and "\n" not in said and "\x1b" not in said


async def test_a_name_that_is_given_twice_fails_the_job(rig: Rig) -> None:
    assert "is given twice" in await rig.refused(rig.file("mesh.glb"), rig.file("mesh.glb"))


async def test_a_path_that_is_no_file_of_the_job_fails_the_job(rig: Rig, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("x")
    (rig.home / "out" / "ring").symlink_to("ring")
    (rig.home / "out" / "link").symlink_to(outside)
    for path in (f"{rig.home}/out/a\0b", f"{rig.home}/out/ring", f"{rig.home}/out/link", str(outside), "/dev/zero", ""):
        assert await rig.refused(OutputFile(name="mesh.glb", path=path, size=1))


async def test_files_beyond_the_limit_fail_the_job_before_any_is_stored(rig: Rig) -> None:
    assert "max_output_mb" in await rig.refused(rig.file("a.glb", os.urandom(MOST + 1)))
    half = os.urandom(MOST // 2 + 1)
    assert "max_output_mb" in await rig.refused(rig.file("a.glb", half), rig.file("b.glb", half))


async def test_a_file_of_holes_is_refused(rig: Rig) -> None:
    holes = rig.file("a.glb")
    with Path(holes.path).open("r+b") as file:
        file.truncate(MOST)
    assert "consists of holes" in await rig.refused(holes)
    with Path(holes.path).open("wb") as file:
        file.truncate(MOST)
    assert "consists of holes" in await rig.refused(holes)
    Path(holes.path).write_bytes(bytes(MOST))
    assert isinstance(await rig.upload(holes), OutputsUploaded), "zeros that were written are data"


async def test_a_file_that_another_job_made_is_fetched_from_where_it_lies(rig: Rig) -> None:
    await rig.upload(rig.file("parts/leg.glb", b"glTF of a leg"))
    inputs = {"mesh_path": {"result": "job", "name": "parts/leg.glb"}, "image_paths": [{"result": "job"}]}
    leg = StoredFile(bucket=SUBJECTS.outputs_bucket, object="job/1-1/parts/leg.glb")
    objects = {"inputs.mesh_path": leg, "inputs.image_paths[0]": leg}
    found = await rig.files.fetch(FetchInputs("2-1", "rigged", inputs, objects))
    assert isinstance(found, InputsFetched)
    mesh, image = Path(found.inputs["mesh_path"]), Path(found.inputs["image_paths"][0])
    assert (mesh.name, mesh.read_bytes()) == ("leg.glb", b"glTF of a leg")
    assert image.read_bytes() == b"glTF of a leg"
    assert found.input_bytes == 2 * 13
    assert inputs["mesh_path"] == {"result": "job", "name": "parts/leg.glb"}


GONE = StoredFile(bucket=SUBJECTS.outputs_bucket, object="job/1-1/gone.glb")


@pytest.mark.parametrize("objects", [{}, {"inputs.mesh_path": GONE}])
async def test_a_file_of_another_job_that_is_gone_is_missing(rig: Rig, objects: dict[str, StoredFile]) -> None:
    found = await rig.files.fetch(FetchInputs("2-1", "rigged", {"mesh_path": {"result": "job"}}, objects))
    assert isinstance(found, InputsFailed)
    assert (found.code, found.field) == ("artifact_missing", "inputs.mesh_path")
