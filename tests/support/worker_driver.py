"""Drives a real worker process over a socket pair, as an agent does. Blocking, with deadlines."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pocket3d.contracts.worker_frames import (
    JOURNAL_VARIABLE,
    SOCKET_FD_VARIABLE,
    AdapterSpec,
    CancelRun,
    Frame,
    FrameReader,
    Hello,
    LoadModel,
    RunFailed,
    RunFinished,
    RunJob,
    RunProgress,
    Shutdown,
    pack,
)

DEADLINE_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
SUPPORT = Path(__file__).resolve().parent


def worker_path() -> str:
    return os.pathsep.join(str(each) for each in (ROOT / "contracts", ROOT / "adapters", SUPPORT))


def interpreter() -> str:
    """The interpreter for workers: POCKET3D_TEST_WORKER_PYTHON, or this one."""
    return os.environ.get("POCKET3D_TEST_WORKER_PYTHON") or sys.executable


def alive(pid: int) -> bool:
    """True for a process that is neither gone nor a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Any, what: str, deadline_s: float = DEADLINE_S) -> None:
    ends = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.005)


class WorkerDriver:
    """One worker. `frames` holds everything it has said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal_dir = folder / "journal"
        self.stdout = folder / "stdout"
        self.stderr = folder / "stderr"
        (folder / "cwd").mkdir(parents=True)
        (folder / "tmp").mkdir()
        self.frames: list[Any] = []
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(0.05)
        env = {k: v for k, v in os.environ.items() if not k.startswith("POCKET3D_")}
        env |= {
            "PYTHONPATH": worker_path(),
            SOCKET_FD_VARIABLE: str(theirs.fileno()),
            JOURNAL_VARIABLE: str(self.journal_dir),
            "TMPDIR": str(folder / "tmp"),
            "CUDA_VISIBLE_DEVICES": "",
        }
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [interpreter(), "-m", "pocket3d.adapters.worker"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder / "cwd",
                env=env,
                start_new_session=True,
            )
        theirs.close()
        self._reader = FrameReader(from_worker=True)
        self._unseen: list[Any] = []

    def close(self) -> None:
        self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def send(self, frame: Frame) -> None:
        self.socket.sendall(pack(frame))

    def next(self, kind: Any, run_id: str | None = None, deadline_s: float = DEADLINE_S) -> Any:
        """The next frame of that kind (and run); others stay for later calls."""
        ends = time.monotonic() + deadline_s
        while True:
            for index, frame in enumerate(self._unseen):
                if isinstance(frame, kind) and (run_id is None or frame.run_id == run_id):
                    return self._unseen.pop(index)
            if time.monotonic() > ends:
                raise AssertionError(f"no {kind} within {deadline_s} s; got {self.frames}; {self.log()}")
            try:
                data = self.socket.recv(1 << 20)
            except TimeoutError:
                continue
            if not data:
                raise AssertionError(f"the worker closed its socket; got {self.frames}; {self.log()}")
            frames = self._reader.feed(data)
            self.frames += frames
            self._unseen += frames

    def log(self) -> str:
        return self.stderr.read_text(errors="replace")[-3000:]

    def load(self, class_path: str = "pocket3d.adapters.echo.EchoAdapter", **spec: Any) -> None:
        adapter = AdapterSpec(adapter_id=spec.pop("adapter_id", "tested"), class_path=class_path, **spec)
        hello = self.next(Hello)
        assert hello.pid == self.process.pid
        self.send(LoadModel(spec=adapter, device="cpu-0", device_kind="cpu", vram_mb=64))

    def run(self, run_id: str, inputs: dict[str, Any] | None = None, **fields: Any) -> Path:
        """Start a run; its output folder."""
        job_dir = self.folder / "jobs" / run_id
        output_dir = job_dir / "out"
        output_dir.mkdir(parents=True)
        self.send(
            RunJob(
                run_id=run_id,
                job_id=f"job-{run_id}",
                attempt=1,
                feature="echo",
                inputs=inputs or {},
                job_dir=str(job_dir),
                output_dir=str(output_dir),
                **fields,
            )
        )
        return output_dir

    def end(self, run_id: str) -> Any:
        return self.next((RunFinished, RunFailed), run_id)

    def progress(self, run_id: str) -> list[RunProgress]:
        return [each for each in self.frames if isinstance(each, RunProgress) and each.run_id == run_id]

    def cancel(self, run_id: str) -> None:
        self.send(CancelRun(run_id=run_id))

    def shut_down(self) -> int:
        self.send(Shutdown())
        return self.process.wait(DEADLINE_S)
