"""What a plain core subscriber on `p3d.results.>` hears of a fleet, and how a former results stream gets there."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig

from support.command_line import Ran, pocket3d
from support.fleet_processes import FleetProcesses, Part, until

pytestmark = pytest.mark.e2e

ECHO = "pocket3d.adapters.echo.EchoAdapter"
SUPPORT = str(Path(__file__).resolve().parents[1] / "support")


async def listen(fleet: FleetProcesses) -> list[tuple[str, bytes]]:
    """What comes on every subject of results, from now on."""
    heard: list[tuple[str, bytes]] = []

    async def hear(msg: Any) -> None:
        heard.append((msg.subject, msg.data))

    await fleet.nc.subscribe("p3d.results.>", cb=hear)
    await fleet.nc.flush()
    return heard


async def superseded(fleet: FleetProcesses, job_id: str = "late") -> Part:
    """A job whose second attempt ends first: the agent of the first slept, and proposes its result when it wakes."""
    gated = {"class": "misbehaving.GatedAdapter", "path": [SUPPORT], "feature": "gated"}
    declared = fleet.models("gated", {"gated": gated})
    first = fleet.agent("first", "fixed:1000", declared)
    await fleet.until_led(agents=1, timeout=60)
    await fleet.submit("gated", {"job_id": job_id, "inputs": {"gate": str(fleet.folder)}})
    [asleep] = await until(fleet.running_pids, 30, "the run")
    fleet.agent("second", "fixed:1000", declared)
    first.process.send_signal(signal.SIGSTOP)
    awake = await until(lambda: fleet.running_pids().keys() - {asleep}, 60, "the second run")
    for pid in (*awake, asleep):
        (fleet.folder / str(pid)).touch()
    assert (await fleet.result_of(job_id, timeout=30))["agent_id"] == "second"
    await until(lambda: asleep not in fleet.running_pids(), 20, "the end of the first run")
    first.process.send_signal(signal.SIGCONT)
    await until(lambda: b"job stored by another attempt" in first.log.read_bytes(), 30, "the refused result")
    return first


async def test_a_core_subscriber_hears_each_result_once_though_an_attempt_was_superseded(fleet: FleetProcesses) -> None:
    fleet.coordinator(POCKET3D_COORDINATOR_AGENT_LEASE_S="2")
    await fleet.until_led(timeout=60)
    heard = await listen(fleet)
    await superseded(fleet)
    await fleet.submit("gated", {"job_id": "refused", "inputs": {}, "limits": {"schedule_to_start_s": -1}})
    await fleet.until_results(2, 30)
    await until(lambda: len(heard) >= 2, 10, "both results")
    await fleet.nc.flush()
    assert heard == await fleet.read_stream("P3D_RESULTS")
    assert [json.loads(data)["status"] for _, data in heard] == ["succeeded", "rejected"]


async def switch(fleet: FleetProcesses, *more: str) -> Ran:
    return await asyncio.to_thread(pocket3d, "topology", "--switch-results", "-s", fleet.url, *more)


async def test_a_former_results_stream_is_switched_by_an_explicit_step(fleet: FleetProcesses) -> None:
    former = StreamConfig(
        name="P3D_RESULTS",
        subjects=["p3d.results.*.*"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=28 * 24 * 3600,
    )
    await fleet.js.add_stream(former)
    adapters = {"echo": {"class": ECHO, "config": {"vram_requirement": 16, "max_concurrent": 4}}}
    coordinator = fleet.coordinator(POCKET3D_COORDINATOR_AGENT_LEASE_S="25")
    agent = fleet.agent("new", "cpu:4096", fleet.models("models", adapters))
    await fleet.until_led(agents=1, timeout=60)
    assert b"--switch-results" in coordinator.log.read_bytes()
    await fleet.submit("echo", {"job_id": "before", "inputs": {}})
    await fleet.until_status("before", "succeeded")
    before = await fleet.read_stream("P3D_RESULTS")
    # As anybody could who leaves out the expectation.
    await fleet.js.publish(*before[0])

    # An agent of a former version: its adverts do not say that it can propose.
    old = {"v": 1, "agent_id": "old", "incarnation": f"{int(time.time() * 1000)}-a", "host": "h", "pid": 7}
    old |= {"version": "0.1.0", "draining": False, "adapters": []}

    async def deaf(msg: Any) -> None:
        """It is connected, and says nothing: so it is not given up before its lease ends."""

    await fleet.nc.subscribe("p3d.agents.old.cmd", cb=deaf)

    async def advertise() -> None:
        seq = 0
        while True:
            seq += 1
            await fleet.nc.publish("p3d.agents.old.advert", json.dumps({**old, "seq": seq}).encode())
            await asyncio.sleep(1)

    advertising = asyncio.ensure_future(advertise())
    refused = await switch(fleet)
    assert refused.code == 1
    assert "agent old (version 0.1.0) cannot propose its results" in refused.err
    assert "p3d.results.echo.before holds messages 1, 2" in refused.err
    assert "agent new" not in refused.err
    assert (await fleet.js.stream_info("P3D_RESULTS")).config.subjects == ["p3d.results.*.*"]
    advertising.cancel()
    await asyncio.wait({advertising})
    await fleet.js.delete_msg("P3D_RESULTS", 2)
    # It may be away for a moment only, as long as its lease lasts.
    assert "agent old" in (await switch(fleet, "--check")).err

    async def gone() -> bool:
        return [a["agent_id"] for a in (await fleet.ask("agents"))["agents"]] == ["new"]

    await until(gone, 60, "the end of the old agent's lease")
    assert (await switch(fleet)).code == 0
    assert (await switch(fleet)).code == 0, "a second time there is nothing to do"
    info = await fleet.js.stream_info("P3D_RESULTS")
    assert (info.config.subjects, info.config.max_age) == (["p3d.propose.*.*"], former.max_age)
    assert await fleet.read_stream("P3D_RESULTS") == before

    # The parts that ran all the time go on, and what they store is heard once.
    heard = await listen(fleet)
    for number in range(5):
        await fleet.submit("echo", {"job_id": f"after-{number}", "inputs": {"sleep_s": 0.1}})
    await fleet.submit("echo", {"job_id": "after-5", "inputs": {}, "limits": {"schedule_to_start_s": -1}})
    for number in range(5):
        await fleet.until_status(f"after-{number}", "succeeded")
    await fleet.until_status("after-5", "rejected")
    await fleet.nc.flush()
    assert sorted(subject for subject, _ in heard) == [f"p3d.results.echo.after-{number}" for number in range(6)]
    assert coordinator.alive and agent.alive
