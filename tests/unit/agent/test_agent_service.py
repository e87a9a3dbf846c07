"""The service around the engine, on a bus in memory, with worker processes that are only played."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.clock import WallClock
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Expect, Msg
from pocket3d.contracts import worker_frames as frames
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import (
    AttemptFailed,
    Award,
    AwardJobs,
    AwardsAnswered,
    CallAnswered,
    CallForBids,
    CommandRefused,
    Lot,
    OutcomesNoted,
    OutcomesReported,
    ReportState,
)
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import Advert, Progress, Result
from pocket3d.contracts.subjects import Subjects
from pocket3d.gpu_agents.devices.probes.cpu import memory_mb
from pocket3d.gpu_agents.devices.probes.inventory import CombinedProbe
from pocket3d.gpu_agents.devices.probes.port import Probe, Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.io.describe import DeclaredAdapter
from pocket3d.gpu_agents.service import AgentService
from pocket3d.gpu_agents.settings import AgentSettings
from pocket3d.gpu_agents.workers.launch import WorkerExit, WorkerLaunch
from support.agent_rig import adapter, fixed, gpu

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


async def until(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.005)


class PlayedWorkers:
    """`WorkerHost`, played: a worker loads at once, and `work` says what becomes of a job."""

    def __init__(self) -> None:
        self.launches: dict[str, WorkerLaunch] = {}
        self.jobs: list[frames.RunJob] = []
        self.cancelled: list[str] = []
        self.closed = False
        self.work: Callable[[frames.RunJob], list[frames.Frame]] = lambda job: [
            frames.RunFinished(run_id=job.run_id, outputs={"success": True}, files=[], run_s=0.1)
        ]
        self._ends: dict[str, tuple[Callable[[str, Any], None], Callable[[WorkerExit], None]]] = {}

    async def start(
        self,
        worker_id: str,
        launch: WorkerLaunch,
        on_frame: Callable[[str, Any], None],
        on_exit: Callable[[WorkerExit], None],
    ) -> int | None:
        self.launches[worker_id] = launch
        self._ends[worker_id] = on_frame, on_exit
        on_frame(worker_id, frames.Hello(protocol=frames.PROTOCOL, pid=4000 + len(self.launches), python="3"))
        on_frame(worker_id, frames.ModelLoaded(load_s=0.1))
        return 4000

    async def send(self, worker_id: str, frame: frames.Frame) -> bool:
        self.begin(worker_id, frame)
        return worker_id in self._ends

    def begin(self, worker_id: str, frame: frames.Frame) -> None:
        if worker_id not in self._ends:
            return
        if isinstance(frame, frames.RunJob):
            self.jobs.append(frame)
            for answer in self.work(frame):
                self._ends[worker_id][0](worker_id, answer)
        elif isinstance(frame, frames.CancelRun):
            self.cancelled.append(frame.run_id)
        elif isinstance(frame, frames.Shutdown):
            self.exit(worker_id)

    async def stop(self, worker_id: str, kill: bool = False) -> None:
        self.exit(worker_id)

    def exit(self, worker_id: str) -> None:
        ends = self._ends.pop(worker_id, None)
        if ends is not None:
            ends[1](WorkerExit(worker_id=worker_id, code="worker_crashed", message="was killed by SIGKILL"))

    async def aclose(self, grace_s: float = 5.0) -> None:
        self.closed = True
        for worker_id in list(self._ends):
            self.exit(worker_id)


class Stage:
    """One agent service, and a coordinator played by the test."""

    def __init__(
        self, folder: Path, devices: list[DeviceSpec] | None = None, probe: Probe | None = None, **settings: Any
    ) -> None:
        self.folder = folder
        self.subjects = Subjects()
        self.server = MemoryServer(WallClock())
        self.link = MemoryBus(self.server)
        self.bus = MemoryBus(self.server)
        self.workers = PlayedWorkers()
        self.adverts: list[Advert] = []
        self.outcomes: list[Any] = []
        self.answer_outcomes = True
        self.stop = asyncio.Event()
        self._awards = 0
        devices = devices or [fixed()]

        async def describe(declared: Any) -> list[frames.AdapterDescription]:
            return [adapter(each.spec.adapter_id, max_concurrent=4) for each in declared]

        spec = frames.AdapterSpec(adapter_id="alpha", class_path="a.B", config={"x": 1})
        self.service = AgentService(
            self.link,
            self.subjects,
            "g1",
            devices=devices,
            probe=probe or CombinedProbe([], devices),
            workers=self.workers,
            declared=[DeclaredAdapter(spec=spec, python="/opt/python", env={"A": "b"})],
            work_dir=folder,
            settings=AgentSettings(
                outcome_retry_s=0.05,
                cancel_grace_s=0.05,
                max_input_mb=1,
                fast_probe_s=0.02,
                tick_s=0.05,
                reading_s=1.0,
                **settings,
            ),
            describe=describe,
        )
        self.running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.bus.ensure(topology.build(self.subjects, topology.TopologySettings()))
        await self.bus.subscribe(self.subjects.all_adverts(), self._on_advert)
        await self.bus.subscribe(self.subjects.all_outcomes(), self._on_outcome)
        self.running = asyncio.create_task(self.service.run(self.stop))
        await asyncio.wait_for(self.service.until_ready(), 10)
        await until(lambda: self.adverts)

    async def end(self) -> None:
        self.stop.set()
        assert self.running is not None
        await asyncio.wait_for(self.running, 10)

    async def _on_advert(self, msg: Msg) -> None:
        self.adverts.append(decode(Advert, msg.data))

    async def _on_outcome(self, msg: Msg) -> None:
        report = decode(OutcomesReported, msg.data)
        self.outcomes += report.outcomes
        if self.answer_outcomes:
            kinds = {"AttemptStarted": "attempt_started", "AttemptFailed": "attempt_failed"}
            noted = [f"{o.token}/{kinds[type(o).__name__]}" for o in report.outcomes]
            await self.bus.respond(msg, encode(OutcomesNoted(noted=noted)))

    async def command(self, command: Any) -> bytes:
        answer = await self.bus.request(self.subjects.command("g1"), encode(command), timeout=5)
        return answer.data

    async def award(
        self, inputs: dict[str, Any] | None = None, adapter_id: str = "alpha", device: str = "fixed-0"
    ) -> Award:
        self._awards += 1
        award = Award(
            job_id=f"job-{self._awards}",
            feature="text_to_mesh",
            attempt=1,
            token=f"5-{self._awards}",
            adapter_id=adapter_id,
            device=device,
            job=Job(inputs=inputs or {"text_prompt": "a chair"}),
            submitted_at="2026-11-23T21:50:00.000Z",
            queued_s=0.0,
        )
        data = await self.command(AwardJobs(coordinator_id="c", epoch=5, awards=[award]))
        (answer,) = decode(AwardsAnswered, data).answers
        assert answer.accepted, answer
        return award

    async def result(self, job_id: str) -> Result:
        async def read() -> Any:
            return await self.bus.last(self.subjects.results_stream, self.subjects.result_of(job_id))

        return decode(Result, (await until(read)).data)

    async def failure(self, token: str) -> AttemptFailed:
        def found() -> Any:
            return next((o for o in self.outcomes if isinstance(o, AttemptFailed) and o.token == token), None)

        failed = await until(found)
        assert isinstance(failed, AttemptFailed)
        return failed

    def job_files(self) -> list[Path]:
        walked = os.walk(self.folder)
        return [Path(folder, name) for folder, _, names in walked for name in names if "/jobs/" in folder]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path / "work")
    await made.begin()
    yield made
    await made.end()


def writes(name: str = "mesh.glb", data: bytes = b"glTF....") -> Callable[[frames.RunJob], list[frames.Frame]]:
    def work(job: frames.RunJob) -> list[frames.Frame]:
        path = Path(job.output_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        file = frames.OutputFile(name=name, path=str(path), size=len(data))
        return [
            frames.RunProgress(run_id=job.run_id, fraction=0.5, stage="shape"),
            frames.RunFinished(run_id=job.run_id, outputs={"mesh": name}, files=[file], run_s=0.2, vram_peak_mb=99),
        ]

    return work


async def test_from_call_to_stored_result(stage: Stage) -> None:
    bids: list[CallAnswered] = []

    async def on_bids(msg: Msg) -> None:
        bids.append(decode(CallAnswered, msg.data))

    await stage.bus.subscribe(stage.subjects.bids("c"), on_bids)
    call = CallForBids(coordinator_id="c", epoch=5, call_id=3, lots=[Lot(lot=0, feature="text_to_mesh")])
    await stage.bus.publish(stage.subjects.command("g1"), encode(call))
    await until(lambda: bids)
    assert (bids[0].call_id, bids[0].bids[0].device) == (3, "fixed-0")

    stage.workers.work = writes("sub/mesh.glb")
    award = await stage.award()
    result = await stage.result(award.job_id)
    assert (result.status, result.token, result.outputs) == ("succeeded", award.token, {"mesh": "sub/mesh.glb"})
    (made,) = result.artifacts
    assert (made.name, made.bucket, made.media_type) == ("sub/mesh.glb", "P3D_OUTPUTS", "model/gltf-binary")
    assert made.object == f"{award.job_id}/{award.token}/sub/mesh.glb"
    info = await stage.bus.object_info(made.bucket, made.object)
    assert info is not None and (info.size, info.sha256) == (made.size, made.sha256)
    progress = await stage.bus.last(stage.subjects.progress_stream, stage.subjects.progress_of(award.job_id))
    assert progress is not None and decode(Progress, progress.data).stage == "shape"
    (launch,) = stage.workers.launches.values()
    assert (launch.python, launch.env, launch.spec.config) == ("/opt/python", {"A": "b"}, {"x": 1})
    await until(lambda: not stage.job_files())


@pytest.mark.parametrize("set_mb", [None, 3000])
async def test_a_worker_may_hold_so_much_of_the_hosts_memory(set_mb: int | None, tmp_path: Path) -> None:
    stage = Stage(tmp_path / "work", worker_memory_mb=set_mb)
    await stage.begin()
    stage.workers.work = writes()
    await stage.result((await stage.award()).job_id)
    (launch,) = stage.workers.launches.values()
    assert launch.memory_limit_mb == (set_mb or int(0.9 * memory_mb()))
    await stage.end()


async def test_outputs_go_to_the_bucket_that_is_set_for_this_agent(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "work", outputs_bucket=Subjects("host").outputs_bucket)
    await stage.bus.ensure(topology.build(Subjects("host"), topology.TopologySettings()))
    await stage.begin()
    stage.workers.work = writes("mesh.glb")
    (made,) = (await stage.result((await stage.award()).job_id)).artifacts
    assert made.bucket == "HOST_OUTPUTS"
    assert await stage.bus.object_info("HOST_OUTPUTS", made.object) is not None
    assert await stage.bus.object_info("P3D_OUTPUTS", made.object) is None
    await stage.end()


async def test_each_step_of_a_job_is_one_line_of_the_log(stage: Stage) -> None:
    stage.workers.work = writes()
    with structlog.testing.capture_logs() as logs:
        award = await stage.award()
        await stage.result(award.job_id)
        await until(lambda: not stage.service.engine.core.runs)
        await asyncio.sleep(0)  # lines are written behind the step itself
    lines = [entry for entry in logs if entry.get("job_id") == award.job_id]
    assert [entry["event"] for entry in lines if entry["event"] not in ("job loading",)] == [
        "job accepted",
        "job running",
        "job uploading",
        "job stored",
    ]
    for entry in lines:
        named = {key: entry[key] for key in ("job_id", "attempt", "token", "agent_id", "log_level")}
        assert named == {
            "job_id": award.job_id, "attempt": 1, "token": award.token, "agent_id": "g1", "log_level": "info"
        }  # fmt: skip


async def test_adapters_that_are_declared_later_are_advertised_and_run(stage: Stage) -> None:
    await stage.result((await stage.award()).job_id)
    later = frames.AdapterSpec(adapter_id="later", class_path="c.D")
    again = frames.AdapterSpec(adapter_id="alpha", class_path="a.B", config={"x": 2})
    described = await stage.service.declare([DeclaredAdapter(spec=later), DeclaredAdapter(spec=again)])
    assert [each.adapter_id for each in described] == ["later", "alpha"]
    offered = [[a.adapter_id for a in advert.adapters] for advert in stage.adverts if advert.adapters]
    assert offered[0] == ["alpha"]
    await until(
        lambda: any(a.adapters and [o.adapter_id for o in a.adapters] == ["alpha", "later"] for a in stage.adverts)
    )
    await stage.result((await stage.award(adapter_id="later")).job_id)
    assert [launch.spec.class_path for launch in stage.workers.launches.values()] == ["a.B", "c.D"]


async def test_files_among_the_inputs_become_local_paths_with_a_suffix(stage: Stage) -> None:
    await stage.bus.put_object("P3D_INPUTS", "sha256-aa", PNG)
    await stage.bus.put_object("P3D_INPUTS", "sha256-bb", b"v 1 2 3\nf 1 1 1\n", headers={"filename": "chair.obj"})
    seen: list[dict[str, Any]] = []

    def work(job: frames.RunJob) -> list[frames.Frame]:
        paths = [job.inputs["image_path"], job.inputs["mesh_path"], *job.inputs["image_paths"]]
        seen.append({Path(path).name: Path(path).read_bytes() for path in paths})
        assert all(job.job_dir in path for path in paths)
        assert job.published_inputs is not None and job.published_inputs["image_path"] == {"artifact": "sha256-aa"}
        return [frames.RunFinished(run_id=job.run_id, outputs={}, files=[], run_s=0.1)]

    stage.workers.work = work
    inline = {"inline": base64.b64encode(PNG).decode(), "filename": "front.png"}
    award = await stage.award(
        {
            "text_prompt": "x",
            "image_path": {"artifact": "sha256-aa"},
            "mesh_path": {"artifact": "sha256-bb"},
            "image_paths": [inline, {"artifact": "sha256-aa", "filename": "side.png"}],
        }
    )
    await stage.result(award.job_id)
    (names,) = seen
    assert sorted(names) == ["chair.obj", "front.png", "input.png", "side.png"]
    assert names["front.png"] == PNG


@pytest.mark.parametrize(
    ("reference", "code", "field"),
    [
        ({"artifact": "sha256-none"}, "artifact_missing", "inputs.image_path"),
        ({"artifact": "sha256-big"}, "too_large", "inputs.image_path"),
        ({"inline": "AAAA", "filename": "../x.png"}, "invalid_input", "inputs.image_path.filename"),
        ("/etc/passwd", "invalid_input", "inputs.image_path"),
    ],
)
async def test_inputs_that_cannot_be_had(stage: Stage, reference: Any, code: str, field: str) -> None:
    await stage.bus.put_object("P3D_INPUTS", "sha256-big", b"0" * (1024 * 1024 + 1))
    award = await stage.award({"text_prompt": "x", "image_path": reference})
    failed = await stage.failure(award.token)
    assert (failed.code, failed.field) == (code, field)
    await until(lambda: not stage.job_files())


async def test_a_lost_result_takes_its_artifacts_away_and_only_those(stage: Stage) -> None:
    subjects = stage.subjects
    await stage.bus.put_object("P3D_OUTPUTS", "job-1/9-9/mesh.glb", b"the winner's")
    rival = Result(job_id="job-1", feature="text_to_mesh", status="succeeded", token="9-9")
    await stage.bus.append(
        subjects.proposal("text_to_mesh", "job-1"), encode(rival), expect=Expect(0, subjects.result_of("job-1"))
    )
    stage.workers.work = writes()
    award = await stage.award()
    await until(lambda: stage.workers.jobs)
    await until(lambda: not stage.service.engine.core.runs)

    async def gone() -> bool:
        return await stage.bus.object_info("P3D_OUTPUTS", f"job-1/{award.token}/mesh.glb") is None

    await until(gone)
    assert await stage.bus.object_info("P3D_OUTPUTS", "job-1/9-9/mesh.glb") is not None
    assert (await stage.result("job-1")).token == "9-9"


@pytest.mark.parametrize("data", [b"x", b'{"a": 1}'])
async def test_a_success_is_stored_once_bytes_that_are_no_result_are_gone(stage: Stage, data: bytes) -> None:
    seq = await stage.bus.append(stage.subjects.proposal("text_to_mesh", "job-1"), data)
    stage.workers.work = writes()
    award = await stage.award()
    await until(lambda: any(run.store_tries for run in stage.service.engine.core.runs.values()))
    # As the leader does.
    assert await stage.bus.delete(stage.subjects.results_stream, seq)
    result = await stage.result(award.job_id)
    assert (result.status, result.token) == ("succeeded", award.token)
    (made,) = result.artifacts
    assert await stage.bus.object_info(made.bucket, made.object) is not None


async def test_a_store_whose_answer_is_lost_is_read_back(stage: Stage) -> None:
    stage.server.lose_answer = lambda subject: subject.startswith("p3d.propose.")
    stage.workers.work = writes()
    award = await stage.award()
    assert (await stage.result(award.job_id)).token == award.token
    await until(lambda: not stage.service.engine.core.runs, 20)
    (made,) = (await stage.result(award.job_id)).artifacts
    assert await stage.bus.object_info(made.bucket, made.object) is not None


async def test_a_reconnect_has_the_results_stream_asked_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = stage.link.stream_takes

    async def noted(name: str) -> list[str]:
        asked.append(name)
        return await real(name)

    monkeypatch.setattr(stage.link, "stream_takes", noted)
    for _ in range(2):
        await stage.result((await stage.award()).job_id)
    assert len(asked) == 1
    stage.link.disconnect()
    stage.link.reconnect()
    count = len(stage.adverts)
    await until(lambda: len(stage.adverts) > count)
    await stage.result((await stage.award()).job_id)
    assert len(asked) == 2


async def test_a_cut_connection_delays_the_result_and_loses_nothing(stage: Stage) -> None:
    held: list[frames.RunJob] = []
    stage.workers.work = lambda job: held.append(job) or []  # type: ignore[func-returns-value]
    award = await stage.award()
    await until(lambda: held)
    stage.link.disconnect()
    count = len(stage.adverts)
    (worker_id,) = stage.workers.launches
    for frame in writes()(held[0]):
        stage.workers._ends[worker_id][0](worker_id, frame)
    await until(lambda: stage.service.engine.core.runs[award.token].state.value == "uploading")
    assert len(stage.adverts) == count
    stage.link.reconnect()
    assert (await stage.result(award.job_id)).token == award.token
    await until(lambda: not stage.service.engine.core.runs)
    await until(lambda: any(a.adapters is not None for a in stage.adverts[count:]))


async def test_a_file_of_another_job_is_never_uploaded(stage: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "secret.glb"
    secret.write_bytes(b"secret")

    def work(job: frames.RunJob) -> list[frames.Frame]:
        (Path(job.output_dir) / "link.glb").symlink_to(secret)
        file = frames.OutputFile(name="link.glb", path=str(Path(job.output_dir) / "link.glb"), size=6)
        return [frames.RunFinished(run_id=job.run_id, outputs={}, files=[file], run_s=0.1)]

    stage.workers.work = work
    award = await stage.award()
    assert (await stage.failure(award.token)).code == "invalid_output"


def _loop(job: frames.RunJob) -> str:
    ring = Path(job.output_dir) / "ring"
    ring.symlink_to(ring)
    return str(ring)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.glb", lambda job: f"{job.output_dir}/a\0b"),
        ("a.glb", _loop),
        ("a.glb", lambda job: "\ud800"),
        ("../../a.glb", lambda job: f"{job.output_dir}/a.glb"),
        ("a\nb.glb", lambda job: f"{job.output_dir}/a.glb"),
        ("/a.glb", lambda job: f"{job.output_dir}/a.glb"),
        ("twice.glb", lambda job: f"{job.output_dir}/a.glb"),
    ],
)
async def test_what_a_worker_says_of_its_files_cannot_end_the_agent(
    stage: Stage, name: str, path: Callable[[frames.RunJob], str]
) -> None:
    good = stage.workers.work

    def work(job: frames.RunJob) -> list[frames.Frame]:
        (Path(job.output_dir) / "a.glb").write_bytes(b"glTF")
        file = frames.OutputFile(name=name, path=path(job), size=4)
        files = [file, file] if name.startswith("twice") else [file]
        return [frames.RunFinished(run_id=job.run_id, outputs={}, files=files, run_s=0.1)]

    stage.workers.work = work
    award = await stage.award()
    assert (await stage.failure(award.token)).code == "invalid_output"
    stage.workers.work = good
    assert (await stage.result((await stage.award()).job_id)).status == "succeeded"


async def test_a_bug_in_the_work_for_one_job_fails_it_and_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[frames.RunJob] = []
    stage.workers.work = lambda job: held.append(job) or []  # type: ignore[func-returns-value]
    other = await stage.award()
    await until(lambda: held)

    async def broken(*args: Any, **more: Any) -> Any:
        raise ZeroDivisionError("a bug")

    stage.workers.work = writes()
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(stage.link, "put_object", broken)
        award = await stage.award()
        failed = await stage.failure(award.token)
    assert (failed.code, "ZeroDivisionError: a bug" in failed.message) == ("agent_lost", True)
    (said,) = [entry for entry in logs if entry["event"] == "unexpected error"]
    assert (said["token"], type(said["exc_info"])) == (award.token, ZeroDivisionError)
    (worker_id,) = stage.workers.launches
    for frame in writes()(held[0]):
        stage.workers._ends[worker_id][0](worker_id, frame)
    assert (await stage.result(other.job_id)).status == "succeeded"


async def test_a_result_that_the_server_is_too_small_for_fails_its_job(stage: Stage) -> None:
    stage.server.max_payload = 64 * 1024
    stage.workers.work = lambda job: [
        frames.RunFinished(run_id=job.run_id, outputs={"text": "x" * 100_000}, files=[], run_s=0.1)
    ]
    award = await stage.award()
    failed = await stage.failure(award.token)
    assert failed.code == "too_large"
    assert "return files instead" in failed.message
    await until(lambda: not stage.service.engine.core.runs)


async def test_outcomes_are_repeated_until_they_are_answered(stage: Stage) -> None:
    stage.answer_outcomes = False
    stage.workers.work = lambda job: [
        frames.RunFailed(run_id=job.run_id, code="adapter_error", message="boom", traceback="Traceback ...")
    ]
    award = await stage.award()
    await stage.failure(award.token)
    await until(lambda: award.token in stage.adverts[-1].outcomes)
    stage.answer_outcomes = True
    await until(lambda: not stage.service.engine.core.runs)


async def test_a_killed_worker_is_told_and_the_next_job_gets_a_new_one(stage: Stage) -> None:
    work = stage.workers.work
    stage.workers.work = lambda job: []
    award = await stage.award()
    await until(lambda: stage.workers.jobs)
    stage.workers.exit(next(iter(stage.workers.launches)))
    failed = await stage.failure(award.token)
    assert (failed.code, failed.message) == ("worker_crashed", "was killed by SIGKILL")
    stage.workers.work = work
    await stage.result((await stage.award()).job_id)
    assert len(stage.workers.launches) == 2


async def test_what_is_no_command_is_answered_and_what_is_for_another_life_is_not(stage: Stage) -> None:
    answer = await stage.bus.request(stage.subjects.command("g1"), b"[]", timeout=5)
    assert decode(CommandRefused, answer.data).code == "invalid_input"
    other = ReportState(coordinator_id="c", epoch=5, incarnation="1-x")
    await stage.bus.publish(stage.subjects.command("g1"), encode(other))
    mine = ReportState(coordinator_id="c", epoch=5, incarnation=stage.service.identity.incarnation)
    assert b"state_reported" in await stage.command(mine)


async def test_the_control_service(stage: Stage) -> None:
    async def ask(verb: str, body: bytes = b"") -> Msg:
        return await stage.bus.request(stage.subjects.agent_control("g1", verb), body, timeout=5)

    assert decode(Advert, (await ask("status")).data).agent_id == "g1"
    assert b"loading alpha" in (await ask("load", b'{"adapter_id": "alpha"}')).data
    await until(lambda: stage.workers.launches)
    assert b"unloading alpha" in (await ask("unload", b'{"adapter_id": "alpha"}')).data
    refused = await ask("load", b'{"adapter_id": "beta"}')
    assert refused.headers["Nats-Service-Error-Code"] == "404"
    wrong = await ask("load", b'{"adapter": "beta"}')
    assert wrong.headers["Nats-Service-Error-Code"] == "400"
    assert b'"draining":true' in (await ask("drain")).data
    assert b'"draining":false' in (await ask("undrain")).data
    # `nats micro req p3d-agent drain` reaches any one of the agents: with an id, no other than the one that is meant.
    other = await ask("drain", b'{"agent_id": "g2"}')
    assert other.headers["Nats-Service-Error-Code"] == "409"
    assert b"this is the agent g1" in other.data and b"p3d.agents.g2.ctl.drain" in other.data
    assert b'"draining":false' in (await ask("status", b'{"agent_id": "g1"}')).data
    assert b'"draining":true' in (await ask("drain", b'{"agent_id": "g1"}')).data
    assert b'"draining":false' in (await ask("undrain", b'{"agent_id": "g1"}')).data
    info = await stage.bus.request("$SRV.INFO.p3d-agent", b"", timeout=5)
    assert b'"agent_id":"g1"' in info.data


async def test_drain_finishes_what_runs_and_ends_the_service(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "work")
    await stage.begin()
    held: list[frames.RunJob] = []
    stage.workers.work = lambda job: held.append(job) or []  # type: ignore[func-returns-value]
    award = await stage.award()
    await until(lambda: held)
    stage.service.drain()
    await until(lambda: stage.adverts[-1].draining)
    (worker_id,) = stage.workers.launches
    for frame in writes()(held[0]):
        stage.workers._ends[worker_id][0](worker_id, frame)
    assert stage.running is not None
    await asyncio.wait_for(stage.running, 10)
    assert (await stage.result(award.job_id)).status == "succeeded"
    assert stage.workers.closed
    assert list(stage.folder.iterdir()) == []


class BreakingProbe:
    """A probe with a bug: it raises where it should say that a device cannot be used."""

    def __init__(self) -> None:
        self.broken = False
        self.reads = 0

    def read(self) -> dict[str, Reading]:
        self.reads += 1
        if self.broken:
            raise AttributeError("'NoneType' object has no attribute 'free'")
        return {"GPU-0": Reading(16_000, {})}

    def close(self) -> None:
        return None


async def test_a_probe_that_raises_ends_no_agent_and_its_readings_age(tmp_path: Path) -> None:
    probe = BreakingProbe()
    stage = Stage(tmp_path / "work", [gpu()], probe)
    await stage.begin()

    def reason() -> str | None:
        return stage.service.engine.core.devices["GPU-0"].ledger.unavailable(time.monotonic())

    try:
        await until(lambda: reason() is None)
        probe.broken = True
        with structlog.testing.capture_logs() as logs:
            reads = probe.reads
            await until(lambda: probe.reads >= reads + 5 and reason() is not None)
            said = [entry for entry in logs if "could not be measured" in entry["event"]]
            assert [(entry["agent_id"], entry["log_level"]) for entry in said] == [("g1", "error")]
            assert isinstance(said[0]["exc_info"], AttributeError)
            probe.broken = False
            await until(lambda: reason() is None)
            assert any("measured again" in entry["event"] for entry in logs)
        await stage.result((await stage.award(device="GPU-0")).job_id)
    finally:
        await stage.end()


async def test_an_unexpected_error_ends_the_service_loudly(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "work")
    await stage.begin()

    def broken(event: Any, now: Any) -> Any:
        raise RuntimeError("a bug")

    stage.service.engine.handle = broken  # type: ignore[method-assign]
    assert stage.running is not None
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(stage.running, 10)
    assert stage.workers.closed


def test_an_agent_id_that_is_no_subject_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="agent id"):
        AgentService(
            MemoryBus(MemoryServer()),
            Subjects(),
            "a.b",
            devices=[],
            probe=CombinedProbe([]),
            workers=PlayedWorkers(),
            declared=[],
            work_dir=tmp_path,
        )
