"""Two of what there should be one of: agents with one id, a leader that sleeps and wakes, an agent that is late."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import KeyNotFoundError

from support.fleet_processes import FleetProcesses, Part, until

pytestmark = pytest.mark.e2e

ECHO = "pocket3d.adapters.echo.EchoAdapter"
SUPPORT = str(Path(__file__).resolve().parents[1] / "support")


def models(fleet: FleetProcesses) -> Any:
    return fleet.models("models", {"echo": {"class": ECHO, "config": {"vram_requirement": 1000, "max_concurrent": 2}}})


async def adverts(fleet: FleetProcesses) -> dict[str, dict[str, Any]]:
    return {advert["agent_id"]: advert for advert in (await fleet.ask("agents"))["agents"]}


async def tokens_on(fleet: FleetProcesses, agent_id: str) -> set[str]:
    advert = (await adverts(fleet)).get(agent_id)
    return {run["token"] for run in advert["running"] if run.get("on_device", True)} if advert else set()


async def submit_many(fleet: FleetProcesses, count: int, sleep_s: float, prefix: str = "t") -> list[str]:
    ids = [f"{prefix}-{n}" for n in range(count)]
    retry = {"max_attempts": 5, "initial_s": 0.1}
    bodies = [{"job_id": job_id, "inputs": {"sleep_s": sleep_s}, "retry": retry} for job_id in ids]
    await asyncio.gather(*(fleet.submit("echo", body) for body in bodies))
    return ids


async def each_once(fleet: FleetProcesses, ids: list[str], timeout: float) -> dict[str, dict[str, Any]]:
    """All succeeded with one result each; the requests are gone; no story goes on after its end."""
    await fleet.until_results(len(ids), timeout)

    async def empty() -> bool:
        with contextlib.suppress(Exception):
            return await fleet.messages("P3D_JOBS") == 0
        return False

    await until(empty, 20, "an empty jobs stream")
    results = await fleet.results()
    assert sorted(r["job_id"] for r in results) == sorted(ids)
    failed = [(r["job_id"], r["status"], r["error"]) for r in results if r["status"] != "succeeded"]
    assert not failed, failed[:5]
    stories: dict[str, list[str]] = {}
    for subject, _ in await fleet.read_stream("P3D_EVENTS", "p3d.events.*.*.*"):
        *_, job_id, event = subject.split(".")
        stories.setdefault(job_id, []).append(event)
    for job_id, story in stories.items():
        assert story[0] == "queued" and story.index("succeeded") == len(story) - 1, (job_id, story)
    return {r["job_id"]: r for r in results}


async def leader(fleet: FleetProcesses) -> Part | None:
    """The process that the leader bucket names; None while the lease is nobody's."""
    bucket = await fleet.js.key_value("P3D_LEADER")
    with contextlib.suppress(KeyNotFoundError):
        pid = json.loads((await bucket.get("leader")).value)["pid"]
        return next(part for part in fleet.parts if part.pid == pid)
    return None


