"""One worker process, driven over the protocol that agents use. Its calls block and have deadlines."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.contracts.worker_frames import (
    PROTOCOL,
    SOCKET_FD_VARIABLE,
    AdapterDescription,
    AdapterSpec,
    CancelRun,
    Frame,
    FrameError,
    FrameReader,
    Hello,
    LoadFailed,
    LoadModel,
    ModelLoaded,
    RunFailed,
    RunFinished,
    RunJob,
    RunProgress,
    Shutdown,
    pack,
)

_DESCRIBE_S = 120.0
_HELLO_S = 60.0
_SHOWN_LINES = 8
_POLL_S = 0.05


class ProcessError(Exception):
    """The worker ended, hung or broke the protocol; the message has the last lines that it printed."""


def describe(python: str, env: Mapping[str, str], spec: AdapterSpec) -> AdapterDescription:
    """Ask an adapter's own interpreter for the adapter's description; a `ProcessError` if there is none."""
    # A description may be longer than a pipe holds, so the answer goes through a file.
    with tempfile.TemporaryFile() as answer:
        try:
            done = subprocess.run(
                [python, "-m", "pocket3d.adapters.worker", "--describe", "--answer-fd", str(answer.fileno())],
                input=msgspec.json.encode([spec]),
                capture_output=True,
                pass_fds=[answer.fileno()],
                env=dict(env),
                timeout=_DESCRIBE_S,
                check=False,
            )
        except OSError as error:
            raise ProcessError(f"{python} cannot be started: {error.strerror or error}") from error
        except subprocess.TimeoutExpired as error:
            raise ProcessError(f"{python} did not describe it within {_DESCRIBE_S:g} s") from error
        if done.returncode != 0:
            raise ProcessError(f"{python} exited with status {done.returncode}: {_tail(done.stderr)}")
        answer.seek(0)
        (description,) = msgspec.json.decode(answer.read(), type=list[AdapterDescription])
    return description


class CheckedWorker:
    """A worker process. Leaving its `with` block ends it and all its children. Its methods raise `ProcessError`.

    `env` is its whole environment, in which Pocket3DStudio must be importable. The folder, its own alone, is made.
    """

    def __init__(self, python: str, env: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self.cwd = folder / "cwd"
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        self.cwd.mkdir(parents=True)
        (folder / "tmp").mkdir()
        #: Our end of the pair.
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(_POLL_S)
        #: Every frame that the worker has sent.
        self.frames: list[Any] = []
        self._reader = FrameReader(from_worker=True)
        with theirs, self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            try:
                self.process = subprocess.Popen(
                    [python, "-m", "pocket3d.adapters.worker"],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=self.cwd,
                    env={**env, SOCKET_FD_VARIABLE: str(theirs.fileno()), "TMPDIR": str(folder / "tmp")},
                    start_new_session=True,
                )
            except OSError as error:
                self.socket.close()
                raise ProcessError(f"{python} cannot be started: {error.strerror or error}") from error

    def __enter__(self) -> CheckedWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def begin_load(self, spec: AdapterSpec, device_kind: str, vram_mb: int, variant: str | None = None) -> None:
        """Await the worker's greeting and send it the adapter to load, in one of its variants if it has any."""
        hello = self._next(Hello, _HELLO_S, "say hello")
        if hello.protocol != PROTOCOL:
            raise ProcessError(f"it speaks protocol {hello.protocol}, this kit {PROTOCOL}: its pocket3d is another one")
        device = f"{device_kind}-0"
        self.send(LoadModel(spec=spec, device=device, device_kind=device_kind, vram_mb=vram_mb, variant=variant))

    def load(
        self, spec: AdapterSpec, device_kind: str, vram_mb: int, timeout_s: float, variant: str | None = None
    ) -> ModelLoaded | LoadFailed:
        """Load the model."""
        self.begin_load(spec, device_kind, vram_mb, variant)
        answer: ModelLoaded | LoadFailed = self._next((ModelLoaded, LoadFailed), timeout_s, "load")
        return answer

    def run(self, run_id: str, feature: str, inputs: dict[str, Any], **fields: Any) -> Path:
        """Start a request with local paths and further fields of `RunJob`; returns the folder of its outputs."""
        job_dir = self.folder / "jobs" / run_id
        output_dir = job_dir / "output"
        output_dir.mkdir(parents=True)
        self.send(
            RunJob(
                run_id=run_id,
                job_id=run_id,
                attempt=1,
                feature=feature,
                inputs=inputs,
                job_dir=str(job_dir),
                output_dir=str(output_dir),
                **fields,
            )
        )
        return output_dir

    def end(self, run_id: str, timeout_s: float) -> RunFinished | RunFailed | None:
        """Wait for a request's end; None if there is none in time."""
        found: RunFinished | RunFailed | None = self.wait((RunFinished, RunFailed), timeout_s, run_id)
        return found

    def reports(self, run_id: str) -> list[RunProgress]:
        """The progress of a request, as far as it was heard."""
        return [each for each in self.frames if isinstance(each, RunProgress) and each.run_id == run_id]

    def cancel(self, run_id: str) -> None:
        """Cancel a request."""
        self.send(CancelRun(run_id=run_id))

    def shut_down(self, timeout_s: float) -> int | None:
        """Have the worker unload and end; returns its exit status, or None if it did not end in time."""
        self.send(Shutdown())
        ends = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < ends:
            # Its last frames must find room.
            if not self._receive():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(max(0.0, ends - time.monotonic()))
        return self.process.poll()

    def log_lines(self) -> list[str]:
        """The lines that the worker printed: those of the standard output, then those of the error output."""
        return self._printed().decode(errors="replace").splitlines()

    def send(self, frame: Frame) -> None:
        """Send a frame."""
        try:
            self.socket.settimeout(_HELLO_S)
            self.socket.sendall(pack(frame))
        except OSError as error:
            raise ProcessError(f"the worker is gone: {self._story()}") from error
        finally:
            self.socket.settimeout(_POLL_S)

    def wait(self, kinds: Any, timeout_s: float, run_id: str | None = None) -> Any:
        """Return the first frame of these kinds (of that run), heard already or awaited; None if none comes in time."""
        ends = time.monotonic() + timeout_s
        looked = 0
        alive = True
        while True:
            for frame in self.frames[looked:]:
                if isinstance(frame, kinds) and (run_id is None or frame.run_id == run_id):
                    return frame
            looked = len(self.frames)
            if not alive:
                raise ProcessError(f"the worker ended: {self._story()}")
            if time.monotonic() > ends:
                return None
            alive = self._receive()

    def _next(self, kinds: Any, timeout_s: float, what: str) -> Any:
        found = self.wait(kinds, timeout_s)
        if found is None:
            raise ProcessError(f"it did not {what} within {timeout_s:g} s: {_tail(self._printed())}")
        return found

    def _receive(self) -> bool:
        """Read what has come; False at the end."""
        try:
            data = self.socket.recv(1 << 20)
        except TimeoutError:
            return True
        except OSError:
            return False
        try:
            self.frames += self._reader.feed(data)
        except FrameError as error:
            raise ProcessError(f"it wrote to the worker's socket: {error}") from error
        return bool(data)

    def _printed(self) -> bytes:
        return self.stdout.read_bytes() + self.stderr.read_bytes()

    def _story(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.poll()
        how = "it closed its socket" if code is None else f"exit status {code}"
        if code is not None and code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        return f"{how}; its last lines: {_tail(self._printed())}"


def _tail(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-_SHOWN_LINES:]) or "(it printed nothing)"
