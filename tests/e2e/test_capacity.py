"""Devices are never over-committed, models overlap as they can, and nothing blocks behind what does not fit."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e

ECHO = "pocket3d.adapters.echo.EchoAdapter"


def echo(vram_mb: int, max_concurrent: int = 2) -> dict[str, Any]:
    return {"class": ECHO, "config": {"vram_requirement": vram_mb, "max_concurrent": max_concurrent}}


class Oracle:
    """Sums what workers hold, from their own start and stop records; knows no ledger."""

    def __init__(self, journal: Path) -> None:
        records: list[dict[str, Any]] = []
        for path in journal.glob("*.jsonl"):
            records += [json.loads(line) for line in path.read_text().splitlines()]
        self.records = sorted(records, key=lambda r: r["monotonic_ns"])

    def peaks(self) -> dict[tuple[str, str], int]:
        """(agent, device) -> most MB that residents and runs held together at any moment."""
        held: dict[int, tuple[tuple[str, str], dict[str, int]]] = {}
        now: dict[tuple[str, str], int] = {}
        peaks: dict[tuple[str, str], int] = {}

        def change(place: tuple[str, str], mb: int) -> None:
            now[place] = now.get(place, 0) + mb
            peaks[place] = max(peaks.get(place, 0), now[place])

        for record in self.records:
            pid, event = record["pid"], record["event"]
            if event == "loaded":
                place = (self.agent_of(record), record["device"])
                held[pid] = (place, {"": record["vram_mb"]})
                change(place, record["vram_mb"])
            elif event == "run_start" and record["extra_vram_mb"]:
                place, parts = held[pid]
                parts[record["run_id"]] = record["extra_vram_mb"]
                change(place, record["extra_vram_mb"])
            elif event == "run_end":
                place, parts = held[pid]
                change(place, -parts.pop(record["run_id"], 0))
            elif event == "worker_stop" and pid in held:
                place, parts = held.pop(pid)
                change(place, -sum(parts.values()))
        return peaks

    @staticmethod
    def agent_of(record: dict[str, Any]) -> str:
        # Adapter ids name their agent in these tests, so that devices of different hosts are told apart.
        return str(record["adapter_id"]).rsplit("-", 1)[1]


async def test_five_hundred_jobs_of_mixed_vram_never_overcommit(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    fleet.coordinator()
    sizes = {"a": "fixed:24000,8000", "b": "fixed:12000", "c": "fixed:8000+cpu:3000"}
    totals = {("a", "fixed-0"): 24000, ("a", "fixed-1"): 8000, ("b", "fixed-0"): 12000}
    totals |= {("c", "fixed-0"): 8000, ("c", "cpu-0"): 3000}
    for name, devices in sizes.items():
        models = fleet.models(f"models-{name}", {f"echo-{mb}-{name}": echo(mb) for mb in (1000, 2500, 5000, 7000)})
        fleet.agent(name, devices, models)
    await fleet.until_led(agents=3, timeout=60)
    chance = random.Random(5)
    jobs = []
    for n in range(500):
        body: dict[str, Any] = {"job_id": f"mixed-{n}", "inputs": {"sleep_s": chance.choice([0, 0, 0.02, 0.1])}}
        if chance.random() < 0.5:
            body["vram_mb"] = chance.choice([500, 2000, 4000, 6000, 9000, 15000])
        jobs.append(body)
    await asyncio.gather(*(fleet.submit("echo", body) for body in jobs))
    results = await fleet.until_results(500, timeout=150)
    assert len(results) == 500
    failed = [(r["job_id"], r["status"], r["error"]) for r in results if r["status"] != "succeeded"]
    assert not failed, failed[:5]
    used = {(r["agent_id"], r["device"]) for r in results}
    assert len(used) >= 4, f"the jobs were spread over {used}"
    peaks = Oracle(fleet.journal).peaks()
    over = {place: (mb, totals[place]) for place, mb in peaks.items() if mb > totals[place]}
    assert not over, over
    assert any(mb > 0.5 * totals[place] for place, mb in peaks.items()), peaks


async def test_three_models_on_two_devices_overlap(fleet: FleetProcesses) -> None:
    """The system this replaces took 22 s for the same work."""
    fleet.coordinator()
    models = fleet.models("models", {f"model-{x}": echo(3000, max_concurrent=1) for x in "abc"})
    fleet.agent("host", "fixed:10000,10000", models)
    await fleet.until_led(agents=1, timeout=60)
    began = time.monotonic()
    for n in range(6):
        body = {"job_id": f"o-{n}", "inputs": {"sleep_s": 3}, "model_preference": f"model-{'abc'[n % 3]}"}
        await fleet.submit("echo", body)
    results = await fleet.until_results(6, timeout=60)
    took = time.monotonic() - began
    assert {r["status"] for r in results} == {"succeeded"}
    print(f"6 jobs x 3 s of 3 models on 2 devices: {took:.2f} s")
    assert took < 3 * 4, "they must overlap"
    starts = sorted(r["timings"]["started_at"] for r in results)
    ends = sorted(r["timings"]["finished_at"] for r in results)
    assert starts[-1] < ends[0], "all six ran at the same time"


async def test_what_fits_nowhere_blocks_nobody_and_says_why(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    models = fleet.models("models", {"small": echo(1000), "huge": echo(30000)})
    fleet.agent("little", "fixed:8000", models)
    await fleet.until_led(agents=1, timeout=60)
    await fleet.submit("echo", {"job_id": "huge-1", "inputs": {}, "model_preference": "huge"}, priority="high")
    for n in range(5):
        await fleet.submit("echo", {"job_id": f"small-{n}", "inputs": {}, "model_preference": "small"}, priority="low")
    results = await fleet.until_results(5, timeout=30)
    assert {r["job_id"] for r in results} == {f"small-{n}" for n in range(5)}
    explanation = await fleet.ask("explain", {"job_id": "huge-1"})
    assert explanation["status"] == "queued"
    [reason] = explanation["reasons"]
    assert (reason["agent_id"], reason["device"], reason["code"]) == ("little", "fixed-0", "vram_total")
    assert (reason["need_mb"], reason["have_mb"], reason["short_mb"]) == (30000, 8000, 22000)

    fleet.agent("big", "fixed:40000", models)
    results = await fleet.until_results(6, timeout=30)
    [huge] = [r for r in results if r["job_id"] == "huge-1"]
    assert (huge["status"], huge["agent_id"]) == ("succeeded", "big")


async def test_fifty_thousand_jobs_that_fit_nowhere_stand_in_front(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    models = fleet.models("models", {"small": echo(1000)})
    fleet.agent("little", "fixed:8000", models)
    await fleet.until_led(agents=1, timeout=60)

    async def publish(first: int, count: int) -> None:
        for n in range(first, first + count):
            # Two thousand different requirements: they are not one waiting line.
            body = {"job_id": f"wide-{n}", "inputs": {}, "vram_mb": 100_000 + n % 2000}
            await fleet.nc.publish("p3d.jobs.high.echo", json.dumps(body).encode())
            if n % 200 == 0:
                await fleet.nc.flush()

    await publish(0, 50_000)
    await fleet.nc.flush()

    async def all_queued() -> bool:
        return await fleet.messages("P3D_EVENTS") >= 50_000

    await until(all_queued, 120, "50,000 queued jobs")
    began = time.monotonic()
    await fleet.submit("echo", {"job_id": "small", "inputs": {}}, priority="low")
    await until(lambda: _has(fleet, "small"), 30, "the small job's result")
    print(f"a small job behind 50,000 that fit nowhere: {time.monotonic() - began:.2f} s")
    assert await fleet.messages("P3D_JOBS") >= 50_000


async def _has(fleet: FleetProcesses, job_id: str) -> bool:
    return bool(await fleet.read_stream("P3D_RESULTS", f"p3d.results.*.{job_id}"))
