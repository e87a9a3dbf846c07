"""Tells the agent what this process holds on its device, while it changes.

The driver tells it better where the agent is outside of containers. Inside, this is all there is to know: without it
what a run takes beyond the loaded model would be missing from the free memory and still count as promised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .process_device import reserved_mb

_PERIOD_S = 0.5
#: Less than this is not worth a message, MB.
_STEP_MB = 64


class MemoryReports:
    """Looks every half second, in a thread of its own, which a model that blocks the loop does not hold up.

    Args:
        send: takes MB.
        held: what is held now, MB; None if nobody can tell.
        period_s: between two looks.
    """

    def __init__(
        self, send: Callable[[int], None], held: Callable[[], int | None] = reserved_mb, period_s: float = _PERIOD_S
    ) -> None:
        self._send = send
        self._held = held
        self._period_s = period_s
        self._told_mb = 0
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="memory-reports", daemon=True).start()

    def stop(self) -> None:
        """Tell nothing more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            held = self._held()
            if held is not None and abs(held - self._told_mb) >= _STEP_MB:
                self._told_mb = held
                self._send(held)
