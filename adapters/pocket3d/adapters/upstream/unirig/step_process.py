"""Runs one step of a job as a process: starts, watches and ends it, and judges it by its exit and its file. Its VRAM is
measured by NVML: torch's own count is in the process.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

#: Seconds between looks at the process, at the cancel flag and at its progress.
_LOOK = 0.1
#: Seconds between asking a process to end and ending it.
_GRACE = 2.0
_TAIL_LINES = 12
_TAIL_BYTES = 16_384
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class StepFailed(RuntimeError):
    """A step ended badly, or well but without its file. The text has the end of what it printed."""


class WroteNothing(StepFailed):
    """A step ended well and without its file: upstream printed its error and went on."""


class Running(Protocol):
    """A process that leads a group of its own, as `subprocess.Popen` tells of it."""

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; raises `subprocess.TimeoutExpired` after so many seconds."""


#: Starts a process: its arguments, its folder, the file for what it prints, its variables.
Launch = Callable[[Sequence[str], Path, Path, Mapping[str, str]], Running]


def launch(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> Running:
    """Launch a program with its arguments as a process of its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own, so that what it starts can be ended with it.
            start_new_session=True,
        )


def run_step(
    command: Sequence[str],
    *,
    start: Launch = launch,
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    writes: Path,
    check: Callable[[], None],
    progress: Callable[[float | None], None],
    watch: Callable[[int], None] | None = None,
) -> str:
    """Run a process in `folder` until it ends, and look for the file `writes`, which is not there yet. Returns the end
    of what it printed.

    Its output goes to `<name>.log` in the folder, its progress comes from the file named by the variable
    POCKET3D_STEP_PROGRESS that is set for it (`done total`). Ten times a second `check` is called, which raises to end
    it (a cancel), and `watch` with the id of the process group. `progress` is told 0..1 within the step, None while
    nothing is known.

    Raises:
        StepFailed: see there; `WroteNothing` where the process did not say so itself.
        BaseException: what `check` raised; the process and all of its group are gone then.
    """
    log, told = folder / f"{name}.log", folder / f"{name}.progress"
    process = start(command, folder, log, {**environment, "POCKET3D_STEP_PROGRESS": str(told)})
    with _ended_with_all(process):
        while True:
            check()
            progress(_fraction(told))
            if watch is not None:
                watch(process.pid)
            try:
                code = process.wait(_LOOK)
                break
            except subprocess.TimeoutExpired:
                continue
    tail = _tail(log)
    if code != 0:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        raise StepFailed(f"UniRig's step {name!r} {how}; it printed last:\n{tail}")
    if not writes.is_file() or writes.stat().st_size == 0:
        raise WroteNothing(
            f"UniRig's step {name!r} ended without an error and without {writes.name}; it printed last:\n{tail}"
        )
    return tail


@contextlib.contextmanager
def _ended_with_all(process: Running) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        # Also what it left behind: a loader of data that waits for a parent that is gone.
        _signal(process.pid, signal.SIGKILL)
        process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _fraction(told: Path) -> float | None:
    try:
        done, total = told.read_text().split()
        return min(int(done) / int(total), 1.0)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _TAIL_BYTES, 0))
        text = _COLOUR.sub("", file.read().decode("utf-8", "replace"))
    # A progress bar draws over itself: only what it drew last is of interest.
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    return "\n".join([line for line in lines if line][-_TAIL_LINES:]) or "(nothing)"
