"""What a worker says may be anything: it becomes an event of bounded numbers and known words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pocket3d.contracts import worker_frames as frames
from pocket3d.gpu_agents import events
from pocket3d.gpu_agents.service_workers import event_of

YEAR_S = 366 * 24 * 3600.0


@pytest.mark.parametrize(
    ("said", "taken"),
    [(1.5, 1.5), (1e308, YEAR_S), (math.inf, YEAR_S), (-1.0, 0.0), (-math.inf, 0.0), (math.nan, 0.0)],
)
def test_durations_are_brought_into_their_range(said: float, taken: float) -> None:
    finished: Any = event_of("w", frames.RunFinished(run_id="r", outputs={}, files=[], run_s=said))
    failed: Any = event_of("w", frames.RunFailed(run_id="r", code="timeout", message="", run_s=said))
    loaded: Any = event_of("w", frames.ModelLoaded(load_s=said))
    assert (finished.run_s, failed.run_s, loaded.load_s) == (taken, taken, taken)
    unknown: Any = event_of("w", frames.RunFailed(run_id="r", code="timeout", message=""))
    assert unknown.run_s is None


@pytest.mark.parametrize(("said", "taken"), [(None, None), (5, 5), (2**64 - 1, 1 << 24), (-7, 0)])
def test_memory_is_brought_into_its_range(said: int | None, taken: int | None) -> None:
    finished: Any = event_of("w", frames.RunFinished(run_id="r", outputs={}, files=[], run_s=0, vram_peak_mb=said))
    failed: Any = event_of("w", frames.RunFailed(run_id="r", code="timeout", message="", vram_peak_mb=said))
    loaded: Any = event_of("w", frames.ModelLoaded(load_s=1, vram_mb=said))
    assert (finished.vram_peak_mb, failed.vram_peak_mb, loaded.vram_mb) == (taken, taken, taken)


def test_progress_is_a_fraction_and_a_short_text() -> None:
    for said, taken in ((0.3, 0.3), (7.0, 1.0), (-1.0, 0.0), (math.nan, None), (None, None)):
        frame = frames.RunProgress(run_id="r", fraction=said, stage="s" * 5000, message="m")
        told: Any = event_of("w", frame)
        assert told.fraction == taken
        assert (len(told.stage), told.message) == (1000, "m")


@pytest.mark.parametrize("code", ["handed_back", "agent_lost", "no_capacity", "no such code", ""])
def test_a_worker_cannot_speak_for_the_agent(code: str) -> None:
    """`handed_back` costs no attempt: an adapter that said so would have its job run for ever."""
    failed: Any = event_of("w", frames.RunFailed(run_id="r", code=code, message="x"))
    loaded: Any = event_of("w", frames.LoadFailed(code=code, message="x"))
    assert (failed.code, loaded.code) == ("adapter_error", "load_failed")


@pytest.mark.parametrize(
    "code", ["invalid_input", "out_of_memory", "cancelled", "invalid_output", "adapter_unavailable"]
)
def test_what_a_worker_may_say_is_passed_on(code: str) -> None:
    assert event_of("w", frames.RunFailed(run_id="r", code=code, message="x")) == events.RunFailed("r", code, "x")
