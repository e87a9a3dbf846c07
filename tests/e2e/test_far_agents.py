"""Agents at the end of a long wire, with real processes: they get work, alone and beside near ones."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.delay_proxy import DelayProxy
from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e

#: Leases that a round trip of 0.8 s does not strain.
LEASES = {"POCKET3D_COORDINATOR_AGENT_LEASE_S": "20"}
ECHO = {"class": "pocket3d.adapters.echo.EchoAdapter", "config": {"vram_requirement": 16, "max_concurrent": 2}}


@pytest_asyncio.fixture
async def wires(fleet: FleetProcesses) -> AsyncIterator[dict[float, DelayProxy]]:
    """One-way delay in seconds -> a way to the server that takes so long."""
    proxies = {one_way_s: DelayProxy(fleet.url, one_way_s) for one_way_s in (0.02, 0.15, 0.4)}
    for proxy in proxies.values():
        await proxy.start()
    yield proxies
    for part in fleet.parts:
        part.kill()
    for proxy in proxies.values():
        await proxy.close()


@pytest.mark.parametrize("one_way_s", [0.15, 0.4])
async def test_a_lone_far_agent_runs_jobs(
    fleet: FleetProcesses, wires: dict[float, DelayProxy], one_way_s: float
) -> None:
    fleet.coordinator(**LEASES)
    fleet.agent("far", "cpu:4096", fleet.models("models", {"echo": ECHO}), server=wires[one_way_s].url)
    await fleet.until_led(agents=1, timeout=60)
    for number in range(3):
        began = time.monotonic()
        await fleet.submit("echo", {"job_id": f"j{number}", "inputs": {"sleep_s": 30}})
        await fleet.until_status(f"j{number}", "running", timeout=30)
        took_s = time.monotonic() - began
        # The bound is four delays and a second; the factor is for busy machines.
        assert took_s < 3 * (4 * one_way_s + 1), f"job {number} started after {took_s:.2f} s"
        await fleet.ask("cancel", {"job_id": f"j{number}"})
        await fleet.until_status(f"j{number}", "cancelled", timeout=30)


async def test_with_more_jobs_than_slots_every_agents_slots_fill(
    fleet: FleetProcesses, wires: dict[float, DelayProxy]
) -> None:
    fleet.coordinator(**LEASES)
    models = fleet.models("models", {"echo": ECHO})
    fleet.agent("near", "cpu:4096", models)
    for one_way_s, proxy in wires.items():
        fleet.agent(f"at-{int(1000 * one_way_s)}-ms", "cpu:4096", models, server=proxy.url)
    await fleet.until_led(agents=4, timeout=90)
    for number in range(12):
        await fleet.submit("echo", {"job_id": f"j{number}", "inputs": {"sleep_s": 60}})

    async def full() -> bool:
        agents = (await fleet.ask("agents"))["agents"]
        return [len([run for run in agent["running"] if run["on_device"]]) for agent in agents] == [2, 2, 2, 2]

    await until(full, 60, "two runs on each of the four agents")
