"""An agent that leaves or pauses: what runs is finished within bounds, the rest goes back, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import Any

import pytest

from support.fleet_processes import FleetProcesses, Part, until

pytestmark = pytest.mark.e2e

ECHO = "pocket3d.adapters.echo.EchoAdapter"


def models(fleet: FleetProcesses, **config: Any) -> Any:
    adapter = {"class": ECHO, "config": {"vram_requirement": 1000, "max_concurrent": 2, **config}}
    return fleet.models("models", {"echo": adapter})


async def two_agents(fleet: FleetProcesses, **env: str) -> tuple[Part, Part]:
    fleet.coordinator()
    file = models(fleet)
    leaving = fleet.agent("leaving", "fixed:2000,2000", file, **env)
    staying = fleet.agent("staying", "fixed:2000,2000", file)
    await fleet.until_led(agents=2, timeout=60)
    return leaving, staying


async def running_on(fleet: FleetProcesses, agent_id: str) -> set[str]:
    """Jobs that an agent lists as being on a device."""
    for advert in (await fleet.ask("agents"))["agents"]:
        if advert["agent_id"] == agent_id:
            return {run["job_id"] for run in advert["running"] if run.get("on_device", True)}
    return set()


async def only_handed_back(fleet: FleetProcesses, results: list[dict[str, Any]]) -> None:
    """A job that was awarded and had not begun goes back and is awarded anew; nothing else may need a second award."""
    for result in results:
        if result["attempt"] > 1:
            found = await fleet.read_stream("P3D_EVENTS", f"p3d.events.*.{result['job_id']}.requeued")
            assert len(found) == result["attempt"] - 1
            assert all(json.loads(data)["error"]["code"] == "handed_back" for _, data in found)


async def control(fleet: FleetProcesses, agent_id: str, verb: str) -> dict[str, Any]:
    answer = await fleet.nc.request(f"p3d.agents.{agent_id}.ctl.{verb}", b"{}", timeout=3)
    assert "Nats-Service-Error" not in (answer.headers or {}), answer.headers
    return dict(json.loads(answer.data))


async def test_sigterm_under_load_finishes_what_runs_and_takes_nothing_new(fleet: FleetProcesses) -> None:
    leaving, _ = await two_agents(fleet)
    ids = [f"d-{n}" for n in range(60)]
    for job_id in ids:
        await fleet.submit("echo", {"job_id": job_id, "inputs": {"sleep_s": 0.6}})

    await until(lambda: sum(fleet.running_pids().values()) >= 8, 30, "both agents full of runs")
    leaving.process.send_signal(signal.SIGTERM)
    began = time.monotonic()

    async def draining() -> set[str] | None:
        for advert in (await fleet.ask("agents"))["agents"]:
            if advert["agent_id"] == "leaving":
                return {run["job_id"] for run in advert["running"]} if advert["draining"] else None
        return set()

    last = await until(draining, 5, "an advert that says draining and lists runs")
    assert last
    code = await asyncio.to_thread(leaving.process.wait, 30)
    print(f"drained in {time.monotonic() - began:.2f} s")
    assert code == 0, "it left in good order"
    assert not leaving.children()
    results = await fleet.until_results(len(ids), timeout=60)
    assert sorted(r["job_id"] for r in results) == sorted(ids)
    assert {r["status"] for r in results} == {"succeeded"}
    await only_handed_back(fleet, results)
    by_leaving = {r["job_id"] for r in results if r["agent_id"] == "leaving"}
    assert last <= by_leaving, "what ran was finished where it ran"
    assert {r["agent_id"] for r in results} == {"leaving", "staying"}

    async def forgotten() -> bool:
        return [a["agent_id"] for a in (await fleet.ask("agents"))["agents"]] == ["staying"]

    await until(forgotten, 10, "the agent forgotten")


async def test_jobs_that_wait_for_their_model_go_back_and_cost_no_attempt_of_the_retry_policy(
    fleet: FleetProcesses,
) -> None:
    fleet.coordinator()
    slow = fleet.agent("leaving", "fixed:4000", models(fleet, load_s=30))
    await fleet.until_led(agents=1, timeout=60)
    ids = [f"d-{n}" for n in range(2)]
    for job_id in ids:
        await fleet.submit("echo", {"job_id": job_id, "inputs": {}, "retry": {"max_attempts": 1}})

    async def loading() -> bool:
        return await running_on(fleet, "leaving") == set(ids)

    await until(loading, 20, "the jobs waiting for their model")
    began = time.monotonic()
    assert await slow.terminate(15) == 0
    print(f"left in {time.monotonic() - began:.2f} s")
    for job_id in ids:
        status = await fleet.until_status(job_id, "queued", timeout=5)
        assert status["attempt"] == 1 and status["agent_id"] is None, status
    quick = fleet.folder / "quick"
    quick.mkdir()
    adapter = {"class": ECHO, "config": {"vram_requirement": 1000, "max_concurrent": 2}}
    fleet.agent("staying", "fixed:4000", fleet.models("quick/models", {"echo": adapter}))
    results = await fleet.until_results(len(ids), timeout=30)
    assert {(r["status"], r["agent_id"]) for r in results} == {("succeeded", "staying")}
    for job_id in ids:
        story = await fleet.story_of(job_id)
        assert [word for word in story if word != "started"] == ["queued", "requeued", "succeeded"], story


async def test_a_job_that_outlasts_the_drain_is_stopped_and_runs_elsewhere(fleet: FleetProcesses) -> None:
    leaving, _ = await two_agents(fleet, POCKET3D_AGENT_LEAVE_TIMEOUT_S="1", POCKET3D_AGENT_CANCEL_GRACE_S="0.5")
    # Two jobs of four seconds on each agent: whatever is on the leaving one cannot be done in time.
    for n in range(4):
        body = {"job_id": f"long-{n}", "inputs": {"sleep_s": 4}, "vram_mb": 1900, "retry": {"max_attempts": 1}}
        await fleet.submit("echo", body)

    async def on_it() -> set[str]:
        return await running_on(fleet, "leaving")

    async def started() -> set[str] | None:
        found = await on_it()
        return found if found and len(fleet.running_pids()) == 4 else None

    moved = await until(started, 30, "four runs")
    began = time.monotonic()
    assert await leaving.terminate(20) == 0
    assert time.monotonic() - began < 6
    results = await fleet.until_results(4, timeout=40)
    assert {r["status"] for r in results} == {"succeeded"}, results
    assert {r["agent_id"] for r in results} == {"staying"}
    for job_id in moved:
        assert (await fleet.story_of(job_id)).count("requeued") == 1


async def test_drain_and_undrain_without_leaving(fleet: FleetProcesses) -> None:
    leaving, _ = await two_agents(fleet)
    for n in range(12):
        await fleet.submit("echo", {"job_id": f"first-{n}", "inputs": {"sleep_s": 0.3}})

    await until(lambda: sum(fleet.running_pids().values()) >= 4, 30, "jobs that run")
    answer = await control(fleet, "leaving", "drain")
    assert answer["agent_id"] == "leaving" and answer["draining"] is True
    results = await fleet.until_results(12, timeout=30)
    assert {r["status"] for r in results} == {"succeeded"}
    await only_handed_back(fleet, results)
    assert leaving.alive
    for n in range(12):
        await fleet.submit("echo", {"job_id": f"second-{n}", "inputs": {}})
    results = await fleet.until_results(24, timeout=30)
    assert {r["agent_id"] for r in results if r["job_id"].startswith("second")} == {"staying"}
    assert (await control(fleet, "leaving", "status"))["draining"] is True

    # The other one drains too: what comes now waits, and says why.
    await control(fleet, "staying", "drain")
    await fleet.submit("echo", {"job_id": "third", "inputs": {}})

    async def reasons() -> bool:
        explanation = await fleet.ask("explain", {"job_id": "third"})
        found = {(r["agent_id"], r["code"]) for r in explanation.get("reasons", [])}
        return found == {("leaving", "draining"), ("staying", "draining")}

    await until(reasons, 10, "the reasons")
    assert (await control(fleet, "leaving", "undrain"))["draining"] is False
    assert (await fleet.result_of("third", timeout=10))["agent_id"] == "leaving"


async def test_an_agent_whose_server_is_gone_leaves_soon_and_says_what_it_waited_for(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    agent = fleet.agent("a1", "fixed:2000", models(fleet), POCKET3D_AGENT_LEAVE_BOUND_S="3")
    await fleet.until_led(agents=1, timeout=60)
    await fleet.submit("echo", {"job_id": "made", "inputs": {"sleep_s": 2}})
    await until(fleet.running_pids, 30, "it runs")
    await fleet.server.stop()
    await until(lambda: not fleet.running_pids(), 30, "it has run")
    began = time.monotonic()
    assert await agent.terminate(60) == 0
    # Three seconds, and the time to end a worker on a busy machine.
    assert time.monotonic() - began < 15
    said = agent.log.read_text()
    assert '"event":"nothing runs any more; the agent leaves when what it has made is stored and noted"' in said
    assert "there is no connection to the server" in said
    assert "the agent leaves with jobs whose end it could not report" in said
