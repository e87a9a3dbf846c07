"""G3 and G4: memory that runs out, contexts that are spoiled: what is reported, and that the next job is not hit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu.card import Card
from gpu.workers import declared, outcome, running, started
from support.fleet_processes import FleetProcesses


@pytest.mark.timeout(120)
async def test_g03_out_of_memory_is_told_as_that(
    card: Card, figures: dict[str, Any], fleet: FleetProcesses, tmp_path: Path
) -> None:
    await started(fleet, {"model": declared(2048)})
    for act in ("oom", "oom_cublas"):
        ended = await outcome(fleet, act, act=act)
        figures[act] = [ended["error"]["code"], ended["error"]["message"][:200]]
        assert ended["error"]["code"] == "out_of_memory", ended
        assert (await outcome(fleet, f"after-{act}"))["status"] == "succeeded"
    host = await outcome(fleet, "host", act="host_memory")
    figures["host_memory"] = [host["error"]["code"], host["error"]["message"][:200]]
    assert host["status"] == "failed"
    retry = {"max_attempts": 3, "initial_s": 0.2}
    again = await outcome(fleet, "again", act="oom", once=str(tmp_path / "mark"), retry=retry)
    assert (again["status"], again["attempt"]) == ("succeeded", 2), again


@pytest.mark.timeout(120)
@pytest.mark.parametrize("act", ["assert", "illegal_triton", "illegal_cupy"])
async def test_g04_a_spoiled_context_costs_no_second_job(
    card: Card, figures: dict[str, Any], fleet: FleetProcesses, act: str
) -> None:
    if card.real and act != "assert":
        pytest.importorskip(act.removeprefix("illegal_"))
    await started(fleet, {"model": declared(2048)})
    before = await outcome(fleet, "before")
    spoiled = await outcome(fleet, "spoiled", act=act)
    figures["error"] = [spoiled["error"]["code"], spoiled["error"]["message"][:300]]
    assert spoiled["status"] == "failed"
    after = await outcome(fleet, "after")
    assert after["status"] == "succeeded", after
    if card.real:
        assert after["outputs"]["pid"] != before["outputs"]["pid"], "a new process"


@pytest.mark.timeout(120)
async def test_g04_a_context_that_is_spoiled_during_a_cancel(
    card: Card, figures: dict[str, Any], fleet: FleetProcesses
) -> None:
    await started(fleet, {"model": declared(2048)})
    before = await outcome(fleet, "before")
    await fleet.submit("gpu_test", {"job_id": "cancelled", "inputs": {"act": "assert_when_cancelled"}})
    await running(fleet, "cancelled")
    await fleet.ask("cancel", {"job_id": "cancelled"})
    figures["ended"] = (await fleet.result_of("cancelled"))["status"]
    assert figures["ended"] == "cancelled"
    after = await outcome(fleet, "after")
    assert after["status"] == "succeeded", after
    if card.real:
        assert after["outputs"]["pid"] != before["outputs"]["pid"], "a new process"
