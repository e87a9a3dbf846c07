"""Runs one of UniRig's commands in this process, so that it dies with the worker and tells how far it is.

Started by its path, with UniRig's checkout on PYTHONPATH: `child.py module src.data.extract ...` or
`child.py script /path/run.py ...`. Imports nothing of Pocket3DStudio.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
#: Seconds between two lines of progress.
_PAUSE = 0.2


def count_calls(owner: type, method: str, total: int) -> None:
    """Have each call of `owner.method` count as a step, `done total` in the file where the worker looks.

    The process's own numbers may turn out larger than `total`.
    """
    original = getattr(owner, method)
    file = Path(os.environ["POCKET3D_STEP_PROGRESS"])
    done, last = 0, 0.0

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if now - last >= _PAUSE:
            last = now
            draft = file.with_suffix(".draft")
            draft.write_text(f"{done} {max(total, done)}")
            draft.replace(file)
        return original(self, *arguments, **options)

    setattr(owner, method, counted)


def run(arguments: list[str]) -> int:
    """Run the command; returns its exit code. Nothing that it raises comes out: it is printed."""
    try:
        command(arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:  # noqa: BLE001  # foreign code, at the outermost level of its process
        traceback.print_exc()
        return 1
    return 0


def command(arguments: list[str]) -> None:
    """`module|script`, its name, its arguments. POCKET3D_STEP_CALLS: `module:Class.method:total` to count."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    kind, name, *rest = arguments
    calls = os.environ.get("POCKET3D_STEP_CALLS")
    if calls:
        module, attribute, total = calls.split(":")
        owner, method = attribute.split(".")
        count_calls(getattr(importlib.import_module(module), owner), method, int(total))
    sys.argv = [name, *rest]
    if kind == "module":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(name, run_name="__main__")


if __name__ == "__main__":
    # Not the folder of this file: its modules are none of UniRig's.
    del sys.path[0]
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Without the interpreter's own end: Blender's module crashes in it, after all is written (4.2.0: SIGSEGV).
    os._exit(code)
