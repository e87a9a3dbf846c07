"""Holds UniRig's weights and forks a process for each step that needs them: they are read once, not for each job.

Started by its path with the files of weights as arguments and UniRig's checkout on PYTHONPATH. A request is a line of
JSON on stdin: `id`, `arguments` (of `child.py`), `folder`, `log`, `environment`. Answers on stdout: `{"ready": true}`
once the weights are held, or `{"error": text}`; `{"id", "pid"}` when a step has started, `{"pid", "code"}` when it has
ended. Ends with its stdin. Imports nothing of Pocket3DStudio, and of what could touch a GPU only torch, without using
one: a CUDA context does not survive a fork.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any


def hold(files: list[str]) -> None:
    """Read the files and have `torch.load` give what was read, in this process and those that it forks."""
    torch: Any = importlib.import_module("torch")
    original = torch.load

    def read(path: str) -> Any:
        try:
            return original(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            # With settings beside the numbers; upstream reads its files so.
            return original(path, map_location="cpu", weights_only=False)

    held = {os.path.realpath(path): read(path) for path in files}

    def load(file: Any, *arguments: Any, **options: Any) -> Any:
        name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
        if isinstance(name, (str, os.PathLike)):
            found = held.get(os.path.realpath(name))
            if found is not None:
                return found
        return original(file, *arguments, **options)

    torch.load = load


def send(channel: int, **facts: Any) -> None:
    """Write one line of JSON to the worker's pipe."""
    os.write(channel, json.dumps(facts).encode() + b"\n")


def serve(channel: int) -> None:
    """Start what is asked for and tell of what has ended, until stdin ends."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    pending = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            for pid, code in _ended():
                send(channel, pid=pid, code=code)
        if 0 in ready:
            piece = os.read(0, 65_536)
            if not piece:
                return
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                request = json.loads(line)
                send(channel, id=request["id"], pid=start(request, channel))


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def start(request: dict[str, Any], channel: int) -> int:
    """Fork; returns the id of the new process, which leads a group of its own."""
    pid = os.fork()
    if pid:
        # Here too: whoever ends the group may be quicker than the process itself.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.close(channel)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        os.chdir(request["folder"])
        code = importlib.import_module("child").run(request["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Never back into the loop of the process that it was forked from.
        os._exit(code)


def main(files: list[str]) -> None:
    """Read the weights, then serve the worker."""
    channel = os.dup(1)
    # What libraries print at import is no protocol.
    os.dup2(2, 1)
    importlib.import_module("child")
    # Not the folder of this file: its modules are none of UniRig's.
    del sys.path[0]
    try:
        hold(files)
    except (OSError, RuntimeError, ValueError, EOFError, ImportError, pickle.UnpicklingError) as error:
        send(channel, error=f"{type(error).__name__}: {error}")
        return
    send(channel, ready=True)
    serve(channel)


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)
