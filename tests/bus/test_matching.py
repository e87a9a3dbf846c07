"""Subjects, filters and the clock of the memory bus, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.bus.matching import SubjectIndex, matches, transform
from pocket3d.bus.memory.clock import FakeClock
from pocket3d.bus.memory.stream import overlap

TOKEN = st.sampled_from(["a", "b", "c"])
SUBJECT = st.lists(TOKEN, min_size=1, max_size=4).map(".".join)
PATTERN = st.tuples(st.lists(TOKEN | st.just("*"), min_size=1, max_size=4), st.booleans()).map(
    lambda parts: ".".join([*parts[0], *([">"] if parts[1] else [])])
)


@pytest.mark.parametrize(
    ("pattern", "subject", "taken"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*.c", "a.b.c", True),
        ("a.>", "a", False),
        ("a.>", "a.b.c", True),
        (">", "a", True),
        ("*.b", "b.b", True),
        ("a.b.c", "a.b", False),
    ],
)
def test_matches(pattern: str, subject: str, taken: bool) -> None:
    assert matches(pattern, subject) is taken


@given(st.lists(SUBJECT, max_size=20), st.lists(SUBJECT, max_size=10), PATTERN)
def test_the_index_finds_what_matches(added: list[str], removed: list[str], pattern: str) -> None:
    index = SubjectIndex(added)
    for subject in removed:
        index.discard(subject)
    assert set(index.find(pattern)) == {s for s in set(added) - set(removed) if matches(pattern, s)}


@given(PATTERN, PATTERN, SUBJECT)
def test_filters_that_share_a_subject_overlap(one: str, other: str, subject: str) -> None:
    if matches(one, subject) and matches(other, subject):
        assert overlap(one, other)


def test_filters_that_share_none_do_not_overlap() -> None:
    assert not overlap("p3d.jobs.high.*", "p3d.jobs.low.*")
    assert not overlap("p3d.events.leader", "p3d.events.*.*.*")
    assert not overlap("a.*", "a.*.*")


def test_transform() -> None:
    change = ("p3d.events.*.*.*", "$KV.P3D_STATUS.{{wildcard(2)}}")
    assert transform(*change, "p3d.events.echo.chair-1.queued") == "$KV.P3D_STATUS.chair-1"
    assert transform(*change, "p3d.events.leader") is None


def test_the_fake_clock_calls_in_order_and_at_their_time() -> None:
    clock = FakeClock(100.0)
    seen: list[tuple[str, float]] = []

    def again() -> None:
        seen.append(("late", clock.time()))
        clock.call_at(clock.time() + 1, lambda: seen.append(("again", clock.time())))

    clock.call_at(105.0, again)
    clock.call_at(102.0, lambda: seen.append(("early", clock.time())))
    clock.call_at(103.0, lambda: seen.append(("never", clock.time()))).cancel()
    clock.call_at(200.0, lambda: seen.append(("far", clock.time())))
    clock.advance(10)
    assert seen == [("early", 102.0), ("late", 105.0), ("again", 106.0)]
    assert clock.time() == 110.0
