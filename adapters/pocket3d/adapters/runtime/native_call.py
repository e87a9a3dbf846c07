"""Calls a compiled library in a process of its own: a crash of it is an error, not the end of the worker; a cancel ends
it at once; what it allocates is bounded. Arrays go there and back as .npz files without pickle.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .native_child import OPTIONS, OUT_OF_MEMORY, PEAK
from .process_memory import note_helper

#: Seconds between looks at the cancel flag.
_LOOK = 0.05
_TAIL_BYTES = 4096
#: How libraries say that they ran out of memory before they abort.
_MEMORY_TEXTS = ("bad_alloc", "Cannot allocate memory", "MemoryError")


class NativeFailed(RuntimeError):
    """The library raised, crashed, or wanted more memory or time than it may have; the message says which."""


class NativeCrashed(NativeFailed):
    """A signal ended the process: a defect of the library, which another form of the input may avoid."""


def call_native(
    call: str,
    arrays: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    folder: Path,
    memory_mb: int,
    check: Callable[[], None],
    processor_s: int | None = None,
) -> dict[str, Any]:
    """Run `module:function` on arrays, elsewhere.

    Args:
        call: a function of ours that takes (arrays by name, options) and returns arrays by name; importable here.
        arrays: numpy arrays, none of objects, none named `options`.
        options: JSON values.
        folder: where the files lie meanwhile.
        memory_mb: what the process may allocate, in all.
        check: called twenty times a second; raises to end it (a cancel).
        processor_s: seconds of all cores together that the process may take; None for any.

    Raises:
        NativeFailed: see there.
        BaseException: what `check` raised; the process is gone then.
    """
    import numpy as np

    with tempfile.TemporaryDirectory(dir=folder, prefix="native-") as name:
        place = Path(name)
        source, target, log = place / "in.npz", place / "out.npz", place / "log"
        told = np.frombuffer(json.dumps(dict(options)).encode(), dtype=np.uint8)
        files: dict[str, Any] = {**arrays, OPTIONS: told}
        np.savez(source, **files)
        limits = [str(memory_mb), str(processor_s or 0)]
        command = [sys.executable, "-m", f"{__package__}.native_child", call, str(source), str(target), *limits]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=_environment()
            )
        try:
            code = _waited(process, check)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            if code == -signal.SIGXCPU:
                raise NativeFailed(f"it takes more than {processor_s} s of a core")
            raise _failure(code, log, memory_mb)
        note_helper(int((place / PEAK).read_text()))
        with np.load(target, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


def deadline(seconds: float, error: Exception) -> Callable[[], None]:
    """A `check` for `call_native` that raises the error so many seconds from now, and later."""
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until:
            raise error

    return check


def _environment() -> dict[str, str]:
    """What is imported here is found there; linear algebra takes no thread for each core, each with its own memory."""
    path = os.pathsep.join(each for each in sys.path if each)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def _waited(process: subprocess.Popen[bytes], check: Callable[[], None]) -> int:
    while True:
        check()
        try:
            return process.wait(_LOOK)
        except subprocess.TimeoutExpired:
            continue


def _failure(code: int, log: Path, memory_mb: int) -> NativeFailed:
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1][:300] if lines else "(it printed nothing)"
    if code == OUT_OF_MEMORY or any(text in line for line in lines[-3:] for text in _MEMORY_TEXTS):
        return NativeFailed(f"it takes more than {memory_mb} MB of memory")
    if code < 0:
        return NativeCrashed(f"the library crashed ({signal.Signals(-code).name}); it printed last: {last}")
    return NativeFailed(last)
