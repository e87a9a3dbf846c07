"""When the jobs stream is counted, and what is looked up after a count."""

from __future__ import annotations

import pytest

from pocket3d.coordinator.engine.effects import CountMessages, FindMessages, ListStories
from pocket3d.coordinator.leadership.removal_sweep import AGAIN_S, CHUNK, RemovalSweep
from support.coordinator_desk import AgentDouble, Desk

SAMPLE = 20


def lists(effect: object) -> bool:
    return isinstance(effect, ListStories)


class Rounds:
    """A sweep of ten seconds, its clock, and all that it looks up."""

    def __init__(self, jobs: int) -> None:
        self.desk = Desk()
        for number in range(jobs):
            self.desk.submit(f"j{number}")
        self.sweep = RemovalSweep(self.desk.engine.core, 10.0, SAMPLE)
        self.mono = 0.0
        assert [*map(lists, self.sweep.step(self.mono))] == [True]
        assert self.sweep.step(self.mono) == []
        self.mono = 10.0

    def ask(self) -> None:
        (count,) = [each for _ in range(2) for each in self.sweep.step(self.mono) if not lists(each)]
        assert isinstance(count, CountMessages)
        assert self.sweep.step(self.mono) == [], "one question at a time"

    def look(self) -> list[str]:
        """Everything that is looked up before the next count."""
        found: list[str] = []
        for effect in iter(lambda: self.sweep.step(self.mono), []):
            (asked,) = effect
            assert isinstance(asked, FindMessages)
            assert asked.sweep
            assert len(asked.messages) <= CHUNK
            found += [each.job_id for each in asked.messages]
            self.sweep.looked()
        return found

    def count(self, messages: int | None) -> list[str]:
        self.ask()
        self.sweep.counted(messages)
        found = self.look()
        self.mono += 10.0
        return found


def test_few_jobs_are_all_looked_up_in_each_period() -> None:
    rounds = Rounds(3)
    for _ in range(2):
        assert sorted(rounds.count(3)) == ["j0", "j1", "j2"]
    rounds.mono -= 0.1
    assert rounds.sweep.step(rounds.mono) == []


def test_of_many_a_part_is_looked_up_and_in_the_end_all() -> None:
    rounds = Rounds(2 * SAMPLE + 10)
    found = [rounds.count(2 * SAMPLE + 10) for _ in range(3)]
    assert [len(part) for part in found] == [SAMPLE] * 3
    assert len({job for part in found for job in part}) == 2 * SAMPLE + 10


def test_all_are_looked_up_where_messages_are_missing() -> None:
    rounds = Rounds(2 * SAMPLE)
    assert len(rounds.count(2 * SAMPLE - 1)) == 2 * SAMPLE


def test_a_count_without_an_answer_is_asked_for_again_later() -> None:
    rounds = Rounds(2)
    assert rounds.count(None) == []
    assert len(rounds.count(2)) == 2


@pytest.mark.parametrize("confirmed", [False, True])
def test_jobs_whose_acks_are_out_are_not_missed(confirmed: bool) -> None:
    rounds = Rounds(2 * SAMPLE)
    rounds.sweep.ack_sent()
    rounds.ask()
    rounds.sweep.ack_sent()
    if confirmed:
        for _ in range(2):
            rounds.sweep.ack_confirmed()
    rounds.sweep.counted(2 * SAMPLE - 2)
    assert len(rounds.look()) == SAMPLE
    # Of acks that were confirmed before, the jobs are no longer counted.
    rounds.mono += 10.0
    assert len(rounds.count(2 * SAMPLE - (1 if confirmed else 3))) == 2 * SAMPLE


def test_removed_jobs_that_run_on_raise_no_alarm_and_are_not_looked_up() -> None:
    rounds = Rounds(1)
    agent = AgentDouble()
    rounds.desk.hear(agent)
    rounds.desk.win(agent, "j0")
    record = rounds.desk.record("j0")
    record.retry_state().removed = True
    rounds.desk.engine.core.index.file(record)
    assert rounds.count(0) == []


def test_stories_are_listed_again_after_a_while_and_then_no_more() -> None:
    rounds = Rounds(0)
    rounds.mono = AGAIN_S - 0.1
    rounds.ask()
    rounds.mono = AGAIN_S
    assert [*map(lists, rounds.sweep.step(rounds.mono))] == [True]
    for _ in range(20):
        assert not any(map(lists, rounds.sweep.step(rounds.mono)))
        rounds.sweep.counted(0)
        rounds.mono += 10.0


def test_nothing_is_asked_before_the_stream_was_read() -> None:
    desk = Desk(lead=False)
    assert RemovalSweep(desk.engine.core, 10.0).step(100.0) == []
