"""Until when waiting jobs may wait: a heap that forgets the jobs which left in time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

#: With fewer entries than that, those of jobs that left are kept: to rebuild the heap would cost more.
_KEPT = 64


class Deadlines:
    """One deadline per job, monotonic seconds.

    A heap has no cheap removal, so the entry of a job that left early stays behind; as soon as such entries are the
    majority the heap is built anew. It never holds more than twice the jobs that have a deadline (and `_KEPT`).
    """

    def __init__(self) -> None:
        self._of: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Entries held, those of jobs that left included."""
        return len(self._heap)

    def jobs(self) -> Iterable[str]:
        """Those that have a deadline."""
        return self._of.keys()

    def of(self, job_id: str) -> float:
        """The deadline of a job; infinity for none."""
        return self._of.get(job_id, math.inf)

    def set(self, job_id: str, at: float) -> None:
        """Let a job wait until `at` at most."""
        self._of[job_id] = at
        heapq.heappush(self._heap, (at, job_id))
        self._rebuild_if_stale()

    def forget(self, job_id: str) -> None:
        """The job no longer waits."""
        if self._of.pop(job_id, None) is not None:
            self._rebuild_if_stale()

    def passed(self, now_mono: float, most: int | None = None) -> list[str]:
        """Jobs whose deadline has passed, the earliest first, at most so many; they have none any more."""
        late: list[str] = []
        while self._heap and self._heap[0][0] <= now_mono and len(late) != most:
            at, job_id = heapq.heappop(self._heap)
            if self._of.get(job_id) == at:
                del self._of[job_id]
                late.append(job_id)
        return late

    def postpone(self, by_s: float) -> None:
        """A pause of this process is not held against those that wait."""
        self._of = {job_id: at + by_s for job_id, at in self._of.items()}
        self._rebuild()

    def _rebuild_if_stale(self) -> None:
        if len(self._heap) > 2 * len(self._of) + _KEPT:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(at, job_id) for job_id, at in self._of.items()]
        heapq.heapify(self._heap)
