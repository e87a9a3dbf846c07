"""Adapters whose model is a program with an HTTP endpoint, against a small server that misbehaves in every way."""

from __future__ import annotations

import asyncio
import importlib.machinery
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import JobCancelled
from pocket3d.adapters.runtime.failure_mapping import judge_load, judge_run
from pocket3d.adapters.upstream.http_program import program as program_module
from pocket3d.adapters.upstream.http_program.errors import (
    BadAnswer,
    NoAnswer,
    OutOfMemoryError,
    Overdue,
    ProgramFailed,
)
from pocket3d.adapters.upstream.http_program.listeners import Listener, listeners
from pocket3d.contracts.failures import FailureCode
from support.served import ServedAdapter
from support.worker_driver import alive, wait_until


class Desk:
    """One adapter, its fake server's folder, and the requests to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "photo.png"
        self.image.write_bytes(b"\x89PNG\r\n\x1a\n--boundary \r\n\r\n" + os.urandom(3000))
        self.adapter = ServedAdapter()
        self.progress: list[tuple[float | None, str | None, str | None]] = []

    def mode(self, word: str) -> None:
        (self.folder / "mode").write_text(word)

    def records(self, key: str) -> list[dict[str, Any]]:
        path = self.folder / "requests.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [each for each in map(json.loads, lines) if key in each]

    def load(self) -> None:
        asyncio.run(self.adapter.load())

    def run(self, run: RunContext | None = None, **inputs: Any) -> dict[str, Any]:
        run = run or self.context()
        token = current_run.set(run)
        try:
            return asyncio.run(self.adapter.process({"image_path": str(self.image), **inputs}))
        finally:
            current_run.reset(token)

    def context(self, on_progress: Callable[..., None] | None = None) -> RunContext:
        output = self.folder / "out"
        output.mkdir(exist_ok=True)

        def note(*facts: Any) -> None:
            self.progress.append(facts)
            if on_progress is not None:
                on_progress(*facts)

        return RunContext(output_dir=output, on_progress=note)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: self.adapter.model.ended() is not None, "the program has ended")

    @property
    def pid(self) -> int:
        return int(self.adapter.model.group)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("FAKE_SERVER_FOLDER", str(tmp_path))
    made = Desk(tmp_path)
    yield made
    asyncio.run(made.adapter.unload())


def test_an_image_goes_out_and_a_mesh_comes_back(desk: Desk) -> None:
    desk.load()
    answer = desk.run(seed=7)
    assert Path(answer["output_mesh_path"]).read_bytes().startswith(b"glTF")
    (asked,) = desk.records("path")
    assert asked["path"] == "/generate"
    assert asked["texts"] == {"seed": "7"}
    # The producer's own name of the file is not told, its bytes are whole whatever they look like.
    assert asked["files"] == {"image": ["image.png", "image/png"]}
    assert asked["sizes"] == {"image": desk.image.stat().st_size}
    assert [each for each in (desk.folder / "out").iterdir() if each.suffix == ".part"] == []


def test_the_program_has_no_shell_and_a_port_of_its_own_on_this_host_alone(desk: Desk) -> None:
    desk.adapter = ServedAdapter(
        command=[*ServedAdapter.command, "--models", "$HOME; touch x && 'y'"], program_env={"CUDA_VISIBLE_DEVICES": "G"}
    )
    desk.load()
    (started,) = desk.records("started")
    assert started["started"][-2:] == ["--models", "$HOME; touch x && 'y'"]
    assert started["cuda"] == "G"
    found = listeners(desk.adapter.model.port)
    assert found is not None
    assert [each.address for each in found] == ["127.0.0.1"]
    assert os.getpgid(desk.pid) == desk.pid != os.getpgid(0)


def test_what_it_prints_is_printed_on(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.load()
    desk.run()
    asyncio.run(desk.adapter.unload())
    assert "[3/6] sparse-structure flow + decode" in capfd.readouterr().out


def test_a_flood_of_lines_does_not_hold_it_up_and_the_last_are_kept(desk: Desk) -> None:
    desk.load()
    desk.mode("floods")
    desk.run()
    wait_until(lambda: desk.adapter.model.last_lines[-1] == "[7/7] write out.glb", "the last line is there")


def test_it_ends_with_all_that_it_started(desk: Desk) -> None:
    desk.mode("has a child")
    desk.load()
    (record,) = desk.records("child")
    pids = [desk.pid, record["child"]]
    asyncio.run(desk.adapter.unload())
    assert not any(map(alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's")
def test_it_ends_when_the_process_that_started_it_is_killed(desk: Desk) -> None:
    code = (
        "import asyncio, sys, time; from support.served import ServedAdapter; made = ServedAdapter();"
        "asyncio.run(made.load()); print(made.model.group, flush=True); time.sleep(3600)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    starter = os.posix_spawn(
        sys.executable, [sys.executable, "-c", code], env, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)]
    )
    os.close(write)
    with os.fdopen(read) as told:
        pid = next(int(line) for line in told if line.strip().isdigit())
        assert alive(pid)
        os.kill(starter, signal.SIGKILL)
        os.waitpid(starter, 0)
        wait_until(lambda: not alive(pid), "the program has ended")


def test_what_it_takes_of_the_gpu_is_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.load()
    driver = types.ModuleType("pynvml")
    driver.__spec__ = importlib.machinery.ModuleSpec("pynvml", None)
    used = types.SimpleNamespace(pid=desk.pid, usedGpuMemory=3 * 1024**3)
    other = types.SimpleNamespace(pid=os.getpid(), usedGpuMemory=9 * 1024**3)
    looks: list[int] = []

    def read(device: int) -> list[Any]:
        looks.append(device)
        return [used, other]

    facts = {
        "NVMLError": RuntimeError,
        "NVMLLibraryMismatchError": RuntimeError,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetComputeRunningProcesses": read,
    }
    vars(driver).update(facts)
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    desk.mode("slow")
    run = desk.context()
    thread = cancel_when(lambda: looks, run)
    with pytest.raises(JobCancelled):
        desk.run(run)
    thread.join()
    assert run.vram_peak_mb == 3072


# ---------------------------------------------------------------- starts


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("does not start", r"ended with status 1; it printed last:\nfailed to open gguf: ss_flow.gguf"),
        ("unhealthy", r"did not become healthy within 2 s \(GET /health: 503 Service Unavailable\)"),
        ("health hangs", r"did not become healthy within 2 s \(GET /health: no answer yet\)"),
    ],
)
def test_a_program_that_does_not_come_up_is_told_and_ended(desk: Desk, mode: str, says: str) -> None:
    desk.mode(mode)
    desk.adapter = ServedAdapter(start_s=60.0 if mode == "does not start" else 2.0)
    with pytest.raises(ProgramFailed, match=says) as caught:
        desk.load()
    assert judge_load(caught.value).code is FailureCode.LOAD_FAILED
    assert not any(alive(each["pid"]) for each in desk.records("started"))


def test_a_program_that_is_not_there(desk: Desk, tmp_path: Path) -> None:
    missing = ServedAdapter(command=[str(tmp_path / "nothing"), "{port}"])
    assert missing.check_available() == f"there is no program {tmp_path}/nothing that may be run (command)"
    assert ServedAdapter(command=[sys.executable]).check_available() is None
    broken = tmp_path / "broken"
    broken.write_text("#!/nonexistent/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(ProgramFailed, match=r"broken.*cannot be"):
        asyncio.run(ServedAdapter(command=[str(broken)]).load())


@pytest.mark.parametrize("command", ["a-program --port {port}", [], [1]])
def test_a_command_is_a_list_of_texts(command: Any) -> None:
    with pytest.raises(ValueError, match="want a list of texts"):
        ServedAdapter(command=command)


@pytest.mark.parametrize("mode", ["port taken once", "port used once"])
def test_another_port_is_tried_when_somebody_took_the_first(desk: Desk, mode: str) -> None:
    desk.mode(mode)
    try:
        desk.load()
        ports = [each["started"][each["started"].index("--port") + 1] for each in desk.records("started")]
        assert len(set(ports)) == 2
        assert desk.run()["success"]
    finally:
        for each in desk.records("squatter"):
            os.kill(each["squatter"], signal.SIGKILL)


def test_nobody_else_may_listen_on_its_port(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that set SO_REUSEPORT share a port, and the kernel sends a request to either."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        theirs = listeners(stranger.getsockname()[1])
        assert theirs
        monkeypatch.setattr(program_module, "listeners", lambda port: [*(listeners(port) or ()), *theirs])
        with pytest.raises(ProgramFailed, match="another program listens on port"):
            desk.load()
    assert len(desk.records("started")) == 3
    assert not any(alive(each["pid"]) for each in desk.records("started"))


def test_a_program_that_other_machines_reach_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def everywhere(port: int) -> list[Listener]:
        return [Listener("0.0.0.0", each.inode) for each in listeners(port) or ()]

    monkeypatch.setattr(program_module, "listeners", everywhere)
    with pytest.raises(ProgramFailed, match=r"listens on 0\.0\.0\.0, where other machines reach it"):
        desk.load()


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("mode", "kind", "says"),
    [
        ("refuses 400 no such seed", BadAnswer, r"answered POST /generate with 400 Bad Request: no such seed"),
        (
            'refuses 500 {"error":"3D reconstruction failed"}',
            BadAnswer,
            r'500 .*: \{"error":"3D reconstruction failed"\}',
        ),
        ("refuses 500 failed to allocate tensor buffer for ss_flow", OutOfMemoryError, "failed to allocate"),
        ("refuses 204 ", BadAnswer, "its 0 bytes begin with ''"),
        ("redirects", BadAnswer, "302 Found; redirects are not followed"),
        ("truncates", BadAnswer, r"cut off: [\d,]+ of [\d,]+ bytes came"),
        ("truncates chunks", BadAnswer, "was cut off after"),
        ("short glb", BadAnswer, r"a broken GLB file: version 2, [\d,]+ bytes of"),
        ("no glb", BadAnswer, "no GLB file: its 21 bytes begin with '<html>it wor'"),
        ("empty", BadAnswer, "no GLB file: its 0 bytes"),
        ("endless", BadAnswer, "more than 1,000,000 bytes"),
        ("huge", BadAnswer, "10,000,000,000,000 bytes, at most 1,000,000 are taken"),
        ("no http", NoAnswer, "BadStatusLine"),
        ("drops", NoAnswer, "RemoteDisconnected"),
        ("dies", ProgramFailed, r"was ended by SIGABRT during the request .*GGML_ASSERT\(buffer\) failed"),
        ("full", OutOfMemoryError, "was ended by SIGABRT"),
    ],
)
def test_what_is_no_answer_fails_the_job_and_not_the_next(desk: Desk, mode: str, kind: type, says: str) -> None:
    desk.load()
    desk.mode(mode)
    with pytest.raises(ProgramFailed) as caught:
        desk.run()
    assert type(caught.value) is kind
    assert re.search(says, str(caught.value), re.DOTALL), caught.value
    expected = FailureCode.OUT_OF_MEMORY if kind is OutOfMemoryError else FailureCode.ADAPTER_ERROR
    assert judge_run(caught.value, cancelled=False).code is expected
    assert [each.name for each in (desk.folder / "out").iterdir() if each.name.endswith(".part")] == []
    desk.mode("")
    assert desk.run()["success"]


def test_an_answer_before_the_body_was_read_is_heard(desk: Desk) -> None:
    desk.load()
    desk.mode("refuses early")
    desk.image.write_bytes(bytes(30_000_000))
    with pytest.raises(BadAnswer, match="the image is too large for me"):
        desk.run()


def test_a_program_that_failed_is_started_anew_since_nobody_knows_what_it_left_on_the_device(desk: Desk) -> None:
    desk.load()
    before = desk.pid
    desk.mode("refuses 500 out of luck")
    with pytest.raises(BadAnswer):
        desk.run()
    assert not alive(before)
    desk.mode("")
    desk.run()
    assert desk.pid != before


def test_one_that_ended_between_two_jobs_is_started_again(desk: Desk) -> None:
    desk.load()
    desk.run()
    desk.kill()
    assert desk.run()["success"]
    assert (None, "starting the program", None) in desk.progress


# ---------------------------------------------------------------- ends of requests


def cancel_when(condition: Callable[[], Any], run: RunContext) -> threading.Thread:
    """As an agent does, from another thread."""

    def cancel() -> None:
        wait_until(condition, "it is time to cancel")
        run.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    return thread


@pytest.mark.parametrize("mode", ["hangs", "slow", "trickles"])
def test_a_cancel_ends_the_wait_and_the_program(desk: Desk, mode: str) -> None:
    desk.load()
    before = desk.pid
    desk.mode(mode)
    run = desk.context()
    asked = cancel_when(lambda: desk.records("path"), run)
    with pytest.raises(JobCancelled):
        desk.run(run)
    asked.join()
    assert not alive(before)
    desk.mode("")
    assert desk.run()["success"]


def test_a_program_that_notices_a_closed_connection_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServedAdapter, "stops_when_closed", True)
    desk.load()
    before = desk.pid
    desk.mode("hangs")
    run = desk.context()
    asked = cancel_when(lambda: desk.records("path"), run)
    with pytest.raises(JobCancelled):
        desk.run(run)
    asked.join()
    assert alive(before)


def test_a_request_may_be_given_a_limit(desk: Desk) -> None:
    desk.adapter = ServedAdapter(answer_s=0.5)
    desk.load()
    before = desk.pid
    desk.mode("hangs")
    began = time.monotonic()
    with pytest.raises(Overdue, match=r"did not answer within 0\.5 s \(answer_s\)"):
        desk.run()
    assert time.monotonic() - began < 20
    assert not alive(before)


def test_a_cancel_ends_a_start_within_a_request(desk: Desk) -> None:
    desk.load()
    desk.kill()
    desk.mode("unhealthy")
    run = desk.context()
    thread = cancel_when(lambda: len(desk.records("started")) == 2, run)
    with pytest.raises(JobCancelled):
        desk.run(run)
    thread.join()
    assert not any(alive(each["pid"]) for each in desk.records("started"))
