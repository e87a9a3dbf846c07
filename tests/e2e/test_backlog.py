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
    fleet.agent("one", "cpu:4000", fleet.models("models", adapters))
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
