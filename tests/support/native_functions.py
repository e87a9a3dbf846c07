"""Functions that `call_native` is tried with: they stand for calls of compiled libraries, good and bad."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def doubled(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {"numbers": arrays["numbers"] * options["times"]}


def holding(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    held = b"x" * (options["megabytes"] * 2**20)
    return {"numbers": arrays["numbers"] + held[0]}


def busy(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    while True:
        pass


def raising(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    raise ValueError("no such surface")


def crashing(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def aborting(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """As C++ does where nothing catches std::bad_alloc."""
    print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr)
    print("  what():  std::bad_alloc", file=sys.stderr, flush=True)
    os.abort()


def filling(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {"numbers": [bytearray(options["megabytes"] * 2**20)]}


def hanging(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    told = Path(options["tell"])
    told.with_suffix(".new").write_text(str(os.getpid()))
    told.with_suffix(".new").rename(told)
    time.sleep(600)
    return {}
