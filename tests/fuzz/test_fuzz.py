"""Some cases of each fuzzer with a seed that stays; `make fuzz` plays others for as long as you like."""

from __future__ import annotations

import pytest

from fuzz.targets import TARGETS, play

SEED = 0


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.torch if each.heavy else ()) for name, each in TARGETS.items()]
)
def test_no_stranger_raises_what_is_not_declared(name: str) -> None:
    for case in range(TARGETS[name].cases):
        play(name, SEED, case)
