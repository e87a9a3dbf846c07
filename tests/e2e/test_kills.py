"""kill -9 of an agent, a worker, the leading coordinator and nats-server, each at random instants under load.

Counted by a plain nats-py client that reads the results stream from sequence 1. Before each kill at least four jobs run
in distinct worker processes and a hundred wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import time
from functools import partial
from typing import Any

import psutil
import pytest
from nats.aio.msg import Msg

from support.fleet_processes import FleetProcesses, Part, until

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("POCKET3D_TEST_KILLS", "12"))
ECHO = "pocket3d.adapters.echo.EchoAdapter"


class Load:
    """Keeps at least `backlog` jobs in the stream until told to stop; remembers every id."""

    def __init__(self, fleet: FleetProcesses, seed: int, max_attempts: int = 60) -> None:
        self.fleet = fleet
        self.random = random.Random(seed)
        self.max_attempts = max_attempts
        self.ids: list[str] = []
        self._stop = asyncio.Event()
        self._task = asyncio.ensure_future(self._feed())

    async def _feed(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(Exception):
                missing = 160 - await self.unfinished()
                if missing > 0:
                    await asyncio.gather(*(self._one() for _ in range(missing)))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.1)

    async def unfinished(self) -> int:
        """Jobs published and without a result."""
        return len(self.ids) - await self.fleet.messages("P3D_RESULTS")

    async def _one(self) -> None:
        job_id = f"job-{len(self.ids):05d}"
        self.ids.append(job_id)
        body = {
            "job_id": job_id,
            "inputs": {"sleep_s": round(self.random.uniform(0.2, 2.0), 3)},
            "retry": {"max_attempts": self.max_attempts, "initial_s": 0.1, "cap_s": 1},
        }
        await self.fleet.submit("echo", body)

    async def stop(self) -> None:
        self._stop.set()
        await self._task


async def fleet_under_load(fleet: FleetProcesses, seed: int, coordinators: int = 1) -> tuple[Load, list[Part]]:
    models = fleet.models(
        "models",
        {f"echo-{x}": {"class": ECHO, "config": {"vram_requirement": 2000, "max_concurrent": 3}} for x in "abc"},
    )
    for _ in range(coordinators):
        fleet.coordinator()
    agents = [fleet.agent(f"gpu-{n}", "fixed:8000,8000", models) for n in (1, 2)]
    await fleet.until_led(agents=2, timeout=60)
    return Load(fleet, seed), agents


async def loaded(fleet: FleetProcesses, load: Load) -> dict[int, int]:
    """Wait until a kill would hurt: four jobs in distinct workers, a hundred waiting. The workers that run."""

    async def hurting() -> dict[int, int] | None:
        running = fleet.running_pids()
        if len(running) < 4:
            return None
        with contextlib.suppress(Exception):
            if await load.unfinished() - sum(running.values()) >= 100:
                return running
        return None

    running = await until(hurting, 60, "4 jobs running in distinct workers and 100 queued")
    assert len(running) >= 4
    return dict(running)


async def all_done(fleet: FleetProcesses, load: Load, first_attempts_only: bool) -> None:
    await load.stop()
    results = await fleet.until_results(len(load.ids), timeout=120)

    async def empty() -> bool:
        return await fleet.messages("P3D_JOBS") == 0

    await until(empty, 30, "an empty jobs stream")
    results = await fleet.results()
    ids = [r["job_id"] for r in results]
    assert sorted(ids) == sorted(load.ids), "exactly one result per job"
    failed = [(r["job_id"], r["status"], r["error"]) for r in results if r["status"] != "succeeded"]
    assert not failed, failed[:5]
    if first_attempts_only:
        later = [(r["job_id"], r["attempt"]) for r in results if r["attempt"] != 1]
        assert not later, later[:10]
    bucket = await fleet.js.key_value("P3D_STATUS")

    async def statuses_agree() -> bool:
        for result in results[-50:]:
            entry = await bucket.get(result["job_id"])
            status = json.loads(entry.value)
            if (status["status"], status["attempt"]) != (result["status"], result["attempt"]):
                return False
        return True

    await until(statuses_agree, 30, "status = result")


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


async def test_a_killed_agent_costs_an_attempt_and_no_job(fleet: FleetProcesses) -> None:
    load, agents = await fleet_under_load(fleet, seed=1)
    chance = random.Random(11)
    models = fleet.folder / "models.yaml"
    slowest = 0.0
    for _ in range(KILLS):
        await loaded(fleet, load)
        await asyncio.sleep(chance.uniform(0, 0.3))  # the random instant
        index = chance.randrange(len(agents))
        victim = agents[index]
        orphans = [child.pid for child in victim.children()]
        began = time.monotonic()
        victim.kill()
        await until(partial(gone, orphans), 5, "orphaned workers gone")
        slowest = max(slowest, time.monotonic() - began)
        name = f"gpu-{index + 1}"
        agents[index] = fleet.agent(name, "fixed:8000,8000", models)
    assert slowest < 5
    await all_done(fleet, load, first_attempts_only=False)


async def test_a_killed_worker_hurts_its_own_runs_alone(fleet: FleetProcesses) -> None:
    load, agents = await fleet_under_load(fleet, seed=2)
    chance = random.Random(12)
    for _ in range(KILLS):
        running = await loaded(fleet, load)
        await asyncio.sleep(chance.uniform(0, 0.3))  # the random instant
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(sorted(running)), signal.SIGKILL)
    assert all(agent.alive for agent in agents)
    await all_done(fleet, load, first_attempts_only=False)


async def test_a_killed_leader_disturbs_no_running_job(fleet: FleetProcesses) -> None:
    load, _ = await fleet_under_load(fleet, seed=3, coordinators=2)
    chance = random.Random(13)
    for _ in range(KILLS):
        await loaded(fleet, load)
        await asyncio.sleep(chance.uniform(0, 0.3))  # the random instant
        bucket = await fleet.js.key_value("P3D_LEADER")

        async def leader(bucket: Any = bucket) -> int | None:
            with contextlib.suppress(Exception):
                return int(json.loads((await bucket.get("leader")).value)["pid"])
            return None

        pid = await until(leader, 10, "a leader")
        victim = next(p for p in fleet.parts if p.pid == pid)
        victim.kill()
        fleet.coordinator()
        await fleet.until_led(agents=2, timeout=30)
    await all_done(fleet, load, first_attempts_only=True)


async def test_after_a_killed_leader_work_starts_again_within_seconds(fleet: FleetProcesses) -> None:
    """With the leases that are the default, of which a standby would have to wait for one of 15 s."""
    leases = {"POCKET3D_COORDINATOR_LEADER_LEASE_S": "15", "POCKET3D_COORDINATOR_LEADER_RENEW_S": "3"}
    models = fleet.models("models", {"echo": {"class": ECHO, "config": {"vram_requirement": 1000}}})
    leader = fleet.coordinator(**leases)
    fleet.agent("gpu-1", "fixed:8000", models)
    await fleet.until_led(agents=1, timeout=60)
    began = asyncio.Event()

    async def started(msg: Msg) -> None:
        began.set()

    await fleet.nc.subscribe("p3d.events.*.*.started", cb=started)
    load = Load(fleet, seed=5)
    took_s = []
    for _ in range(3):
        standby = fleet.coordinator(**leases)
        # A standby misses only a leader that it has seen; one that pings has.
        pings = await fleet.nc.subscribe("p3d.coordinators.*.ping")
        await pings.next_msg(timeout=60)
        await pings.unsubscribe()
        await fleet.nc.flush()
        leader.kill()
        killed_at = time.monotonic()
        began.clear()
        await asyncio.wait_for(began.wait(), 60)
        took_s.append(time.monotonic() - killed_at)
        leader = standby
    print(f"from the kill to the next start: {', '.join(f'{each:.2f} s' for each in sorted(took_s))}")
    assert statistics.median(took_s) < 6
    await load.stop()


async def test_a_killed_server_loses_nothing(fleet: FleetProcesses) -> None:
    load, _ = await fleet_under_load(fleet, seed=4)
    chance = random.Random(14)
    for _ in range(KILLS):
        await loaded(fleet, load)
        await asyncio.sleep(chance.uniform(0, 0.3))  # the random instant
        await fleet.restart_server()
    assert all(part.alive for part in fleet.parts)

    async def progress_again() -> bool:
        with contextlib.suppress(Exception):
            return await fleet.messages("P3D_PROGRESS") >= 0
        return False

    await until(progress_again, 30, "the progress stream, which the server kept in memory only")
    await all_done(fleet, load, first_attempts_only=True)
