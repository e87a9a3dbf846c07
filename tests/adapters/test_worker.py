"""The worker process as an agent sees it: over its socket, by its files, by its death."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocket3d.contracts.jobs import MAX_RESULT_BYTES
from pocket3d.contracts.worker_frames import (
    PROTOCOL,
    SOCKET_FD_VARIABLE,
    Hello,
    LoadFailed,
    ModelLoaded,
    RunFailed,
    RunFinished,
    RunProgress,
    pack,
)
from support.worker_driver import DEADLINE_S, WorkerDriver, alive, interpreter, wait_until, worker_path


def loaded(worker: WorkerDriver, name: str = "Harmless", **spec: Any) -> WorkerDriver:
    worker.begin(f"misbehaving.{name}", **spec)
    worker.next(ModelLoaded)
    return worker


def journal(worker: WorkerDriver) -> list[dict[str, Any]]:
    text = (worker.journal_dir / f"{worker.process.pid}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------- the plain path


def test_echo_gives_back_its_inputs_and_leaves_cleanly(worker: WorkerDriver) -> None:
    worker.begin()
    hello = worker.frames[0]
    assert isinstance(hello, Hello) and hello.protocol == PROTOCOL
    assert worker.next(ModelLoaded).vram_mb is None
    worker.echo("r1", {"text": "hi", "weird_paths": ["/etc/passwd"], "vram_mb": 77})
    end = worker.ended("r1")
    # `weird_paths` is a local path here, not as published, so it is only named.
    assert end.outputs == {"success": True, "inputs": {"text": "hi", "weird_paths": ["passwd"], "vram_mb": 77}}
    assert end.vram_peak_mb == 77 and end.files == []
    if sys.platform.startswith("linux"):
        assert 0 < end.host_held_mb <= end.host_peak_mb < 1000
    assert worker.leave() == 0
    assert [each["event"] for each in journal(worker)] == [
        "worker_start",
        "loaded",
        "run_start",
        "run_end",
        "worker_stop",
    ]


def test_echo_gives_back_what_was_published_not_the_local_path(worker: WorkerDriver) -> None:
    worker.begin()
    image = worker.folder / "cat.png"
    image.write_bytes(b"png")
    published = {"image_path": {"artifact": "sha256-aa", "filename": "cat.png"}, "deep": {"x_path": "free text"}}
    worker.echo("r1", {"image_path": str(image), "deep": {"x_path": "free text"}}, published_inputs=published)
    assert worker.ended("r1").outputs == {"success": True, "inputs": published}


def test_the_journal_has_the_intervals_an_oracle_needs(worker: WorkerDriver) -> None:
    worker.begin(adapter_id="echo")
    worker.next(ModelLoaded)
    worker.echo("r1", extra_vram_mb=5)
    worker.echo("r2", {"sleep_s": "long"}, extra_vram_mb=6)
    worker.ended("r1")
    worker.ended("r2")
    records = journal(worker)
    known = {k: v for k, v in records[1].items() if k not in ("monotonic_ns", "pid")}
    assert known == {"event": "loaded", "adapter_id": "echo", "variant": None, "device": "cpu-0", "vram_mb": 64}
    ends = {each["run_id"]: each for each in records if each["event"] == "run_end"}
    starts = {each["run_id"]: each for each in records if each["event"] == "run_start"}
    assert (ends["r1"]["ok"], ends["r2"]["ok"]) == (True, False)
    assert starts["r1"]["extra_vram_mb"] == 5 and starts["r2"]["job_id"] == "r2" and starts["r2"]["attempt"] == 1
    assert starts["r1"]["monotonic_ns"] <= ends["r1"]["monotonic_ns"]


def test_three_runs_at_once_keep_their_own_folders_and_progress(worker: WorkerDriver) -> None:
    worker.begin("well_behaved.BarrierAdapter", config={"parties": 3, "max_concurrent": 3})
    worker.next(ModelLoaded)
    folders = {name: worker.echo(name, {"name": name}) for name in ("a", "b", "c")}
    # They meet at a barrier, so none ends unless all three run at once.
    for name, folder in folders.items():
        end = worker.ended(name)
        assert isinstance(end, RunFinished), end
        (file,) = end.files
        assert Path(file.path) == folder / "mesh.glb" and Path(file.path).read_text() == name
        assert end.outputs["output_mesh_path"] == file.name == "mesh.glb" and file.size == 1
        assert [(p.fraction, p.stage) for p in worker.reports(name)][-1] == (1.0, name)


def test_progress_is_thinned_and_the_last_one_always_arrives(worker: WorkerDriver) -> None:
    worker.begin("well_behaved.ChattyAdapter")
    worker.next(ModelLoaded)
    began = time.monotonic()
    worker.echo("r1", {"reports": 5000})
    worker.ended("r1")
    elapsed = time.monotonic() - began
    seen = [each.fraction or 0.0 for each in worker.reports("r1")]
    assert seen[-1] == 1.0 and seen == sorted(seen)
    assert len(seen) <= elapsed / 0.1 + 2
    kinds = [type(each) for each in worker.frames]
    assert kinds.index(RunFinished) > max(i for i, kind in enumerate(kinds) if kind is RunProgress)


# ---------------------------------------------------------------- cancel


@pytest.mark.parametrize(
    ("class_path", "inputs"),
    [
        ("pocket3d.adapters.echo.EchoAdapter", {"sleep_s": 1000}),
        ("misbehaving.BlockingLoopAdapter", {}),
        ("misbehaving.SwallowingAdapter", {}),
    ],
)
def test_a_cancel_ends_the_run_and_the_worker_stays(
    worker: WorkerDriver, class_path: str, inputs: dict[str, Any]
) -> None:
    worker.begin(class_path)
    worker.next(ModelLoaded)
    worker.echo("r1", inputs)
    worker.next(RunProgress, "r1")
    worker.cancel("r1")
    end = worker.ended("r1")
    assert (type(end), end.code) == (RunFailed, "cancelled")
    worker.echo("r2", inputs)
    worker.next(RunProgress, "r2")
    worker.cancel("r2")
    assert worker.ended("r2").code == "cancelled"


def test_a_cancel_of_one_run_leaves_the_other(worker: WorkerDriver) -> None:
    worker.begin()
    worker.next(ModelLoaded)
    worker.echo("long", {"sleep_s": 1000})
    worker.echo("short", {"sleep_s": 0.3})
    worker.next(RunProgress, "long")
    worker.cancel("long")
    assert worker.ended("long").code == "cancelled"
    assert isinstance(worker.ended("short"), RunFinished)


def test_a_cancel_before_the_model_is_loaded_keeps_the_run_from_starting(worker: WorkerDriver) -> None:
    worker.begin("misbehaving.SlowLoadAdapter", config={"load_s": 0.5})
    worker.echo("r1")
    worker.cancel("r1")
    assert worker.ended("r1").code == "cancelled"


# ---------------------------------------------------------------- misbehaviour


@pytest.mark.parametrize(
    ("class_path", "config", "code", "says"),
    [
        ("misbehaving_import.Adapter", {}, "adapter_unavailable", "package_that_nobody_has"),
        ("no_such_module.Adapter", {}, "adapter_unavailable", "no module no_such_module"),
        ("misbehaving.NoSuchClass", {}, "adapter_unavailable", "no class NoSuchClass"),
        ("misbehaving.SUPPORT_DIR", {}, "adapter_unavailable", "not a subclass"),
        ("misbehaving.MissingWeightsAdapter", {}, "adapter_unavailable", "no weights at"),
        ("misbehaving.LicensedAdapter", {}, "adapter_unavailable", "accept_license: true"),
        ("misbehaving.Harmless", {"colour": "red"}, "adapter_unavailable", "no argument 'colour'"),
        ("misbehaving.LoadFailsAdapter", {}, "load_failed", "the checkpoint is truncated"),
        ("misbehaving.LoadOutOfMemoryAdapter", {}, "out_of_memory", "MemoryError"),
    ],
)
def test_a_load_that_fails_says_why_and_ends_the_worker(
    worker: WorkerDriver, class_path: str, config: dict[str, Any], code: str, says: str
) -> None:
    worker.begin(class_path, config=config)
    failed = worker.next(LoadFailed)
    assert failed.code == code and says in failed.message, failed
    assert "Traceback" in failed.traceback
    assert worker.process.wait(DEADLINE_S) == 1


def test_an_accepted_licence_lets_the_adapter_load(worker: WorkerDriver) -> None:
    loaded(worker, "LicensedAdapter", accept_license=True)


@pytest.mark.parametrize(
    ("name", "inputs", "code", "says"),
    [
        ("OutOfMemoryAdapter", {}, "out_of_memory", "cannot allocate"),
        ("TorchOutOfMemoryAdapter", {}, "out_of_memory", "20.00 GiB"),
        ("FailingAdapter", {}, "adapter_error", "Generation failed: no reason"),
        ("FailingAdapter", {"error": "value"}, "adapter_error", "ValueError: a tensor of the wrong shape"),
        ("FailingAdapter", {"error": "exit"}, "adapter_error", "SystemExit: 3"),
        ("FailingAdapter", {"error": "answered"}, "adapter_error", "the sampler gave nothing"),
        ("ForeignPathAdapter", {}, "invalid_output", "was not written during this job"),
        ("NonsenseAdapter", {"kind": "none"}, "invalid_output", "returned NoneType"),
        ("NonsenseAdapter", {"kind": "text"}, "invalid_output", "returned str"),
        ("NonsenseAdapter", {"kind": "bytes"}, "invalid_output", "outputs.data: bytes"),
        ("NonsenseAdapter", {"kind": "nan"}, "invalid_output", "outputs.score: nan"),
        ("NonsenseAdapter", {"kind": "infinity"}, "invalid_output", "outputs.nested[0].score: inf"),
        ("NonsenseAdapter", {"kind": "object"}, "invalid_output", "outputs.mesh: object"),
        ("NonsenseAdapter", {"kind": "cycle"}, "invalid_output", "nested deeper"),
        ("NonsenseAdapter", {"kind": "huge"}, "invalid_output", str(MAX_RESULT_BYTES)),
        ("NonsenseAdapter", {"kind": "surrogate"}, "invalid_output", "not JSON"),
        ("NonsenseAdapter", {"kind": "missing"}, "invalid_output", "not-there.glb"),
        ("NonsenseAdapter", {"kind": "escape"}, "invalid_output", "leaves the output folder"),
        ("NonsenseAdapter", {"kind": "directory"}, "invalid_output", "not a regular file"),
        ("NonsenseAdapter", {"kind": "number"}, "invalid_output", "want a path"),
    ],
)
def test_a_run_that_goes_wrong_has_its_code_and_the_worker_stays(
    worker: WorkerDriver, name: str, inputs: dict[str, Any], code: str, says: str
) -> None:
    loaded(worker, name)
    for run_id in ("r1", "r2"):
        worker.echo(run_id, inputs)
        end = worker.ended(run_id)
        assert isinstance(end, RunFailed), end
        assert end.code == code and says in end.message, end


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_a_bad_run_left_on_the_device_is_not_the_next_ones_peak(worker: WorkerDriver, cancelled: bool) -> None:
    worker.begin("broken_devices.HoardingAdapter")
    worker.next(ModelLoaded)
    worker.echo("r1", {"tensors": 10, "fail": True})
    if cancelled:
        worker.cancel("r1")
    worker.ended("r1")
    worker.echo("r2", {"tensors": 1})
    assert worker.ended("r2").vram_peak_mb == 64


def test_an_invalid_input_names_its_field_through_the_guides_wrapping(worker: WorkerDriver) -> None:
    loaded(worker, "GuideAdapter")
    worker.echo("r1", {"text_prompt": "  "})
    end = worker.ended("r1")
    assert (end.code, end.field) == ("invalid_input", "inputs.text_prompt")
    worker.echo("r2", {"text_prompt": "a chair", "output_format": "exe"})
    end = worker.ended("r2")
    assert (end.code, end.field) == ("invalid_input", "inputs.output_format")
    assert "glb" in end.message


def test_a_guide_adapter_that_writes_elsewhere_has_its_file_copied_in(worker: WorkerDriver, tmp_path: Path) -> None:
    outside = tmp_path / "outputs" / "meshes"
    outside.mkdir(parents=True)
    loaded(worker, "GuideAdapter", config={"outside_dir": str(outside)})
    output_dir = worker.echo("r1", {"text_prompt": "a chair"})
    end = worker.ended("r1")
    assert isinstance(end, RunFinished), end
    (file,) = end.files
    assert Path(file.path).parent == output_dir and Path(file.path).read_bytes() == b"glTF"
    assert end.outputs["output_mesh_path"] == file.name


@pytest.mark.parametrize(("name", "status"), [("CrashingAdapter", 9), ("SegfaultingAdapter", -signal.SIGSEGV)])
def test_a_crash_ends_the_process_with_its_status(worker: WorkerDriver, name: str, status: int) -> None:
    loaded(worker, name)
    worker.echo("r1")
    assert worker.process.wait(DEADLINE_S) == status
    assert journal(worker)[-1]["event"] == "run_start"


def test_binary_prints_do_not_reach_the_frames(worker: WorkerDriver) -> None:
    loaded(worker, "PrintingAdapter")
    worker.echo("r1")
    end = worker.ended("r1")
    assert isinstance(end, RunFinished), end
    assert worker.leave() == 0
    assert len(worker.stdout.read_bytes()) == end.outputs["printed"] * 2 // 3 + len(b"loading\n")
    assert bytes(range(256)) in worker.stderr.read_bytes()


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("name", ["HangingAdapter", "BlockingLoopAdapter"])
def test_the_worker_ends_when_the_socket_does_even_if_the_model_hangs(worker: WorkerDriver, name: str) -> None:
    loaded(worker, name)
    worker.echo("r1")
    worker.next(RunProgress, "r1")
    worker.socket.close()
    assert worker.process.wait(DEADLINE_S) == 0
    assert journal(worker)[-1]["event"] == "worker_stop"


def test_an_idle_worker_ends_when_the_socket_does(worker: WorkerDriver) -> None:
    """Without the guardian and without the parent's death: the socket alone."""
    loaded(worker)
    worker.socket.shutdown(socket.SHUT_RDWR)
    assert worker.process.wait(DEADLINE_S) == 0


