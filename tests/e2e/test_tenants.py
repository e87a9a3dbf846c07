"""Tenants of a fleet of real processes: a thousand jobs of one do not hold up one job of another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e

#: Of tenant a; the agent runs one at a time.
BACKLOG = 1000
SETTINGS = {
    # All of the backlog waits longer than both before b comes.
    "POCKET3D_COORDINATOR_AGEING_S": "1",
    "POCKET3D_COORDINATOR_HOLD_AFTER_S": "0.5",
    "POCKET3D_COORDINATOR_TENANTS": json.dumps({"c": {"max_queued": 2}}),
}


async def test_one_job_takes_the_next_slot_past_an_aged_backlog_of_another_tenant(fleet: FleetProcesses) -> None:
    config = {"vram_requirement": 16, "max_concurrent": 1}
    echo = {"class": "pocket3d.adapters.echo.EchoAdapter", "config": config}
    fleet.coordinator(**SETTINGS)
    fleet.agent("one", "cpu:4096", fleet.models("models", {"echo": echo}))
    await fleet.until_led(agents=1)
    for number in range(BACKLOG):
        body = {"job_id": f"a-{number}", "tenant": "a", "inputs": {"sleep_s": 0.25}}
        await fleet.nc.publish("p3d.jobs.normal.echo", json.dumps(body).encode())
    await fleet.nc.flush()

    async def aged() -> bool:
        turn = (await fleet.ask("explain", {"job_id": f"a-{BACKLOG - 1}"})).get("turn")
        return turn is not None and turn["queued"] > BACKLOG - 50 and await fleet.messages("P3D_RESULTS") > 8

    await until(aged, 90, "the backlog waits, and has for longer than the ageing time")
    kinds: dict[str, dict[str, Any]] = {"b-alike": {}, "b-other": {"vram_mb": 17}}
    for job_id, more in kinds.items():
        body = {"job_id": job_id, "tenant": "b", "inputs": {"sleep_s": 0.25}, **more}
        await fleet.submit("echo", body)
        assert (await fleet.result_of(job_id))["status"] == "succeeded"
    explained = await fleet.ask("explain", {"job_id": f"a-{BACKLOG - 1}"})
    assert explained["turn"]["tenant"] == "a"
    assert explained["turn"]["queued"] > BACKLOG // 2

    story = [subject.split(".")[-2:] for subject, _ in await fleet.read_stream("P3D_EVENTS", "p3d.events.*.*.*")]
    for job_id in kinds:
        queued, started = story.index([job_id, "queued"]), story.index([job_id, "started"])
        between = [each for each, event in story[queued:started] if event == "started"]
        assert len(between) <= 1, f"{job_id} waited for {between}; only an award on its way may come before it"

    # They fit nowhere, so they wait.
    request = {"feature": "echo", "inputs": {}, "tenant": "c", "vram_mb": 100_000}
    answers = [await fleet.ask("submit", request) for _ in range(4)]
    assert [answer.get("code") for answer in answers] == [None, None, 429, 429]
    assert answers[3]["field"] == "tenant"
    await until(lambda: _waits(fleet, answers[1]["job_id"]), 20, "both jobs of c wait")
    await fleet.submit("echo", {"job_id": "c-published", "tenant": "c", "inputs": {}})
    rejected = await fleet.result_of("c-published")
    assert (rejected["status"], rejected["error"]["field"]) == ("rejected", "tenant")


async def _waits(fleet: FleetProcesses, job_id: str) -> bool:
    return (await fleet.ask("explain", {"job_id": job_id})).get("turn") is not None
