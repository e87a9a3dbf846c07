"""The process in which one call of a compiled library runs; see `native_call`.

    python -m pocket3d.adapters.runtime.native_child MODULE:FUNCTION IN.npz OUT.npz MEGABYTES SECONDS

The function takes the arrays of IN and the options (JSON, in the array `options` of IN), and returns arrays for OUT.
Exit code 0: OUT is written; 3: the function raised, its text is the last line of stderr; 4: memory ran out. After
SECONDS of all cores together, 0 for any, SIGXCPU ends it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
from pathlib import Path

from .process_memory import host_peak_mb

RAISED, OUT_OF_MEMORY = 3, 4
OPTIONS = "options"
#: File beside OUT: the most memory that this process held, MB.
PEAK = "peak"
_PR_SET_PDEATHSIG = 1


def main(call: str, source: str, target: str, memory_mb: str, processor_s: str) -> int:
    """Run the call; returns the exit code."""
    import numpy as np

    if sys.platform.startswith("linux"):
        # The end of the worker ends this process also where the library never looks up.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    module, _, name = call.partition(":")
    function = getattr(importlib.import_module(module), name)
    with np.load(source, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    options = json.loads(arrays.pop(OPTIONS).tobytes())
    _limit(int(memory_mb), int(processor_s))
    try:
        made = function(arrays, options)
        np.savez(target, **made)
        Path(target).with_name(PEAK).write_text(str(host_peak_mb() or 0))
    except MemoryError:
        return OUT_OF_MEMORY
    except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return RAISED
    return 0


def _limit(memory_mb: int, processor_s: int) -> None:
    """Bound heap and private mappings, threads' stacks included (getrlimit(2), RLIMIT_DATA), and the time of all cores;
    Linux only.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    limits = {resource.RLIMIT_DATA: memory_mb * 2**20, resource.RLIMIT_CPU: processor_s}
    for limit, wanted in limits.items():
        _, hard = resource.getrlimit(limit)
        if wanted and (hard == resource.RLIM_INFINITY or wanted < hard):
            resource.setrlimit(limit, (wanted, hard))


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Not sys.exit: threads of the library may hang in its own clean-up.
    os._exit(code)
