"""The part `scale` of `make bench`: the same questions at more and more queued jobs, and how the answers grow.

Each row is a system of its own: a server, a leader and a standby, one agent with two adapters of the echo class. Jobs
of the one are the backlog, which is kept at its size while results are counted; the other's slots are free, and the
urgent jobs for them are timed. On a shared machine only the ratios to the first row mean something.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from support.fleet_processes import FleetProcesses, Part, until

#: Questions of each kind, for their median.
ASKED = 21
#: The backlog takes this share of one device, the urgent adapter fits beside it.
_CONFIG = {"vram_requirement": 16, "max_concurrent": 64}
_ADAPTER = "pocket3d.adapters.echo.EchoAdapter"


if TYPE_CHECKING:
    from bench.processes import rss_mb, until_at_rest
else:
    from processes import rss_mb, until_at_rest


class Row(NamedTuple):
    """What was measured with that many jobs queued."""

    queued: int
    #: Published until their `queued` events were stored, jobs per second.
    intake: float
    rss_mb: float
    #: Medians of a page of 100 jobs and of an explanation, nothing else going on, ms.
    list_ms: float
    filtered_ms: float
    explain_ms: float
    #: While results come: how many, and an urgent job from its submission to its start and to its result.
    results: float
    urgent_start_ms: float
    urgent_ms: float
    #: From kill -9 of the leader to the start of a job that was submitted afterwards; and from SIGTERM to the exit, s.
    takeover_s: float
    sigterm_s: float


class Backlog:
    """Publishes jobs and hears what becomes of them, with a plain client."""

    def __init__(self, fleet: FleetProcesses) -> None:
        self.fleet = fleet
        self.published = 0
        self.results = 0
        #: Publishes one more for each result.
        self.keep_up = False
        self.heard: dict[str, float] = {}

    async def listen(self) -> None:
        async def on_result(msg: Any) -> None:
            self.results += 1
            if self.keep_up:
                await self.publish(1)

        async def on_urgent(msg: Any) -> None:
            assert msg.subject.endswith(".started") or b'"succeeded"' in msg.data, msg.data
            self.heard.setdefault(msg.subject, time.perf_counter())

        await self.fleet.nc.subscribe("p3d.results.echo.*", cb=on_result)
        await self.fleet.nc.subscribe("p3d.results.urgent.*", cb=on_urgent)
        await self.fleet.nc.subscribe("p3d.events.urgent.*.started", cb=on_urgent)
        await self.fleet.nc.flush()

    async def publish(self, jobs: int) -> None:
        for _ in range(jobs):
            body = b'{"job_id":"b-%d","inputs":{"n":1}}' % self.published
            await self.fleet.nc.publish("p3d.jobs.normal.echo", body)
            self.published += 1
            if self.published % 500 == 0:
                await self.fleet.nc.flush()

    async def urgent(self, job_id: str) -> tuple[float, float]:
        """One job of high priority: seconds until it starts, and until its result."""
        began = time.perf_counter()
        body = json.dumps({"job_id": job_id, "inputs": {"n": 1}}).encode()
        await self.fleet.js.publish("p3d.jobs.high.urgent", body, timeout=30)
        subjects = (f"p3d.events.urgent.{job_id}.started", f"p3d.results.urgent.{job_id}")
        await until(lambda: all(subject in self.heard for subject in subjects), 120, f"the urgent job {job_id}")
        return self.heard[subjects[0]] - began, self.heard[subjects[1]] - began


async def timed_ms(ask: Callable[[int], Awaitable[Any]]) -> float:
    """Median time of a question, ms."""
    took = []
    for number in range(ASKED):
        began = time.perf_counter()
        await ask(number)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


async def measure(folder: Path, queued: int, seconds: float) -> Row:
    """One row: a fresh system with so many jobs queued.

    Args:
        folder: for its files.
        queued: jobs of the backlog.
        seconds: for how long results are counted.
    """
    fleet = FleetProcesses(folder)
    await fleet.start()
    quiet = {"POCKET3D_WORKER_JOURNAL": "", "POCKET3D_LOG_LEVEL": "warning"}
    try:
        leader = fleet.coordinator(**quiet)
        await fleet.until_led(timeout=60)
        standby = fleet.coordinator(**quiet)
        backlog = Backlog(fleet)
        await backlog.listen()
        began = time.perf_counter()
        await backlog.publish(queued)

        async def known() -> bool:
            return await fleet.messages("P3D_EVENTS") >= queued

        await until(known, 600, "all jobs queued")
        intake = queued / (time.perf_counter() - began)
        # The server fills the status bucket meanwhile.
        await until_at_rest(300)
        rss = rss_mb(leader.pid)
        list_ms = await timed_ms(lambda _: fleet.ask("list", timeout=60))
        filtered_ms = await timed_ms(lambda _: fleet.ask("list", {"status": "running"}, timeout=60))
        step = max(queued // ASKED, 1)
        explain_ms = await timed_ms(lambda n: fleet.ask("explain", {"job_id": f"b-{n * step}"}, timeout=60))

        models: dict[str, dict[str, Any]] = {
            "echo": {"class": _ADAPTER, "config": _CONFIG},
            "urgent": {"class": _ADAPTER, "config": _CONFIG, "feature": "urgent"},
        }
        agent = fleet.agent("bench", "cpu:4096", fleet.models("models", models), **quiet)
        await fleet.until_led(agents=1, timeout=60)
        backlog.keep_up = True
        for number in range(3):
            await backlog.urgent(f"warm-{number}")
        before, began = backlog.results, time.perf_counter()
        urgent: list[tuple[float, float]] = []
        while time.perf_counter() < began + seconds:
            urgent.append(await backlog.urgent(f"u-{len(urgent)}"))
            await asyncio.sleep(0.1)
        results = (backlog.results - before) / (time.perf_counter() - began)
        backlog.keep_up = False
        takeover_s, sigterm_s = await _change_leader(backlog, leader, standby)
        agent.kill()
        return Row(
            queued,
            intake,
            rss,
            list_ms,
            filtered_ms,
            explain_ms,
            results,
            1000 * statistics.median(start for start, _ in urgent),
            1000 * statistics.median(end for _, end in urgent),
            takeover_s,
            sigterm_s,
        )
    finally:
        await fleet.stop()


async def _change_leader(backlog: Backlog, leader: Part, standby: Part) -> tuple[float, float]:
    """kill -9 of the leader until its successor has started a job; then SIGTERM of that one until it is gone."""
    leader.kill()
    start_s, _ = await backlog.urgent("after")
    began = time.perf_counter()
    await standby.terminate(timeout=120)
    return start_s, time.perf_counter() - began


#: Of each column: its heading, its digits, and what its ratio to the first row is to be.
_COLUMNS: tuple[tuple[str, str, int, str], ...] = (
    ("intake", "intake jobs/s", 0, ""),
    ("rss_mb", "RSS MB", 0, "<= 0.6 kB a job above 10,000"),
    ("list_ms", "list ms", 1, "<= 3"),
    ("filtered_ms", "list running ms", 1, "<= 3"),
    ("explain_ms", "explain ms", 1, ""),
    ("results", "results/s", 0, ">= 0.8"),
    ("urgent_start_ms", "urgent start ms", 0, "< 1000 ms"),
    ("urgent_ms", "urgent result ms", 0, ""),
    ("takeover_s", "kill to start s", 1, "<= 2"),
    ("sigterm_s", "SIGTERM to exit s", 2, "<= 3"),
)


def table(rows: Sequence[Row]) -> str:
    """The rows as columns, each with its ratio to the first."""
    lines = ["queued jobs".ljust(19) + "".join(f"{row.queued:>16,}" for row in rows) + "   to reach"]
    for field, heading, digits, aim in _COLUMNS:
        first = getattr(rows[0], field)
        cells = ""
        for row in rows:
            value = getattr(row, field)
            ratio = f" ({value / first:.2f})" if first else ""
            cells += f"{value:,.{digits}f}{ratio}".rjust(16)
        lines.append(heading.ljust(19) + cells + (f"   {aim}" if aim else ""))
    base = next((row for row in rows if row.queued >= 10_000), None)
    for row in rows:
        if base is not None and row.queued > base.queued:
            growth = (row.rss_mb - base.rss_mb) * 2**20 / (row.queued - base.queued)
            lines.append(f"RSS from {base.queued:,} to {row.queued:,} queued: {growth:.0f} bytes a job")
    return "\n".join(lines)
