"""Agents and coordinators that come, go and differ, while jobs are on their way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.client.errors import ApiRefused
from pocket3d.bus.port import Disconnected, OutcomeUnknown
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.ops.simulation.bus import SimulatedBus
from pocket3d.ops.simulation.chaos import Chaos
from support.flow import Flow, play

MESH = {"mesh_path": {"artifact": "sha256-00"}}


def test_a_job_goes_where_it_fits(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        large = await flow.submit("auto_rig", inputs={**MESH, "seconds": 0.2}, vram_mb=12_000)
        assert (await large.result(timeout=60)).agent_id == "agent2"
        small = [await flow.submit(inputs={"seconds": 3.0}) for _ in range(3)]
        found = await asyncio.gather(*(handle.result(timeout=60) for handle in small))
        assert {result.status for result in found} == {"succeeded"}
        assert "agent0" in {result.agent_id for result in found}

    play(scenario, tmp_path, agents_mb=(3000, 8000, 24_000))


def test_a_job_that_fits_nowhere_says_why_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        limits = {"schedule_to_start_s": 20.0}
        too_large = await flow.submit("auto_rig", inputs=MESH, vram_mb=30_000, limits=limits)
        await flow.until(lambda: flow.world.states()["queued"] == 1)
        other = await flow.submit("auto_rig", inputs={**MESH, "seconds": 0.1})
        assert (await other.result(timeout=15)).status == "succeeded"
        explanation = await too_large.explain()
        assert explanation.status == "queued"
        assert "no agent of the present fleet could ever take it" in explanation.summary
        assert {reason.code for reason in explanation.reasons} == {"vram_total"}
        assert (await too_large.result(timeout=60)).status == "expired"

    play(scenario, tmp_path, agents_mb=(8000, 16_000))


def test_a_takeover_loses_no_running_job(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = [await flow.submit(inputs={"seconds": 30.0}) for _ in range(2)]
        handles += [await flow.submit(inputs={"seconds": 0.5}) for _ in range(6)]
        await flow.running(*handles[:2])
        first = flow.leader()
        epoch = first.epoch
        Chaos(flow.world).crash(first, back_after_s=60.0)
        await flow.until(lambda: flow.world.leader() is not None)
        assert flow.leader() is not first
        assert flow.leader().epoch > epoch
        results = await asyncio.gather(*(handle.result(timeout=200) for handle in handles))
        assert {(result.status, result.attempt) for result in results} == {("succeeded", 1)}
        assert set(flow.world.attempts.values()) == {1}, "nothing ran twice"

    play(scenario, tmp_path, coordinators=2, agents_mb=(6000,))


def test_a_standby_takes_a_paused_leaders_place_for_good(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        first = flow.leader()
        first.pause(60.0)
        handle = await flow.submit(inputs={"seconds": 0.5})
        assert (await handle.result(timeout=200)).status == "succeeded"
        second = flow.leader()
        assert second is not first
        await asyncio.sleep(80.0)
        assert flow.leader() is second
        assert not first.leading
        assert (await (await flow.submit()).result(timeout=60)).status == "succeeded"

    play(scenario, tmp_path, coordinators=2)


def test_a_job_of_a_fleet_that_drains_says_so(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        running = await flow.submit(inputs={"seconds": 3.0})
        await flow.running(running)
        agent = flow.agent((await running.status()).agent_id or "")
        assert agent.service is not None
        agent.tell(agent.service.drain)
        waiting = await flow.submit()
        await flow.until(lambda: flow.world.states()["queued"] == 1)
        await asyncio.sleep(1.0)
        explanation = await waiting.explain()
        assert {reason.code for reason in explanation.reasons} == {"draining"}
        assert explanation.summary.startswith("every agent drains")
        assert (await running.result(timeout=60)).status == "succeeded"
        await flow.until(lambda: not agent.alive)
        agent.start()
        assert (await waiting.result(timeout=60)).status == "succeeded"

    play(scenario, tmp_path)


def test_a_draining_agent_finishes_what_it_has_and_leaves(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"seconds": 2.0})
        await flow.running(handle)
        leaving = flow.agent((await handle.status()).agent_id or "")
        left: list[float] = []
        leaving.on_exit = lambda: left.append(flow.world.loop.time())
        assert leaving.service is not None
        leaving.tell(leaving.service.drain)
        await asyncio.sleep(0.1)
        later = await flow.submit(inputs={"seconds": 0.1})
        result = await handle.result(timeout=60)
        assert (result.status, result.attempt, result.agent_id) == ("succeeded", 1, leaving.agent_id)
        assert (await later.result(timeout=60)).agent_id != leaving.agent_id
        await flow.until(lambda: left)
        assert not leaving.alive
        leaving.start()
        await flow.until(lambda: leaving.engine is not None)

    play(scenario, tmp_path, agents_mb=(8000, 8000))


def test_a_killed_agents_job_moves_on_within_seconds(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"seconds": 3.0})
        await flow.running(handle)
        lost = flow.agent((await handle.status()).agent_id or "")
        killed_at = flow.world.loop.time()
        Chaos(flow.world).crash(lost, back_after_s=30.0)
        result = await handle.result(timeout=120)
        assert (result.status, result.attempt) == ("succeeded", 2)
        assert result.agent_id != lost.agent_id
        assert flow.world.loop.time() - killed_at < 15.0, "before its lease ended"
        await flow.until(lambda: lost.engine is not None)

    play(scenario, tmp_path, agents_mb=(8000, 8000))


def test_an_agent_that_was_cut_off_keeps_its_job(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"seconds": 6.0})
        await flow.running(handle)
        flow.agent("agent0").host.cut(4.0)
        result = await handle.result(timeout=120)
        assert (result.status, result.attempt) == ("succeeded", 1)
        assert flow.world.attempts == {handle.job_id: 1}

    play(scenario, tmp_path)


def test_a_server_that_restarts_loses_nothing(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = [await flow.submit(inputs={"seconds": 4.0}) for _ in range(4)]
        await flow.running(handles[0])
        flow.world.network.stop_server(3.0)
        results = await asyncio.gather(*(handle.result(timeout=120) for handle in handles))
        assert {(result.status, result.attempt) for result in results} == {("succeeded", 1)}

    play(scenario, tmp_path, coordinators=2)


def test_a_coordinator_begins_once_the_server_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence while the connection stands is no reason to end, neither before nor after the topology is made."""
    trouble: dict[str, list[Exception]] = {
        "ensure": [OutcomeUnknown("no answer"), OutcomeUnknown("no answer")],
        "subscribe": [Disconnected("gone"), OutcomeUnknown("no answer")],
    }

    def hindered(name: str) -> Any:
        real = getattr(SimulatedBus, name)

        async def call(bus: SimulatedBus, *arguments: Any, **more: Any) -> Any:
            if bus.link.name == "coordinator0" and trouble[name]:
                raise trouble[name].pop(0)
            return await real(bus, *arguments, **more)

        return call

    for name in trouble:
        monkeypatch.setattr(SimulatedBus, name, hindered(name))

    async def scenario(flow: Flow) -> None:
        assert trouble == {"ensure": [], "subscribe": []}
        assert (await (await flow.submit()).result(timeout=30)).status == "succeeded"

    play(scenario, tmp_path)


