"""A host with a GPU on which every load fails: it costs a few tries, and the other one goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.contracts.messages import Result
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents.settings import AgentSettings
from pocket3d.ops.simulation.workload import INPUT
from support.flow import Flow, play

SICK, SOUND = "dev-0-0", "dev-0-1"
#: No bench or quarantine ends within a test.
LONG: dict[str, Any] = {"coordinator": CoordinatorSettings(bench_s=500.0), "agent": AgentSettings(quarantine_s=500.0)}
INPUTS: dict[str, dict[str, Any]] = {
    "echo": {},
    "text_to_mesh": {"text_prompt": "a chair"},
    "auto_rig": {"mesh_path": {"artifact": INPUT}},
}


async def finished(flow: Flow, count: int, name: str) -> list[Result]:
    """So many jobs of each feature, all at once: more than one device can take."""
    handles = [
        await flow.submit(feature, f"{name}-{feature}-{number}", inputs=inputs)
        for number in range(count)
        for feature, inputs in INPUTS.items()
    ]
    return [await handle.result() for handle in handles]


def quarantine(flow: Flow, device: str) -> str | None:
    """What the coordinator heard of a device."""
    term = flow.leader().term
    assert term is not None
    view = term.engine.core.fleet.agents["agent0"]
    found = view.device(device)
    assert found is not None
    return found.quarantine


def test_every_cold_start_would_go_to_the_sick_one_and_three_do(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        agent = flow.agent("agent0")
        results = []
        for number in range(5):
            results += await finished(flow, 1, f"round-{number}")
            # No worker is kept warm: the next ones are loaded anew, where they fit best and are known to load quickly.
            await flow.until(lambda: agent.workers is not None and not agent.workers.workers)
            agent.devices[SICK].sick = True
        assert [(result.device, result.attempt) for result in results[:3]] == [(SICK, 1)] * 3
        assert [(result.device, result.attempt) for result in results[3:]] == [(SOUND, 2)] * 3 + [(SOUND, 1)] * 9
        assert {result.status for result in results} == {"succeeded"}
        told = str(quarantine(flow, SICK))
        assert "in quarantine" in told and "failed on it in a row" in told
        assert quarantine(flow, SOUND) is None

    settings = AgentSettings(quarantine_s=500.0, idle_timeout_s=0.1)
    play(scenario, tmp_path, agents_mb=[(14_000, 16_000)], agent=settings)


def test_a_device_that_is_well_again_gets_jobs_again(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        agent = flow.agent("agent0")
        agent.devices[SICK].sick = True
        await finished(flow, 6, "first")
        assert quarantine(flow, SICK) is not None
        # Now it is the other way round, and no worker of before is left.
        agent.devices[SICK].sick, agent.devices[SOUND].sick = False, True
        await flow.until(lambda: not agent.workers or not agent.workers.workers)
        await flow.until(lambda: quarantine(flow, SICK) is None)
        results = await finished(flow, 6, "more")
        assert {(result.status, result.device) for result in results} == {("succeeded", SICK)}

    play(scenario, tmp_path, agents_mb=[(16_000, 16_000)], agent=AgentSettings(quarantine_s=60.0, idle_timeout_s=6.0))


def test_a_host_with_the_sick_one_alone_leaves_the_jobs_to_another(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        flow.agent("agent0").devices["dev-0"].sick = True
        results = await finished(flow, 4, "first")
        assert {(result.status, result.agent_id) for result in results} == {("succeeded", "agent1")}
        assert {result.attempt for result in results} == {1, 2}

    play(scenario, tmp_path, agents_mb=[16_000, 15_000], **LONG)
