"""Start and stop records of a worker, for audits that trust neither the agent's ledger nor its messages."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec


class Journal:
    """Appends JSON lines `{"event", "pid", "monotonic_ns", ...}` to `<folder>/<pid>.jsonl`.

    The clock is CLOCK_MONOTONIC, one for all processes of a host.

    Args:
        folder: made if missing; None for no journal.
    """

    def __init__(self, folder: str | None) -> None:
        self._descriptor: int | None = None
        self._pid = os.getpid()
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(Path(folder) / f"{self._pid}.jsonl", flags, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Append one record; it is in the file when this returns."""
        if self._descriptor is None:
            return
        record = {"event": event, "pid": self._pid, "monotonic_ns": time.monotonic_ns(), **fields}
        os.write(self._descriptor, msgspec.json.encode(record) + b"\n")
