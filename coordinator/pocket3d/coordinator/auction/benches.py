"""Adapters that failed job after job on a device, and are left out there for a while.

Failures are counted at every place that could explain them, the narrowest first: the adapter's variant on the device,
the variant on the whole agent, the adapter on the device, the adapter on the agent. So one sick GPU of a host costs
only itself, a variant that is too much for its card leaves the others in use, and what is broken in an installation
fails everywhere. A success ends the counts of all places that it belongs to; failures that a bench explains count
nowhere else.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from ..settings import CoordinatorSettings


class Place(NamedTuple):
    """Where an adapter failed."""

    agent_id: str
    adapter_id: str
    #: None for all devices of the agent.
    device: str | None
    #: None for all variants of the adapter, or the adapter has none.
    variant: str | None

    def has(self, device: str, variant: str | None) -> bool:
        """Whether a failure on that device in that variant is one of this place."""
        return self.device in (None, device) and self.variant in (None, variant)

    def lies_in(self, other: Place) -> bool:
        """Whether all of this place's failures are also the other's, at the same agent and adapter."""
        return other.device in (None, self.device) and other.variant in (None, self.variant)


def _places(agent_id: str, adapter_id: str, device: str, variant: str | None) -> list[Place]:
    """The places of a failure, the narrowest first."""
    named = ((device, variant), (None, variant), (device, None), (None, None))
    return [Place(agent_id, adapter_id, *each) for each in dict.fromkeys(named)]


class _Bench:
    """One adapter at one place. A job counts once, however often it fails: it may be its own fault."""

    __slots__ = ("failed_at", "jobs", "pauses", "until")

    def __init__(self) -> None:
        #: When the last failure was counted, monotonic seconds.
        self.failed_at = 0.0
        #: That failed, since the last success or pause: on which device and in which variant.
        self.jobs: dict[str, tuple[str, str | None]] = {}
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

    def note_failure(
        self, agent_id: str, device: str, adapter_id: str, job_id: str, now_mono: float, variant: str | None = None
    ) -> None:
        """Count one more job that failed; from `bench_after` on the adapter is benched, each time twice as long."""
        if self.left_s(agent_id, device, adapter_id, now_mono, variant) > 0.0:
            # It began before the pause, like the others of a worker that died with all of its runs: nothing new.
            return
        for place in _places(agent_id, adapter_id, device, variant):
            if self._count(place, job_id, (device, variant), now_mono):
                self._explain(place)
                return

    def _count(self, place: Place, job_id: str, where: tuple[str, str | None], now_mono: float) -> bool:
        """Count a job at a place; true if that benches it."""
        bench = self._benches.setdefault(place, _Bench())
        if job_id in bench.jobs:
            return False
        bench.jobs[job_id] = where
        bench.failed_at = now_mono
        if len(bench.jobs) < self._settings.bench_after:
            return False
        pause = min(self._settings.bench_s * 2.0 ** min(bench.pauses, 30), self._settings.bench_cap_s)
        bench.until = now_mono + pause
        bench.pauses += 1
        # One more job that fails after the pause benches it again at once.
        del bench.jobs[job_id]
        return True

    def _explain(self, benched: Place) -> None:
        """The benched place explains its failures: they are not held against the adapter elsewhere."""
        for place, bench in self._benches.items():
            if place[:2] == benched[:2] and not place.lies_in(benched):
                bench.jobs = {job: where for job, where in bench.jobs.items() if not benched.has(*where)}

    def note_success(self, agent_id: str, device: str, adapter_id: str, variant: str | None = None) -> None:
        """Note a success, which ends the failures in a row at all places that it belongs to."""
        for place in _places(agent_id, adapter_id, device, variant):
            self._benches.pop(place, None)

    def left_s(self, agent_id: str, device: str, adapter_id: str, now_mono: float, variant: str | None = None) -> float:
        """How long an adapter, in that variant, is still benched on a device, seconds; 0 if it is not."""
        if not self._benches:
            return 0.0
        places = _places(agent_id, adapter_id, device, variant)
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
