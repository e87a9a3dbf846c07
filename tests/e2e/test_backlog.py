"""A backlog beyond what is held: the urgent job passes it, its jobs are known, and a leader with it ends at once."""

from __future__ import annotations

import time

import pytest

from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e

ECHO = "pocket3d.adapters.echo.EchoAdapter"


async def test_an_urgent_job_does_not_wait_for_a_backlog_beyond_the_cap(fleet: FleetProcesses) -> None:
    leader = fleet.coordinator(POCKET3D_COORDINATOR_INDEX_CAP="500")
    config = {"vram_requirement": 100, "max_concurrent": 2}
    adapters = {name: {"class": ECHO, "config": config, "feature": name} for name in ("slow", "quick")}
    fleet.agent("one", "cpu:4000", fleet.models("models", adapters), POCKET3D_AGENT_LEAVE_BOUND_S="3")
    await fleet.until_led(agents=1, timeout=60)
    for number in range(2000):
        body = b'{"job_id":"low-%d","inputs":{"sleep_s":3}}' % number
        await fleet.nc.publish("p3d.jobs.low.slow", body)
    await fleet.nc.flush()

    async def full() -> bool:
        return await fleet.messages("P3D_EVENTS") >= 500

    await until(full, 60, "five hundred jobs that are known")
    await fleet.submit("quick", {"job_id": "urgent", "inputs": {}}, priority="high")
    began = time.monotonic()
    assert (await fleet.result_of("urgent", timeout=30))["status"] == "succeeded"
    # Fifty of the five hundred have to end before more of their priority are read: a minute at least.
    assert time.monotonic() - began < 25

    status = await fleet.ask("status", {"job_id": "low-1200"})
    assert status["status"] == "submitted"
    assert "jobs of priority low are held" in status["reason"]
    assert "is not read yet" in (await fleet.ask("explain", {"job_id": "low-1200"}))["summary"]
    await fleet.ask("cancel", {"job_id": "low-1200"})
    assert (await fleet.result_of("low-1200"))["status"] == "cancelled"
    assert (await fleet.ask("status", {"job_id": "nobody"}))["code"] == 503

    listed: list[str] = []
    after = None
    while True:
        page = await fleet.ask("list", {"status": "queued", "limit": 100, "after": after})
        listed += [each["job_id"] for each in page["jobs"]]
        after = page["next"]
        if after is None:
            break
    numbers = [int(job_id.removeprefix("low-")) for job_id in listed]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) >= 490
    (newest,) = (await fleet.ask("list", {"status": "succeeded", "feature": "quick"}))["jobs"]
    assert newest["job_id"] == "urgent"
    began = time.monotonic()
    assert await leader.terminate() == 0
    assert time.monotonic() - began < 10


async def test_a_new_leader_lists_what_ended_before_it(fleet: FleetProcesses) -> None:
    first = fleet.coordinator()
    adapter = {"class": ECHO, "config": {"vram_requirement": 100, "max_concurrent": 16}}
    fleet.agent("one", "cpu:4000", fleet.models("models", {"echo": adapter}))
    await fleet.until_led(agents=1, timeout=60)
    ids = [f"j-{number:03}" for number in range(300)]
    for job_id in ids:
        await fleet.submit("echo", {"job_id": job_id, "inputs": {}})

    async def listed() -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = await fleet.ask("list", {"status": "succeeded", "limit": 70, "after": after}, timeout=10)
            found += [each["job_id"] for each in page["jobs"]]
            after = page["next"]
            if after is None:
                return found

    async def all_of_them() -> bool:
        return await listed() == ids[::-1]

    await until(all_of_them, 60, "all ended jobs in the list, the newest first")
    assert await first.terminate() == 0
    fleet.coordinator()
    await fleet.until_led(timeout=60)
    # At first from the bucket, in the order of their ends; then from memory.
    assert sorted(await listed()) == ids
    await until(all_of_them, 60, "all ended jobs in the list of the new leader")
    newest = (await fleet.ask("list", {"status": "succeeded", "limit": 1}))["jobs"][0]
    late = (await fleet.ask("list", {"since": newest["submitted_at"]}))["jobs"]
    assert 1 <= len(late) < 100
    assert {each["submitted_at"] for each in late} == {newest["submitted_at"]}
