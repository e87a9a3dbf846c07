"""The clock of production, which services read for their engines. No engine imports this."""

from __future__ import annotations

import time

from .clock import Now


def system_clock() -> Now:
    """This instant."""
    return Now(time.monotonic(), time.time())
