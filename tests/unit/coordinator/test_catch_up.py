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


def test_what_a_late_ack_of_the_former_leader_took_away_is_not_waited_for() -> None:
    backlog = Backlog(3)
    backlog.read(1)
    backlog.read(2)
    assert not backlog.recount(3), "one is still to come"
    backlog.acked(1)
    assert not backlog.recount(2), "the second, and the one that is to come"
    assert backlog.recount(1), "only the second is left: the third was acked by somebody else"
    assert backlog.done


def test_what_was_acked_before_it_was_delivered_at_all_ends_it_too() -> None:
    backlog = Backlog(2)
    assert not backlog.recount(2)
    assert backlog.recount(0)
    assert not backlog.recount(0), "it ends once"