async def test_of_two_agents_with_one_id_the_later_has_it(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    first = fleet.agent("twin", "fixed:2000", models(fleet))
    await fleet.until_led(agents=1, timeout=60)
    ids = await submit_many(fleet, 12, 0.5)
    await until(lambda: sum(fleet.running_pids().values()) >= 2, 20, "runs on the first")
    earlier = (await adverts(fleet))["twin"]["incarnation"]
    second = fleet.agent("twin", "fixed:2000", models(fleet))

    async def taken_over() -> bool:
        return (await adverts(fleet))["twin"]["pid"] == second.pid

    await until(taken_over, 20, "the second life")
    assert (await adverts(fleet))["twin"]["incarnation"] != earlier
    assert first.alive
    await each_once(fleet, ids, 40)
    # The first is not listened to any more, whatever it says; and it can leave.
    more = await submit_many(fleet, 6, 0.2, "u")
    assert await first.terminate(20) == 0
    await each_once(fleet, ids + more, 30)
    assert (await adverts(fleet))["twin"]["pid"] == second.pid


async def test_a_leader_that_sleeps_and_wakes_disturbs_nothing(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    fleet.coordinator()
    for n in (1, 2):
        fleet.agent(f"gpu-{n}", "fixed:2000,2000", models(fleet))
    await fleet.until_led(agents=2, timeout=60)
    ids: list[str] = []
    for turn in range(2):
        ids += await submit_many(fleet, 120, 0.6, f"turn-{turn}")
        await until(lambda: sum(fleet.running_pids().values()) >= 8, 20, "runs everywhere")
        assert await fleet.messages("P3D_JOBS") >= 60
        sleeper = await until(lambda: leader(fleet), 10, "a leader")
        sleeper.process.send_signal(signal.SIGSTOP)
        asleep_ms, began = int(time.time() * 1000), time.monotonic()

        async def another(sleeper: Part = sleeper) -> bool:
            return await leader(fleet) not in (None, sleeper)

        await until(another, 15, "another leader")
        print(f"another leads after {time.monotonic() - began:.2f} s")

        async def awards_again(asleep_ms: int = asleep_ms) -> bool:
            return any(int(r["token"].split("-")[0]) >= asleep_ms for r in await fleet.results())

        await until(awards_again, 15, "a result by the new leader's award")
        sleeper.process.send_signal(signal.SIGCONT)
        await fleet.until_led(agents=2, timeout=20)
    results = await each_once(fleet, ids, 60)
    later = {job_id: r["attempt"] for job_id, r in results.items() if r["attempt"] != 1}
    assert not later, later
    assert all(part.alive for part in fleet.parts)


async def test_a_late_result_of_an_agent_that_slept_wins_once(fleet: FleetProcesses) -> None:
    fleet.coordinator(POCKET3D_COORDINATOR_AGENT_LEASE_S="2")
    gated = {"class": "misbehaving.GatedAdapter", "path": [SUPPORT], "feature": "gated"}
    declared = fleet.models("gated", {"gated": gated})
    first = fleet.agent("first", "fixed:1000", declared)
    await fleet.until_led(agents=1, timeout=60)
    await fleet.submit("gated", {"job_id": "late", "inputs": {"gate": str(fleet.folder)}})
    [worker] = await until(fleet.running_pids, 30, "the run")
    fleet.agent("second", "fixed:1000", declared)
    first.process.send_signal(signal.SIGSTOP)

    async def elsewhere() -> set[str]:
        return await tokens_on(fleet, "second")

    await until(elsewhere, 40, "the second attempt on the second agent")
    await until(lambda: len(fleet.running_pids()) == 2, 40, "both runs")
    # The first run ends while its agent sleeps; the second is under way when the first agent wakes.
    (fleet.folder / str(worker)).touch()
    await until(lambda: worker not in fleet.running_pids(), 20, "the end of the first run")
    first.process.send_signal(signal.SIGCONT)
    result = await fleet.result_of("late", timeout=30)
    assert (result["status"], result["attempt"], result["agent_id"]) == ("succeeded", 1, "first")

    async def stopped() -> bool:
        return not await elsewhere() and not fleet.running_pids()

    await until(stopped, 30, "the second attempt stopped")
    await each_once(fleet, ["late"], 30)
    assert await fleet.story_of("late") == ["queued", "started", "requeued", "started", "succeeded"]


async def test_agents_that_sleep_longer_than_their_lease_lose_no_job(fleet: FleetProcesses) -> None:
    fleet.coordinator(POCKET3D_COORDINATOR_AGENT_LEASE_S="2")
    agents = [fleet.agent(f"gpu-{n}", "fixed:2000,2000", models(fleet)) for n in (1, 2)]
    await fleet.until_led(agents=2, timeout=60)
    ids = await submit_many(fleet, 100, 0.5)
    await until(lambda: sum(fleet.running_pids().values()) >= 8, 20, "runs everywhere")
    for sleeper in agents:
        sleeper.process.send_signal(signal.SIGSTOP)

        async def lost(name: str = sleeper.name.removeprefix("agent-").rsplit("-", 1)[0]) -> bool:
            return name not in await adverts(fleet)

        await until(lost, 15, "the agent given up")
        sleeper.process.send_signal(signal.SIGCONT)

        async def both() -> bool:
            return set(await adverts(fleet)) == {"gpu-1", "gpu-2"}

        await until(both, 15, "the agent back")
    results = await each_once(fleet, ids, 60)
    assert {r["agent_id"] for r in results.values()} == {"gpu-1", "gpu-2"}
