"""The worker's side of `resident.py`: one process that holds a loaded model's weights, and steps forked from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .step_process import StepFailed

_PROGRAM = Path(__file__).resolve().parent / "resident.py"
_END_S = 5.0


class WeightsUnreadable(RuntimeError):
    """The process could not read the weights, or did not come up."""


class WeightHolder:
    """Reads the weights at once; steps start with them in memory (copy on write). Safe to use from several threads.

    If the process dies (the kernel may end it when memory is short) the next step starts it anew. `environment` has
    UniRig's checkout on PYTHONPATH.

    Raises:
        WeightsUnreadable: see there.
    """

    def __init__(self, files: Sequence[Path], environment: Mapping[str, str]) -> None:
        self._files = [str(each) for each in files]
        self._environment = dict(environment)
        self._starting = threading.Lock()
        self._life = _Life(self._files, self._environment)

    @property
    def pid(self) -> int:
        """The id of the process that holds the weights."""
        return self._life.pid

    def start(self, arguments: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> ForkedStep:
        """Run one command of `child.py` in `folder`, its output in `log`.

        Raises:
            StepFailed: the process that holds the weights died meanwhile.
            WeightsUnreadable: it had died and does not come up again.
        """
        with self._starting:
            if self._life.ended:
                self._life.close()
                self._life = _Life(self._files, self._environment)
            life = self._life
        return life.start(
            {
                "arguments": list(arguments),
                "folder": str(folder),
                "log": str(log),
                "environment": dict(environment),
            }
        )

    def close(self) -> None:
        """End the process, and with it what it started."""
        with self._starting:
            self._life.close()


class ForkedStep:
    """A step that was forked, with what `run_step` asks of a process."""

    def __init__(self, life: _Life, pid: int) -> None:
        self._life = life
        self.pid = pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the step runs."""
        return self._life.code_of(self.pid, 0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the step's end.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        code = self._life.code_of(self.pid, timeout)
        if code is None:
            raise subprocess.TimeoutExpired(["UniRig's step"], timeout or 0.0)
        return code


class _Life:
    """One holding process, from its start to its end."""

    def __init__(self, files: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), *files],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._changed = threading.Condition()
        self._pids: dict[int, int] = {}
        self._codes: dict[int, int] = {}
        self._next = 0
        self.ended = False
        self._reader: threading.Thread | None = None
        first: dict[str, Any] = json.loads(self._answers.readline() or "{}")
        if "ready" not in first:
            self.ended = True
            self.close()
            why = first.get("error") or f"its process ended with {self._process.returncode}"
            raise WeightsUnreadable(f"UniRig's weights cannot be read ({', '.join(files)}): {why}")
        self._reader = threading.Thread(target=self._read, name="unirig-weights", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, request: dict[str, Any]) -> ForkedStep:
        with self._changed:
            number, self._next = self._next, self._next + 1
            try:
                self._requests.write(json.dumps({"id": number, **request}).encode() + b"\n")
                self._requests.flush()
            except (BrokenPipeError, ValueError) as error:
                self.ended = True
                raise StepFailed("the process that holds UniRig's weights is gone") from error
            self._changed.wait_for(lambda: number in self._pids or self.ended)
            if number not in self._pids:
                raise StepFailed("the process that holds UniRig's weights ended before the step started")
            return ForkedStep(self, self._pids.pop(number))

    def code_of(self, pid: int, timeout: float | None) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: pid in self._codes or self.ended, timeout)
            if pid in self._codes:
                return self._codes[pid]
            # With the process that holds the weights the kernel ends those that it forked.
            return -9 if self.ended else None

    def close(self) -> None:
        """End the process; returns when it is gone."""
        try:
            self._requests.close()
        except BrokenPipeError:
            # It is gone already, with a request that nobody reads.
            self.ended = True
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        self._answers.close()

    def _read(self) -> None:
        for line in self._answers:
            told = json.loads(line)
            with self._changed:
                if "id" in told:
                    # Ids of processes come round: what an older one ended with is not this one's.
                    self._codes.pop(told["pid"], None)
                    self._pids[told["id"]] = told["pid"]
                else:
                    self._codes[told["pid"]] = told["code"]
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()


def step_environment(root: Path, temporary: Path | None) -> dict[str, str]:
    """The variables of UniRig's processes.

    `root` is the checkout, `temporary` the folder for temporary files; None is for the worker's.
    """
    return {
        **os.environ,
        # The folders that `models.yaml` gave this worker are for its processes too.
        "PYTHONPATH": os.pathsep.join([str(root), *(each for each in sys.path if each)]),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # All that is needed lies on this disk; what does not is an error and no download.
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        **({"TMPDIR": str(temporary)} if temporary is not None else {}),
    }
