"""G2: a worker's memory over its life, and the change from one model to the next on a card that holds one of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gpu.card import Card
from gpu.workers import GpuWorker, declared, outcome, seconds_until, started
from support.fleet_processes import FleetProcesses

_HOLD, _JOBS = 1024, 20


@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", ["shutdown", "kill"])
def test_g02_memory_of_a_worker_comes_and_goes(card: Card, figures: dict[str, Any], tmp_path: Path, end: str) -> None:
    before = card.reading().free_mb
    with GpuWorker(card, tmp_path / "worker") as worker:
        loaded = worker.hold(_HOLD, 2048)
        figures["reported_mb"] = loaded.vram_mb
        first = worker.finished("first", mb=512)
        after_first = card.reading().free_mb
        for number in range(_JOBS):
            last = worker.finished(f"job-{number}", mb=512)
        growth = after_first - card.reading().free_mb
        figures.update(growth_mb=growth, peak_mb=last.vram_peak_mb, load_took_mb=before - after_first)
        if card.real:
            assert growth < 32
            assert first.vram_peak_mb is not None and last.vram_peak_mb == first.vram_peak_mb
            assert _HOLD + 512 <= first.vram_peak_mb <= _HOLD + 512 + 64
        if end == "kill":
            os.killpg(worker.process.pid, signal.SIGKILL)
        else:
            assert worker.shut_down(30) == 0
        figures["free_after_s"] = seconds_until(lambda: card.reading().free_mb >= before - 64, 20)


@pytest.mark.timeout(120)
async def test_g02_one_model_makes_room_for_the_next(
    card: Card, figures: dict[str, Any], fleet: FleetProcesses
) -> None:
    share = int(card.total_mb * 0.6)
    hold = share - 2048 if card.real else 64
    await started(fleet, {name: declared(share, hold) for name in ("one", "two")})
    pids = set()
    for number, name in enumerate(("one", "two", "one")):
        ended = await outcome(fleet, f"job-{number}", adapter=name)
        assert ended["status"] == "succeeded", ended
        pids.add(ended["outputs"]["pid"])
        figures[f"{number}_{name}"] = ended["timings"]
    assert len(pids) == 3, "each time the other model had to leave"
