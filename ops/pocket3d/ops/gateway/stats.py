"""What the system did lately: throughput, waits, load times and runs, in intervals of equal length. Pure.

A ring of intervals for each tenant and one for all. It is filled by what the gateway hears; it begins empty with each
gateway.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import msgspec

from pocket3d.contracts.messages import Result, Status

#: Tenants with a ring of their own; those heard of longest ago lose theirs.
_TENANTS = 64


class Span(msgspec.Struct, kw_only=True):
    """Sum, number and largest of some durations, seconds."""

    count: int = 0
    total_s: float = 0.0
    max_s: float = 0.0

    def add(self, seconds: float | None) -> None:
        """One more; None is none."""
        if seconds is not None:
            self.count += 1
            self.total_s += seconds
            self.max_s = max(self.max_s, seconds)


class Interval(msgspec.Struct, kw_only=True):
    """What happened in one interval."""

    #: When it began, Unix seconds.
    at: float
    #: Jobs by the word of their event: `queued`, `started`, `requeued`, `succeeded`, ...
    jobs: dict[str, int] = {}
    #: Time in the queue before the last start, of jobs that ended; the load of their models; their runs.
    queued: Span = msgspec.field(default_factory=Span)
    load: Span = msgspec.field(default_factory=Span)
    run: Span = msgspec.field(default_factory=Span)
    #: Messages of progress.
    progress: int = 0
    #: Runs that ended, by agent.
    agents: dict[str, int] = {}
    #: Runs that ended, by adapter.
    adapters: dict[str, int] = {}


class StatsAnswer(msgspec.Struct, kw_only=True):
    """Answer of `/v1/stats`: the intervals in which something happened, the oldest first, and who reads now."""

    interval_s: float
    intervals: list[Interval]
    streams: int


class Stats:
    """The rings."""

    def __init__(self, interval_s: float, intervals: int) -> None:
        self.interval_s = interval_s
        self._intervals = intervals
        self._all: deque[Interval] = deque(maxlen=intervals)
        self._of_tenant: OrderedDict[str, deque[Interval]] = OrderedDict()

    def status(self, status: Status, event: str, now: float) -> None:
        """A step of a job; `event` is the last word of its subject."""
        for interval in self._now(status.tenant, now):
            interval.jobs[event] = interval.jobs.get(event, 0) + 1

    def progress(self, tenant: str, now: float) -> None:
        """A message of progress."""
        for interval in self._now(tenant, now):
            interval.progress += 1

    def result(self, result: Result, now: float) -> None:
        """The end of a job."""
        for interval in self._now(result.tenant, now):
            interval.queued.add(result.timings.queued_s)
            interval.load.add(result.timings.load_s)
            interval.run.add(result.timings.run_s)
            for counts, name in ((interval.agents, result.agent_id), (interval.adapters, result.adapter_id)):
                if name is not None:
                    counts[name] = counts.get(name, 0) + 1

    def history(self, tenant: str | None, now: float) -> list[Interval]:
        """The intervals of one tenant, or of all, as far as they reach back."""
        ring = self._all if tenant is None else self._of_tenant.get(tenant, deque[Interval]())
        oldest = now - self.interval_s * self._intervals
        return [interval for interval in ring if interval.at + self.interval_s > oldest]

    def _now(self, tenant: str, now: float) -> list[Interval]:
        """The intervals of now, of all and of the tenant."""
        ring = self._of_tenant.pop(tenant, None)
        if ring is None:
            ring = deque(maxlen=self._intervals)
        self._of_tenant[tenant] = ring
        if len(self._of_tenant) > _TENANTS:
            self._of_tenant.popitem(last=False)
        return [self._latest(self._all, now), self._latest(ring, now)]

    def _latest(self, ring: deque[Interval], now: float) -> Interval:
        at = now - now % self.interval_s
        if not ring or ring[-1].at < at:
            ring.append(Interval(at=at))
        return ring[-1]


def answer(stats: Stats, tenant: str | None, now: float, streams: int) -> StatsAnswer:
    """What `/v1/stats` says."""
    return StatsAnswer(interval_s=stats.interval_s, intervals=stats.history(tenant, now), streams=streams)
