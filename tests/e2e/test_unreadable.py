"""What a stray `nats pub` or `nats consumer rm` does to a system with two coordinators: nothing to anybody else."""

from __future__ import annotations

import contextlib
import json
from functools import partial

import pytest

from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e

ECHO = "pocket3d.adapters.echo.EchoAdapter"
JOBS = ("queued", "running", "bystander")


async def result_of(fleet: FleetProcesses, job_id: str) -> dict[str, object] | None:
    found = [data for _, data in await fleet.read_stream("P3D_RESULTS", f"p3d.results.echo.{job_id}")]
    with contextlib.suppress(ValueError, IndexError):
        return dict(json.loads(found[-1]))
    return None


async def test_a_plain_publish_of_no_result_disturbs_nobody_else(fleet: FleetProcesses) -> None:
    adapters = {"echo": {"class": ECHO, "config": {"vram_requirement": 16, "max_concurrent": 4}}}
    coordinators = [fleet.coordinator(), fleet.coordinator()]
    agent = fleet.agent("host", "cpu:4096", fleet.models("models", adapters))
    await fleet.until_led(agents=1, timeout=60)
    for job_id in JOBS:
        preference = {"model_preference": "nobody_has_it"} if job_id == "queued" else {}
        await fleet.submit("echo", {"job_id": job_id, "inputs": {"sleep_s": 5}, **preference})
    for job_id in JOBS:
        await fleet.until_status(job_id, "queued" if job_id == "queued" else "running")
    for job_id in ("unknown", "queued", "running"):
        await fleet.nc.publish(f"p3d.propose.echo.{job_id}", b"x")
    await fleet.nc.flush()
    for job_id, status, code in (
        ("queued", "failed", "invalid_result"),
        ("running", "failed", "invalid_result"),
        ("bystander", "succeeded", None),
    ):
        result = await until(partial(result_of, fleet, job_id), 30, f"the result of {job_id}")
        assert (result["status"], (result.get("error") or {}).get("code")) == (status, code)
        await fleet.until_status(job_id, status)
    assert b"x" not in [data for _, data in await fleet.read_stream("P3D_RESULTS")]
    assert [part.alive for part in (*coordinators, agent)] == [True] * 3
    leaders = [part for part in coordinators if b"job queued" in part.log.read_bytes()]
    assert len(leaders) == 1, "the lead did not change"
    assert leaders[0].log.read_bytes().count(b"bytes that are no result were deleted") == 3


@pytest.mark.parametrize(("stream", "consumer"), [("P3D_JOBS", "coordinator-normal"), ("P3D_RESULTS", "coordinator")])
async def test_a_removed_consumer_is_made_again(fleet: FleetProcesses, stream: str, consumer: str) -> None:
    adapters = {"echo": {"class": ECHO, "config": {"vram_requirement": 16, "max_concurrent": 4}}}
    coordinator = fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", adapters))
    await fleet.until_led(agents=1, timeout=60)
    await fleet.submit("echo", {"job_id": "before", "inputs": {}})
    await fleet.until_status("before", "succeeded")
    assert await fleet.js.delete_consumer(stream, consumer)
    await fleet.submit("echo", {"job_id": "after", "inputs": {}})
    await fleet.until_status("after", "succeeded", timeout=30)
    await until(lambda: b"a consumer was removed" in coordinator.log.read_bytes(), 30, "a warning")