def test_sigterm_ends_a_hanging_worker_at_once(worker: WorkerDriver) -> None:
    loaded(worker, "HangingAdapter")
    worker.echo("r1")
    worker.next(RunProgress, "r1")
    worker.process.terminate()
    assert worker.process.wait(DEADLINE_S) == -signal.SIGTERM


def test_ctrl_c_is_the_agents_to_judge(worker: WorkerDriver) -> None:
    worker.begin()
    worker.next(ModelLoaded)
    worker.process.send_signal(signal.SIGINT)
    worker.echo("r1", {"after": "sigint"})
    assert isinstance(worker.ended("r1"), RunFinished)


def test_a_shutdown_cancels_what_runs(worker: WorkerDriver) -> None:
    worker.begin()
    worker.next(ModelLoaded)
    worker.echo("r1", {"sleep_s": 1000})
    worker.next(RunProgress, "r1")
    assert worker.leave() == 0
    assert worker.ended("r1").code == "cancelled"


def test_a_frame_that_is_none_ends_the_worker(worker: WorkerDriver) -> None:
    worker.begin()
    worker.next(ModelLoaded)
    worker.socket.sendall(b"\x00\x00\x00\x02hi")
    worker.process.wait(DEADLINE_S)
    assert "does not speak this protocol" in journal(worker)[-1]["reason"]


