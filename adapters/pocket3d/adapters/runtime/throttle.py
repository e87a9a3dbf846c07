"""At most so many progress reports a second for each run, and always the last one. Pure: time comes in."""

from __future__ import annotations

from pocket3d.contracts.worker_frames import RunProgress

#: Seconds between two reports of one run.
INTERVAL_S = 0.1


class ProgressThrottle:
    """Keeps the newest report of each run until its time has come."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._next: dict[str, float] = {}
        self._waiting: dict[str, RunProgress] = {}

    def offer(self, report: RunProgress) -> None:
        """Take a new report, which replaces one of its run that still waits."""
        self._waiting[report.run_id] = report

    def due(self, now: float) -> list[RunProgress]:
        """Take the reports that are to be sent now (seconds, monotonic)."""
        ready = [run_id for run_id in self._waiting if self._next.get(run_id, now) <= now]
        for run_id in ready:
            self._next[run_id] = now + self._interval_s
        return [self._waiting.pop(run_id) for run_id in ready]

    def wakes_at(self) -> float | None:
        """The moment at which the next report is due, or None."""
        return min((self._next.get(run_id, float("-inf")) for run_id in self._waiting), default=None)

    def finish(self, run_id: str) -> RunProgress | None:
        """Forget a run that ends; returns its last report if that was not sent."""
        self._next.pop(run_id, None)
        return self._waiting.pop(run_id, None)
