"""G13: eight honest models of random sizes on one card: no memory runs out, and the buffer stays free."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from gpu.card import Card
from gpu.workers import declared, started
from support.fleet_processes import FleetProcesses

_JOBS = 40
#: A context and the libraries' own: what a claim has beyond the model's tensors. G1 measures it.
_CONTEXT = 800
#: What a reading may miss: allocations between two readings of the probe.
_ERROR = 256


@pytest.mark.timeout(150)
async def test_g13_random_claims_fill_the_card_and_no_more(
    card: Card, figures: dict[str, Any], fleet: FleetProcesses
) -> None:
    dice = random.Random(13)
    claims = {f"model-{n}": dice.randrange(2500, max(card.total_mb // 3, 3000)) for n in range(8)}
    held = {name: (claim - _CONTEXT) // 2 if card.real else 16 for name, claim in claims.items()}
    await started(fleet, {name: declared(claim, held[name]) for name, claim in claims.items()})
    before = card.reading().free_mb
    least = before
    for number in range(_JOBS):
        name = dice.choice(sorted(claims))
        mb = held[name] if card.real else 16
        inputs = {"mb": mb, "seconds": round(dice.uniform(0.2, 1.5), 2)}
        await fleet.submit("gpu_test", {"job_id": f"job-{number}", "model_preference": name, "inputs": inputs})
    began = time.monotonic()
    while await fleet.messages("P3D_RESULTS") < _JOBS:
        assert time.monotonic() - began < 120, "40 jobs take seconds each"
        least = min(least, (await asyncio.to_thread(card.reading)).free_mb)
        await asyncio.sleep(0.1)
    results = await fleet.results()
    codes = [each["error"]["code"] for each in results if each["status"] != "succeeded"]
    figures.update(claims=claims, least_free_mb=least, free_before_mb=before, failed=codes)
    figures["seconds"] = round(time.monotonic() - began, 1)
    assert codes == []
    if card.real:
        assert least >= 1024 - _ERROR
