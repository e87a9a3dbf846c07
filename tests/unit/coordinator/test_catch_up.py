"""When a new leader has read what lay there."""

from __future__ import annotations

from pocket3d.coordinator.leadership.catch_up import STALLED_S, CatchUpCounter


def counter(count: int) -> CatchUpCounter:
    made = CatchUpCounter()
    made.counted(count)
    return made


def test_it_ends_with_its_last_message_and_a_redelivery_counts_once() -> None:
    left = counter(3)
    assert [left.read(seq) for seq in (4, 4, 9, 4)] == [False] * 4
    assert not left.done
    assert left.read(10)
    assert left.done
    assert not left.read(11), "it ends once"


def test_of_nothing_nothing_is_to_be_read() -> None:
    left = CatchUpCounter()
    assert not left.done, "nobody has counted yet"
    assert left.counted(0)
    assert left.done
    assert not left.read(1)
    assert not left.counted(0), "it ends once"


def test_what_was_read_before_it_was_counted_counts() -> None:
    left = CatchUpCounter()
    assert not left.read(1)
    assert not left.counted(2)
    assert left.read(2)


def test_what_a_late_ack_of_the_former_leader_took_away_is_not_waited_for() -> None:
    left = counter(3)
    left.read(1)
    left.read(2)
    assert not left.counted(3), "one is still to come"
    left.acked(1)
    assert not left.counted(2), "the second, and the one that is to come"
    assert left.counted(1), "only the second is left: the third was acked by somebody else"
    assert left.done


def test_what_was_acked_before_it_was_delivered_at_all_ends_it_too() -> None:
    left = counter(2)
    assert not left.counted(2)
    assert left.counted(0)
    assert not left.counted(0), "it ends once"


def test_an_ack_of_what_was_not_read_changes_nothing() -> None:
    left = counter(2)
    left.read(1)
    left.acked(7)
    assert not left.counted(2)
    assert left.counted(1)


def test_what_does_not_come_for_long_was_handed_to_somebody_else() -> None:
    left = counter(3)
    assert not left.stalled(0.0)
    left.read(1)
    assert not left.stalled(STALLED_S), "something came"
    left.acked(1)
    assert not left.stalled(2 * STALLED_S - 0.1)
    assert not left.stalled(3 * STALLED_S - 0.2)
    assert left.stalled(3 * STALLED_S)
    assert not left.stalled(3 * STALLED_S + 0.1), "it was asked for again a moment ago"
    assert not left.stalled(4 * STALLED_S)
    assert left.stalled(5 * STALLED_S + 0.1)
    left.counted(0)
    assert left.done
    assert not left.stalled(9 * STALLED_S)
