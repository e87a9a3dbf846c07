"""Calls that may never return, made so that who asks waits only so long.

A driver call on a GPU that fell off the bus, or during a reset, can hang in the kernel, where no signal reaches it.
Each such call gets a thread of its own. The threads are daemons: one that hangs does not keep the process from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class NotYet(Exception):
    """The call has not returned within the time."""


class PatientCall(Generic[T]):
    """A blocking call that is made again and again, but never twice at a time.

    Args:
        call: what to call.
        name: of its threads.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._name = name
        self._thread: threading.Thread | None = None
        self._answer: list[T] = []
        self._error: list[Exception] = []

    @property
    def busy(self) -> bool:
        """True while a call that was begun has not returned."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Make the call. What an earlier one that came late has answered is forgotten.

        Raises:
            RuntimeError: it is busy.
        """
        if self.busy:
            raise RuntimeError(f"{self._name} has not returned from its last call")
        # Fresh ones each time: a call fills those that it was begun with.
        answer: list[T] = []
        error: list[Exception] = []

        def run() -> None:
            try:
                answer.append(self._call())
            except Exception as caught:  # noqa: BLE001  # raised again for who waits
                error.append(caught)

        self._answer, self._error = answer, error
        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    def result(self, timeout_s: float) -> T:
        """What the call begun last returned.

        Raises:
            NotYet: it has not returned after so many seconds.
            Exception: what the call raised.
        """
        assert self._thread is not None
        self._thread.join(max(0.0, timeout_s))
        if self.busy:
            raise NotYet
        if self._error:
            raise self._error[0]
        return self._answer[0]
