"""Some cases of each fuzzer with a seed that stays; `make fuzz` plays others for as long as you like."""

from __future__ import annotations

import random
import signal

import pytest

from fuzz import targets
from fuzz.targets import TARGETS, Finding, Target, play

SEED = 0


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.torch if each.heavy else ()) for name, each in TARGETS.items()]
)
def test_no_stranger_raises_what_is_not_declared(name: str) -> None:
    for case in range(TARGETS[name].cases):
        play(name, SEED, case)


def test_a_case_that_never_ends_is_a_finding_that_says_how_to_play_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(chance: random.Random) -> None:
        while True:
            pass

    monkeypatch.setitem(TARGETS, "endless", Target(endless, 1))
    monkeypatch.setattr(targets, "END_S", 0.2)
    before, handler = signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM)
    with pytest.raises(Finding, match=r"did not end within 0\.2 s; .*--only endless --seed 3 --case 4"):
        play("endless", 3, 4)
    left_s = signal.getitimer(signal.ITIMER_REAL)[0]
    assert (left_s > 0) == (before > 0) and left_s <= before
    assert signal.getsignal(signal.SIGALRM) is handler
