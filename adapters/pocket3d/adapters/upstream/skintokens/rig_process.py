"""The worker's side of `program.py`: one process that holds the model, one request at a time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidInput

_PROGRAM = Path(__file__).resolve().parent / "program.py"
#: Seconds between looks at the cancel flag.
_LOOK_S = 0.1
#: Seconds that a cancelled request is given to end by itself: loops of Blender's do not listen.
_PATIENCE_S = 10.0
_END_S = 5.0
_TAIL_BYTES = 4096


class RigFailed(RuntimeError):
    """The process could not load the model, failed at a request, or died. The text says what it said."""


class RigProcess:
    """Starts the process and waits until the model is loaded; starts it anew where it died.

    `folder` is where upstream looks for `experiments`, `models` and `configs`; `environment` has the checkout on
    PYTHONPATH.

    Raises:
        RigFailed: see there.
    """

    def __init__(self, checkpoint: str, device: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, str(_PROGRAM), checkpoint, device]
        self._folder, self._environment = folder, dict(environment)
        self._life = self._start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._life.process.pid

    def run(
        self, request: dict[str, Any], *, check: Callable[[], None], step: Callable[[float, str], None]
    ) -> dict[str, Any]:
        """Do one request; returns its facts. `check` is called ten times a second and may raise to cancel it; `step`
        hears of each step.

        Raises:
            RigFailed: see there.
            InvalidInput: the mesh is at fault.
            BaseException: what `check` or `step` raised; the request has ended then.
        """
        if self._life.process.poll() is not None:
            self._life.close()
            self._life = self._start()
        life = self._life
        life.send(request)
        try:
            while True:
                check()
                answer = life.next(_LOOK_S)
                if answer is None:
                    continue
                if "stage" in answer:
                    step(answer["fraction"], answer["stage"])
                elif "done" in answer:
                    done: dict[str, Any] = answer["done"]
                    return done
                elif "invalid" in answer:
                    raise InvalidInput(answer["invalid"], "mesh_path")
                else:
                    raise RigFailed(f"SkinTokens failed: {answer.get('failed', 'it was cancelled')}")
        except (RigFailed, InvalidInput):
            raise
        except BaseException:
            self._end_request(life)
            raise

    def close(self) -> None:
        """End the process."""
        self._life.close()

    def _start(self) -> _Life:
        life = _Life(self._command, self._folder, self._environment)
        try:
            first = life.next(None)
        except RigFailed:
            life.close()
            raise
        if first is None or "ready" not in first:
            life.close()
            raise RigFailed(f"SkinTokens cannot load its weights: {(first or {}).get('error', 'it said nothing')}")
        return life

    def _end_request(self, life: _Life) -> None:
        """Have the running request end; a process that does not listen is ended, and starts anew with the next."""
        try:
            life.send({"cancel": True})
            waited = 0.0
            while waited < _PATIENCE_S:
                answer = life.next(_LOOK_S)
                if answer is not None and "stage" not in answer:
                    return
                waited += _LOOK_S if answer is None else 0.0
        except RigFailed:
            pass
        life.close()


class _Life:
    """One process, from its start to its end."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._requests, self._answers = self.process.stdin, self.process.stdout
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="skintokens", daemon=True)
        self._reader.start()

    def send(self, request: dict[str, Any]) -> None:
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        except (BrokenPipeError, ValueError) as error:
            raise RigFailed(self._death()) from error

    def next(self, timeout: float | None) -> dict[str, Any] | None:
        """The next answer; None if there was none in so many seconds.

        Raises:
            RigFailed: the process has ended.
        """
        try:
            answer = self._told.get(timeout=timeout)
        except queue.Empty:
            return None
        if answer is None:
            self._told.put(None)
            raise RigFailed(self._death())
        return answer

    def close(self) -> None:
        """End the process; returns when it is gone."""
        try:
            self._requests.close()
        except BrokenPipeError:
            # It is gone already, with a request that nobody reads.
            self.process.poll()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self._answers.close()
        self._log.close()

    def _read(self) -> None:
        for line in self._answers:
            self._told.put(json.loads(line))
        self._told.put(None)

    def _death(self) -> str:
        try:
            code = self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "SkinTokens' process closed its pipe"
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(size - _TAIL_BYTES, 0))
        tail = self._log.read().decode("utf-8", "replace").strip() or "(nothing)"
        return f"SkinTokens' process ended with {code}; it printed last:\n{tail}"
