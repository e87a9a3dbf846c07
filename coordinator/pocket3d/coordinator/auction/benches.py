"""Adapters that failed job after job on a device, and are left out there for a while.

Failures are counted for each adapter on each device: one sick GPU of a host costs only itself. Beside that they are
counted for the adapter on the whole agent, since what is broken in its installation fails on every device: a success
on any of them ends that count, and failures on a device that is benched for them do not belong to it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from ..settings import CoordinatorSettings


class Place(NamedTuple):
    """Where an adapter failed."""

    agent_id: str
    adapter_id: str
    #: None for the agent as a whole.
    device: str | None


class _Bench:
    """One adapter at one place. A job counts once, however often it fails: it may be its own fault."""

    __slots__ = ("failed_at", "jobs", "pauses", "until")

    def __init__(self) -> None:
        #: When the last failure was counted, monotonic seconds.
        self.failed_at = 0.0
        #: That failed, since the last success or pause, and on which device.
        self.jobs: dict[str, str] = {}
        self.pauses = 0
        self.until = 0.0


class Benches:
    """All of them. Pure; times are monotonic seconds."""

    def __init__(self, settings: CoordinatorSettings) -> None:
        self._settings = settings
        self._benches: dict[Place, _Bench] = {}

    def __len__(self) -> int:
        """Places with failures that are remembered."""
        return len(self._benches)

    def note_failure(self, agent_id: str, device: str, adapter_id: str, job_id: str, now_mono: float) -> None:
        """Count one more job that failed; from `bench_after` on the adapter is benched, each time twice as long."""
        here, anywhere = Place(agent_id, adapter_id, device), Place(agent_id, adapter_id, None)
        if self.left_s(agent_id, device, adapter_id, now_mono) > 0.0:
            # It began before the pause, like the others of a worker that died with all of its runs: nothing new.
            return
        if self._count(here, job_id, device, now_mono):
            # The device explains its failures: they are not held against the adapter elsewhere.
            on_agent = self._benches.get(anywhere)
            if on_agent is not None:
                on_agent.jobs = {job: where for job, where in on_agent.jobs.items() if where != device}
        else:
            self._count(anywhere, job_id, device, now_mono)

    def _count(self, place: Place, job_id: str, device: str, now_mono: float) -> bool:
        """Count a job at a place; true if that benches it."""
        bench = self._benches.setdefault(place, _Bench())
        if job_id in bench.jobs:
            return False
        bench.jobs[job_id] = device
        bench.failed_at = now_mono
        if len(bench.jobs) < self._settings.bench_after:
            return False
        pause = min(self._settings.bench_s * 2.0 ** min(bench.pauses, 30), self._settings.bench_cap_s)
        bench.until = now_mono + pause
        bench.pauses += 1
        # One more job that fails after the pause benches it again at once.
        del bench.jobs[job_id]
        return True

    def note_success(self, agent_id: str, device: str, adapter_id: str) -> None:
        """Note a success, which ends the failures in a row: there, and on the agent as a whole."""
        self._benches.pop(Place(agent_id, adapter_id, device), None)
        self._benches.pop(Place(agent_id, adapter_id, None), None)

    def left_s(self, agent_id: str, device: str, adapter_id: str, now_mono: float) -> float:
        """How long an adapter is still benched on a device, seconds; 0 if it is not."""
        if not self._benches:
            return 0.0
        places = Place(agent_id, adapter_id, device), Place(agent_id, adapter_id, None)
        return max(0.0, *(self._benches[p].until - now_mono for p in places if p in self._benches), 0.0)

    def release(self, now_mono: float, present: Container[str]) -> list[str]:
        """End the pauses that are over; returns their agents. Failures of an agent that left are held against it for
        one longest pause: a restart does not mend an adapter, but an agent that never returns is forgotten.
        """
        released: list[str] = []
        for place, bench in list(self._benches.items()):
            if place.agent_id not in present:
                if now_mono >= bench.failed_at + self._settings.bench_cap_s:
                    del self._benches[place]
            elif 0.0 < bench.until <= now_mono:
                bench.until = 0.0
                released.append(place.agent_id)
        return released
