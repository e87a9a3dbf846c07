"""G8: memory that a worker's child takes is the worker's; what is offered does not shrink twice."""

from __future__ import annotations

from typing import Any

import pytest

from gpu.card import Card
from gpu.workers import declared, device_of, outcome, running, started
from support.fleet_processes import FleetProcesses, until

_CHILD = 4096


@pytest.mark.timeout(120)
async def test_g08_a_childs_memory_is_counted_once(card: Card, figures: dict[str, Any], fleet: FleetProcesses) -> None:
    await started(fleet, {"model": declared(_CHILD + 2048)})
    assert (await outcome(fleet, "before"))["status"] == "succeeded"
    idle = await device_of(fleet)
    free = card.reading().free_mb
    mb = _CHILD if card.real else 64
    body = {"job_id": "child", "inputs": {"act": "child", "mb": mb, "seconds": 15}}
    await fleet.submit("gpu_test", body)
    await running(fleet, "child")
    figures["idle"] = idle
    if card.real:
        await until(lambda: card.reading().free_mb < free - _CHILD + 64, 30, "the child's memory")

    async def settled() -> bool:
        # The record is renewed every few seconds.
        figures["during"] = await device_of(fleet)
        return abs(_offered(figures["during"]) - _offered(idle)) <= 512

    await until(settled, 12, "the same offer as before")
    assert (await fleet.result_of("child"))["status"] == "succeeded"


def _offered(device: dict[str, Any]) -> int:
    return int(device["free_mb"]) - int(device["reserved_mb"]) - int(device["buffer_mb"])
