"""Virtual time: a heap of things to do, and one source of chance. The same seed gives the same run."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple


class Timer:
    """Something to be done later, unless cancelled."""

    __slots__ = ("action", "at", "cancelled", "order")

    def __init__(self, at: float, order: int, action: Callable[[], object]) -> None:
        self.at = at
        self.order = order
        self.action = action
        self.cancelled = False

    def __lt__(self, other: Timer) -> bool:
        return (self.at, self.order) < (other.at, other.order)

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        self.cancelled = True


class Note(NamedTuple):
    """One line of a run's story."""

    at: float
    text: str


class VirtualClock:
    """Seconds since the run began, which pass only from one thing to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[Timer] = []
        self._order = 0
        #: What happened, for the report of a failing seed; the last notes only.
        self.notes: list[Note] = []

    def later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Do `action` after `seconds`; equal times in the order asked for."""
        self._order += 1
        timer = Timer(self.now + max(seconds, 0.0), self._order, action)
        heapq.heappush(self._heap, timer)
        return timer

    def note(self, text: str) -> None:
        """Keep a line for the report."""
        self.notes.append(Note(self.now, text))

    def run(self, until: float, enough: Callable[[], bool]) -> bool:
        """Let time pass until `until` (seconds) or until `enough()` says so, asked after each step; True if it did."""
        while self._heap and self._heap[0].at <= until:
            timer = heapq.heappop(self._heap)
            if timer.cancelled:
                continue
            self.now = timer.at
            timer.action()
            if enough():
                return True
        self.now = max(self.now, until)
        return False
