"""Random stories: whatever happens in whatever order, the invariants hold and every attempt has one end."""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocket3d.gpu_agents.engine.lifecycle import RUN_TRANSITIONS, WORKER_TRANSITIONS
from pocket3d.gpu_agents.engine.records import Run, Worker
from support.agent_world import AgentWorld

STORIES = st.lists(st.integers(0, 2**16), min_size=20, max_size=400)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=STORIES, leave=st.booleans())
def test_any_story_keeps_the_ledger_and_ends_every_attempt(story: list[int], leave: bool) -> None:
    world = AgentWorld(itertools.cycle(story))
    for _ in range(len(story)):
        world.step()
    world.calm_down(leave=leave)
    world.check_ends()
    if leave:
        assert world.left
        assert not world.alive


def test_long_stories_take_every_row_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[tuple[str, str]] = set()
    for kind in (Run, Worker):

        def noted(self: Any, state: Any, why: str, now: float, move: Any = kind.move) -> None:
            taken.add((self.state.value, state.value))
            move(self, state, why, now)

        monkeypatch.setattr(kind, "move", noted)
    for seed in range(40):
        chance = random.Random(seed)
        world = AgentWorld(iter(partial(chance.randrange, 2**16), None))
        for _ in range(400):
            world.step()
        world.calm_down(leave=seed % 2 == 0)
        world.check_ends()
    rows = {
        (start.value, finish.value)
        for table in (RUN_TRANSITIONS, WORKER_TRANSITIONS)
        for start, finishes in table.items()
        for finish in finishes
    }
    assert rows - taken == set()