def test_the_models_children_do_not_hold_the_socket(worker: WorkerDriver, tmp_path: Path) -> None:
    loaded(worker, "SpawningAdapter")
    worker.echo("r1", {"mark_dir": str(tmp_path)})
    mark = tmp_path / "child.txt"
    wait_until(lambda: mark.exists() and mark.read_text(), "the child was started")
    worker.process.kill()
    worker.process.wait()
    # The child lives (the agent kills the group), yet we see the end of the line.
    assert alive(int(mark.read_text()))
    worker.socket.settimeout(DEADLINE_S)
    while worker.socket.recv(1 << 16):
        pass


_PARENT = textwrap.dedent(
    """
    import json, os, socket, subprocess, sys
    from pocket3d.contracts.worker_frames import AdapterSpec, FrameReader, LoadModel, RunJob, RunProgress, pack

    ours, theirs = socket.socketpair()
    child = subprocess.Popen([sys.executable, "-m", "pocket3d.adapters.worker"], pass_fds=[theirs.fileno()],
        env={**os.environ, %(variable)r: str(theirs.fileno())}, start_new_session=True)
    theirs.close()
    if %(leak)r:
        # Somebody else keeps our end open: only the kernel can tell the worker now.
        ours.set_inheritable(True)
        keeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    spec = AdapterSpec(adapter_id="t", class_path="misbehaving.HangingAdapter")
    ours.sendall(pack(LoadModel(spec=spec, device="cpu-0", device_kind="cpu", vram_mb=1)))
    os.makedirs(sys.argv[1], exist_ok=True)
    ours.sendall(pack(RunJob(run_id="r", job_id="j", attempt=1, feature="x", inputs={}, job_dir=sys.argv[1],
        output_dir=sys.argv[1])))
    reader, frames = FrameReader(from_worker=True), []
    while not any(isinstance(f, RunProgress) for f in frames):
        frames += reader.feed(ours.recv(65536))
    print(child.pid, keeper.pid if %(leak)r else 0, flush=True)
    sys.stdin.read()
    """
)


