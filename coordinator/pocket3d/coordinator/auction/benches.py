"""Adapters that failed job after job on an agent, and are left out there for a while."""

from __future__ import annotations

from collections.abc import Container

from ..settings import CoordinatorSettings


class _Bench:
    """One adapter on one agent. A job counts once, however often it fails: it may be its own fault."""

    __slots__ = ("failed_at", "jobs", "pauses", "until")

    def __init__(self) -> None:
        #: When the last failure was counted, monotonic seconds.
        self.failed_at = 0.0
        #: That failed, since the last success or pause.
        self.jobs: set[str] = set()
        self.pauses = 0
        self.until = 0.0


class Benches:
    """All of them. Pure; times are monotonic seconds."""

    def __init__(self, settings: CoordinatorSettings) -> None:
        self._settings = settings
        self._benches: dict[tuple[str, str], _Bench] = {}

    def __len__(self) -> int:
        """Adapters with failures that are remembered."""
        return len(self._benches)

    def note_failure(self, agent_id: str, adapter_id: str, job_id: str, now_mono: float) -> None:
        """Count one more job that failed; from `bench_after` on the adapter is benched, each time twice as long."""
        bench = self._benches.setdefault((agent_id, adapter_id), _Bench())
        if bench.until > now_mono or job_id in bench.jobs:
            # It began before the pause, like the others of a worker that died with all of its runs: nothing new.
            return
        bench.jobs.add(job_id)
        bench.failed_at = now_mono
        if len(bench.jobs) >= self._settings.bench_after:
            pause = min(self._settings.bench_s * 2.0 ** min(bench.pauses, 30), self._settings.bench_cap_s)
            bench.until = now_mono + pause
            bench.pauses += 1
            # One more job that fails after the pause benches it again at once.
            bench.jobs.remove(job_id)

    def note_success(self, agent_id: str, adapter_id: str) -> None:
        """Note a success, which ends the failures in a row."""
        self._benches.pop((agent_id, adapter_id), None)

    def of(self, agent_id: str, now_mono: float) -> list[str]:
        """Adapters that are benched on an agent."""
        return [a for (g, a), bench in self._benches.items() if g == agent_id and bench.until > now_mono]

    def release(self, now_mono: float, present: Container[str]) -> list[str]:
        """End the pauses that are over; returns their agents. Failures of an agent that left are held against it for
        one longest pause: a restart does not mend an adapter, but an agent that never returns is forgotten.
        """
        released: list[str] = []
        for (agent_id, adapter_id), bench in list(self._benches.items()):
            if agent_id not in present:
                if now_mono >= bench.failed_at + self._settings.bench_cap_s:
                    del self._benches[agent_id, adapter_id]
            elif 0.0 < bench.until <= now_mono:
                bench.until = 0.0
                released.append(agent_id)
        return released
