"""When a new leader has read what lay there."""

from __future__ import annotations

from pocket3d.coordinator.reign import Backlog


def test_it_ends_with_its_last_message_and_a_redelivery_counts_once() -> None:
    backlog = Backlog(3)
    assert [backlog.read(seq) for seq in (4, 4, 9, 4)] == [False] * 4
    assert not backlog.done
    assert backlog.read(10)
    assert backlog.done
    assert not backlog.read(11), "it ends once"


def test_of_nothing_nothing_is_to_be_read() -> None:
    assert Backlog(0).done
    assert not Backlog(0).read(1)