def test_a_full_index_of_one_priority_holds_up_no_other(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        long: dict[str, Any] = {"vram_mb": 12_000, "priority": "low"}
        handles = [await flow.submit("auto_rig", inputs={**MESH, "seconds": 5.0}, **long) for _ in range(12)]
        await flow.running(handles[0])
        await flow.until(lambda: len(list(flow.leader().jobs)) == 4)
        clock = asyncio.get_running_loop().time
        began = clock()
        urgent = await flow.submit(inputs={"seconds": 0.1}, priority="high")
        assert (await urgent.result(timeout=60)).status == "succeeded"
        assert clock() - began < 2.0
        results = await asyncio.gather(*(handle.result(timeout=200) for handle in handles))
        assert {result.status for result in results} == {"succeeded"}

    play(scenario, tmp_path, coordinator=CoordinatorSettings(index_cap=4))


def test_what_lies_beyond_the_cap_is_known_and_can_be_cancelled(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = [await flow.submit(inputs={"seconds": 8.0}, vram_mb=12_000) for _ in range(12)]
        await flow.running(handles[0])
        await flow.until(lambda: len(list(flow.leader().jobs)) == 4)
        status = await handles[8].status()
        assert (status.status, status.reason) == (
            "submitted",
            "it is not read yet: 4 jobs of priority normal are held, and no more are read before some end (index_cap)",
        )
        assert "is not read yet" in (await handles[9].explain()).summary
        with pytest.raises(ApiRefused, match="may be one that is not read yet") as caught:
            await flow.client.job("nobody").status()
        assert caught.value.code == 503
        await handles[11].cancel("not wanted")
        assert (await handles[11].result(timeout=5)).status == "cancelled"
        assert (await handles[8].status()).status == "submitted"
        results = await asyncio.gather(*(handle.result(timeout=300) for handle in handles[:-1]))
        assert {result.status for result in results} == {"succeeded"}

    play(scenario, tmp_path, coordinator=CoordinatorSettings(index_cap=4))


def test_a_full_index_makes_room_after_the_server_was_away(tmp_path: Path) -> None:
    """What was read is to be acked, and is not delivered again while nothing more is read."""

    async def scenario(flow: Flow) -> None:
        handles = [await flow.submit(inputs={"seconds": 2.0}) for _ in range(12)]
        await flow.running(handles[0])
        await flow.until(lambda: len(list(flow.leader().jobs)) == 4)
        flow.world.network.stop_server(2.0)
        results = await asyncio.gather(*(handle.result(timeout=200) for handle in handles))
        assert {(result.status, result.attempt) for result in results} == {("succeeded", 1)}

    play(scenario, tmp_path, coordinator=CoordinatorSettings(index_cap=4))
