"""Lets one request at a time into a model that takes several."""

from __future__ import annotations

import threading
from collections.abc import Callable

#: How often a request that waits looks whether it was cancelled, seconds.
_LOOK_S = 0.1


class Turn:
    """A lock whose wait a cancel ends: `with turn: ...`.

    Args:
        check_cancelled: raises in a request that was cancelled.
    """

    def __init__(self, check_cancelled: Callable[[], None]) -> None:
        self._check_cancelled = check_cancelled
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        while not self._lock.acquire(timeout=_LOOK_S):
            self._check_cancelled()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
