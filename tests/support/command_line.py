"""`pocket3d` as a person or a script runs it: a process, its output and its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("contracts", "bus", "gpu_agents", "adapters", "coordinator", "ops")


def environment(**more: str) -> dict[str, str]:
    """For a process of ours: a bare checkout on the path, nobody's settings, nothing written to the user's folders."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("POCKET3D_", "NATS_", "PYTHONPATH"))}
    path = os.pathsep.join(str(ROOT / c) for c in COMPONENTS)
    return {**kept, "PYTHONPATH": path, "POCKET3D_CONTEXTS": "0", **more}


def command(*arguments: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "pocket3d.ops.cli", *arguments]


class Ran:
    """What a finished command said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self) -> str:
        return f"exit code {self.code}\nstdout: {self.out}\nstderr: {self.err}"

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """One JSON document per line of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


def pocket3d(*arguments: str, timeout: float = 60, cwd: Path | None = None, **env: str) -> Ran:
    """Run a command to its end."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env=environment(**env),
        check=False,
    )
    return Ran(done)


def eventually(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """Poll until it is true; its value."""
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        if waited > timeout:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(min(0.2, max(0.02, waited / 20)))
    return value


class Up:
    """A running `pocket3d up`."""

    def __init__(self, store: Path, *arguments: str, port: int = 0, **env: str) -> None:
        self.log = store.with_name(store.name + ".log")
        # Of a few tests alone: it takes a second or two to start.
        gateway = () if any(each.startswith("--gateway") for each in arguments) else ("--no-gateway",)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command(
                    "up", "--port", str(port), "--store", str(store), "--devices", "cpu:4096", *gateway, *arguments
                ),
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment(POCKET3D_STATE=str(store), **env),
                text=True,
                start_new_session=True,
            )
        self.url = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put("")

    def ready(self, timeout: float = 60) -> Up:
        """Wait for its line; `url` is known then."""
        line = self._lines.get(timeout=timeout)
        assert line.startswith("ready nats://127.0.0.1:"), f"{line!r}; log:\n{self.log.read_text()}"
        self.url = line.split()[1]
        return self

    def page(self, timeout: float = 60) -> str:
        """Wait for the line after that: where the gateway is."""
        line = self._lines.get(timeout=timeout)
        assert line.startswith("page http://127.0.0.1:"), f"{line!r}; log:\n{self.log.read_text()}"
        return line.split()[1]

    def run(self, *arguments: str, timeout: float = 60, **env: Any) -> Ran:
        """A command against it."""
        return pocket3d(*arguments, timeout=timeout, NATS_URL=self.url, **env)

    def processes(self) -> list[psutil.Process]:
        """All below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, name: str) -> psutil.Process:
        """`nats-server`, `coordinator` or `agent`, as it runs now."""

        def find() -> psutil.Process | None:
            for child in psutil.Process(self.process.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    line = child.cmdline()
                    if name in line or (line and Path(line[0]).name == name):
                        return child
            return None

        found: psutil.Process = eventually(find, 30, f"a {name}")
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 40) -> int:
        """Signal it and wait; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout)
        self._reader.join(10)
        return code


@contextlib.contextmanager
def up(store: Path, *arguments: str, port: int = 0, **env: str) -> Iterator[Up]:
    """A ready `pocket3d up`; stopped at the end."""
    running = Up(store, *arguments, port=port, **env)
    try:
        yield running.ready()
    finally:
        running.stop()
