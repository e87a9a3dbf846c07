"""What a worker says may be anything: it becomes an event of short texts and known words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pocket3d.contracts import worker_frames as frames
from pocket3d.gpu_agents.engine import events
from pocket3d.gpu_agents.io.worker_gateway import event_of


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
