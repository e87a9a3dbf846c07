"""One model in two sizes on a 24 GB and a 12 GB card (simulated), with real workers."""

from __future__ import annotations

from typing import Any

import pytest

from support.fleet_processes import ROOT, FleetProcesses

pytestmark = pytest.mark.e2e


async def begin(fleet: FleetProcesses, job_id: str, **inputs: Any) -> None:
    await fleet.submit("sized", {"job_id": job_id, "inputs": inputs})


async def test_a_card_of_12_gb_serves_what_one_of_24_gb_is_too_busy_for(fleet: FleetProcesses) -> None:
    sized = {"class": "support.sized.SizedAdapter", "path": [str(ROOT / "tests")]}
    fleet.coordinator()
    fleet.agent("gpus", "fixed:24000,12000", fleet.models("models", {"sized": sized}))
    await fleet.until_led(agents=1)

    await begin(fleet, "first", hold=True)
    first = await fleet.until_status("first", "running")
    assert (first["device"], first["variant"]) == ("fixed-0", "1024")
    await begin(fleet, "second", hold=True)
    second = await fleet.until_status("second", "running")
    assert (second["device"], second["variant"]) == ("fixed-1", "512")
    summary = (await fleet.ask("explain", {"job_id": "second"}))["summary"]
    assert summary.startswith("runs on gpus/fixed-1 with sized as 512, attempt 1; 1024 on gpus/fixed-0 was busy")
    for job_id in ("first", "second"):
        await fleet.ask("cancel", {"job_id": job_id})
        await fleet.result_of(job_id)

    await begin(fleet, "third")
    third = await fleet.result_of("third")
    assert (third["status"], third["device"], third["variant"]) == ("succeeded", "fixed-0", "1024")
    assert third["outputs"] == {"success": True, "model": "loaded as 1024", "vram_mb": 16384}

    await begin(fleet, "large", too_large=["1024"])
    large = await fleet.result_of("large")
    assert (large["status"], large["variant"]) == ("succeeded", "512")
    # Where the large card has got rid of the worker that ran out in time, it is tried there once more with all of it.
    assert large["attempt"] in (2, 3)
    assert large["outputs"]["model"] == "loaded as 512"
