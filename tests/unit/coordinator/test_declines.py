"""What agents would decline, by what they declined."""

from __future__ import annotations

import pytest

from pocket3d.contracts.commands import Reason
from pocket3d.coordinator.auction.declines import Declines
from pocket3d.coordinator.engine.job import GroupKey

KIND = GroupKey("normal", "echo", None, 3000, frozenset())


def busy(need_mb: int) -> Reason:
    return Reason(agent_id="a1", code="vram_busy", device="d", need_mb=need_mb, have_mb=500, short_mb=need_mb - 500)


@pytest.fixture
def declines() -> Declines:
    """One agent declined 3000 MB at version 7 of its picture."""
    declines = Declines()
    declines.note("a1", 7, KIND, [busy(3100)])
    return declines


@pytest.mark.parametrize(
    ("agent_id", "version", "key", "need_mb"),
    [
        ("a1", 7, KIND, 3100),
        ("a1", 7, KIND._replace(vram_mb=3200), 3300),
        ("a1", 7, KIND._replace(vram_mb=2999), None),
        ("a1", 7, KIND._replace(vram_mb=None), None),
        ("a1", 7, KIND._replace(canonical="other"), None),
        ("a1", 7, KIND._replace(preferred=("echo",)), None),
        ("a1", 8, KIND, None),
        ("a2", 7, KIND, None),
    ],
)
def test_who_declined_a_job_declines_one_that_asks_for_as_much_or_more(
    agent_id: str, version: int, key: GroupKey, need_mb: int | None, declines: Declines
) -> None:
    told = declines.of(agent_id, version, key)
    assert told == (None if need_mb is None else [busy(need_mb)])


def test_the_least_that_was_declined_counts(declines: Declines) -> None:
    declines.note("a1", 7, KIND._replace(vram_mb=4000), [busy(4100)])
    declines.note("a1", 7, KIND._replace(vram_mb=2000), [busy(2100)])
    assert declines.of("a1", 7, KIND) == [busy(3100)]
    assert declines.of("a1", 7, KIND._replace(vram_mb=2000)) == [busy(2100)]


def test_another_picture_begins_anew_for_all_kinds(declines: Declines) -> None:
    declines.note("a1", 8, KIND._replace(canonical="other"), [busy(3100)])
    assert declines.of("a1", 8, KIND) is None
    assert declines.of("a1", 8, KIND._replace(canonical="other")) == [busy(3100)]
    declines.note("a1", 8, KIND, [busy(3100)])
    assert declines.of("a1", 8, KIND._replace(canonical="other")) == [busy(3100)], "of one picture all kinds count"


def test_a_job_that_asks_for_nothing_says_nothing_of_others(declines: Declines) -> None:
    declines.note("a1", 8, KIND._replace(vram_mb=None), [busy(1000)])
    assert declines.of("a1", 7, KIND) == [busy(3100)]


def test_a_reason_without_figures_is_told_as_it_is() -> None:
    declines = Declines()
    drains = Reason(agent_id="a1", code="draining")
    declines.note("a1", 7, KIND, [drains, Reason(agent_id="a1", code="vram_busy", need_mb=3000)])
    assert declines.of("a1", 7, KIND._replace(vram_mb=3500)) == [
        drains,
        Reason(agent_id="a1", code="vram_busy", need_mb=3500),
    ]


def test_an_agent_that_is_gone_is_forgotten(declines: Declines) -> None:
    declines.forget("a2")
    assert declines.of("a1", 7, KIND) is not None
    declines.forget("a1")
    assert declines.of("a1", 7, KIND) is None