@pytest.mark.parametrize("leak", [False, True])
def test_a_killed_parent_takes_the_worker_with_it(tmp_path: Path, leak: bool) -> None:
    script = _PARENT % {"variable": SOCKET_FD_VARIABLE, "leak": leak}
    parent = subprocess.Popen(
        [interpreter(), "-c", script, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": worker_path()},
    )
    assert parent.stdin is not None and parent.stdout is not None
    pids = parent.stdout.readline().split()
    worker_pid, keeper_pid = int(pids[0]), int(pids[1])
    try:
        assert alive(worker_pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not alive(worker_pid), "the orphaned worker is gone", 5.0)
    finally:
        for pid in (worker_pid, keeper_pid):
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)
        parent.stdin.close()
        parent.stdout.close()


def test_a_parent_that_was_gone_before_the_start_is_noticed(new_worker: Callable[[], WorkerDriver]) -> None:
    worker = new_worker()
    worker.socket.close()
    worker.process.wait(DEADLINE_S)


def test_without_an_agent_it_says_who_starts_it() -> None:
    env = {k: v for k, v in os.environ.items() if k != SOCKET_FD_VARIABLE} | {"PYTHONPATH": worker_path()}
    for extra, says in (
        ({}, "an agent starts this process"),
        ({SOCKET_FD_VARIABLE: "\u0663"}, "an agent starts this process"),
        ({SOCKET_FD_VARIABLE: "1" * 30}, "an agent starts this process"),
        ({SOCKET_FD_VARIABLE: "0"}, "is no socket"),
    ):
        done = subprocess.run(
            [interpreter(), "-m", "pocket3d.adapters.worker"],
            env=env | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 2 and says in done.stderr


def test_a_worker_needs_no_pyyaml_torch_or_numpy(worker: WorkerDriver) -> None:
    worker.begin("well_behaved.ModulesAdapter")
    worker.next(ModelLoaded)
    worker.echo("r1")
    modules = set(worker.ended("r1").outputs["modules"])
    assert "pocket3d.adapters.runtime.worker_process" in modules
    assert not modules & {"yaml", "torch", "numpy", "nats", "trimesh", "pocket3d.bus"}


def test_a_frame_may_come_in_pieces(worker: WorkerDriver) -> None:
    worker.begin()
    worker.next(ModelLoaded)
    from pocket3d.contracts.worker_frames import RunJob

    out = worker.folder / "out"
    data = pack(
        RunJob(
            run_id="r", job_id="j", attempt=1, feature="echo", inputs={"x": 1}, job_dir=str(out), output_dir=str(out)
        )
    )
    for byte in data:
        worker.socket.sendall(bytes([byte]))
    assert worker.ended("r").outputs["inputs"] == {"x": 1}
