"""A chain of five steps whose leader is killed twice, and one of whose agents: one result, every step's once."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from support.fleet_processes import FleetProcesses, Part, until

pytestmark = pytest.mark.e2e

SUPPORT = str(Path(__file__).resolve().parents[1] / "support")
STEPS = ("mesh", "retopology", "unwrap", "texture", "rig")


def chain_of(*names: str) -> dict[str, Any]:
    """Each takes the file of the one before it."""
    steps: list[dict[str, Any]] = [
        {"name": name, "feature": "echo", "inputs": {"name": name, "sleep_s": 0.8}} for name in names
    ]
    for before, step in zip(names, steps[1:], strict=False):
        step["inputs"]["before_path"] = {"step": before}
    # Long enough that it cannot end between the question where it runs and the kill.
    steps[2]["inputs"]["sleep_s"] = 1.5
    return {"chain_id": "dog", "steps": steps, "retry": {"max_attempts": 5, "initial_s": 0.1}}


async def running(fleet: FleetProcesses, name: str) -> dict[str, Any]:
    """Wait until a step runs in a worker; the step."""

    async def runs() -> dict[str, Any] | None:
        with contextlib.suppress(Exception):
            told = await fleet.ask("chain_status", {"chain_id": "dog"}, timeout=1)
            step = next(each for each in told["steps"] if each["name"] == name)
            assert step["status"] not in ("failed", "cancelled", "succeeded"), step
            if step["status"] == "running" and fleet.running_pids():
                return dict(step)
        return None

    return dict(await until(runs, 60, f"{name} runs"))


async def kill_leader(fleet: FleetProcesses) -> None:
    bucket = await fleet.js.key_value("P3D_LEADER")
    pid = json.loads((await bucket.get("leader")).value)["pid"]
    next(part for part in fleet.parts if part.pid == pid).kill()


async def test_killed_leaders_and_a_killed_agent_leave_one_result_of_a_chain(fleet: FleetProcesses) -> None:
    models = fleet.models("models", {"passing": {"class": "writing_echo.PassingEcho", "path": [SUPPORT]}})
    for _ in range(3):
        fleet.coordinator()
    agents: dict[str, Part] = {name: fleet.agent(name, "fixed:4000", models) for name in ("one", "two")}
    await fleet.until_led(agents=2, timeout=60)
    await fleet.ask("chain", chain_of(*STEPS))

    await running(fleet, "mesh")
    await kill_leader(fleet)
    agents[(await running(fleet, "unwrap"))["agent_id"]].kill()
    await running(fleet, "texture")
    await kill_leader(fleet)

    async def ended() -> dict[str, Any] | None:
        with contextlib.suppress(Exception):
            told = await fleet.ask("chain_status", {"chain_id": "dog"}, timeout=1)
            return told if told["status"] in ("succeeded", "failed", "cancelled") else None
        return None

    status = await until(ended, 60, "the end of the chain")
    assert [(step["name"], step["status"]) for step in status["steps"]] == [(name, "succeeded") for name in STEPS]
    words = [subject.rsplit(".", 1)[1] for subject, _ in await fleet.read_stream("P3D_CHAINS")]
    assert words.count("succeeded") == 1
    assert words[-1] == "succeeded"
    results = {result["job_id"]: result for result in await fleet.results()}
    assert len(await fleet.results()) == len(results) == len(STEPS)
    assert results.keys() == {f"dog-{name}" for name in STEPS}
    attempts = {name: results[f"dog-{name}"]["attempt"] for name in STEPS}
    assert attempts == {**dict.fromkeys(STEPS, 1), "unwrap": 2}, "killed leaders disturb no step"
    outputs = await fleet.js.object_store("P3D_OUTPUTS")
    for place, step in enumerate(status["steps"], 1):
        (artifact,) = step["artifacts"]
        data = (await outputs.get(artifact["object"])).data or b""
        assert hashlib.sha256(data).hexdigest() == artifact["sha256"]
        assert data.decode().split() == list(STEPS[:place]), "each took the file of the one before it"
