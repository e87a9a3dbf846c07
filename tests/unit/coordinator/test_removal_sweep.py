"""When the jobs stream is counted, and what is looked up after a count."""

from __future__ import annotations

import pytest

from pocket3d.coordinator.engine.effects import CountMessages, FindMessages, ListStories
from pocket3d.coordinator.engine.events import StoriesListed
from pocket3d.coordinator.leadership.removal_sweep import AGAIN_S, CHUNK, RemovalSweep, StoryList
from support.coordinator_desk import AgentDouble, Desk

SAMPLE = 20


class Rounds:
    """A sweep of ten seconds, its clock, and all that it looks up."""

    def __init__(self, jobs: int) -> None:
        self.desk = Desk()
        for number in range(jobs):
            self.desk.submit(f"j{number}")
        self.sweep = RemovalSweep(self.desk.engine.core, 10.0, SAMPLE)
        self.mono = 0.0
        assert self.step() == []
        self.mono = 10.0

    def step(self) -> list[CountMessages | FindMessages]:
        """What is asked but for stories, of which there are none."""
        made = self.sweep.step(self.mono)
        for each in made:
            if isinstance(each, ListStories):
                self.sweep.listed(StoriesListed((), 1, 0))
        return [each for each in made if not isinstance(each, ListStories)]

    def ask(self) -> None:
        (count,) = self.step()
        assert isinstance(count, CountMessages)
        assert self.step() == [], "one question at a time"

    def look(self) -> list[str]:
        """Everything that is looked up before the next count."""
        found: list[str] = []
        for effect in iter(self.step, []):
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
    assert rounds.step() == []


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


def test_stories_are_looked_through_from_the_newest_to_the_oldest_a_part_at_a_time() -> None:
    stories = StoryList()
    assert stories.step(0.0) == [ListStories(None)]
    assert stories.step(0.0) == [], "one question at a time"
    for start, end in ((601, 1000), (201, 600), (1, 200)):
        stories.listed(StoriesListed((), start, end))
        assert stories.step(1.0) == ([ListStories(start)] if start > 1 else [])


def test_the_newest_stories_are_looked_through_once_more() -> None:
    """A first event that a former leader sent is stored, and projected, after the takeover."""
    stories = StoryList()
    stories.step(0.0)
    stories.listed(StoriesListed((), 1, 300))
    assert stories.step(AGAIN_S - 0.1) == []
    assert stories.step(AGAIN_S) == [ListStories(None)]
    stories.listed(StoriesListed((), 501, 900))
    assert stories.step(AGAIN_S) == [ListStories(501)]
    stories.listed(StoriesListed((), 101, 500))
    assert stories.step(10 * AGAIN_S) == [], "what is older was looked through before"


def test_a_first_look_that_takes_long_is_ended_first() -> None:
    stories = StoryList()
    stories.step(0.0)
    stories.listed(StoriesListed((), 601, 1000))
    assert stories.step(2 * AGAIN_S) == [ListStories(601)]
    stories.listed(StoriesListed((), 1, 600))
    assert stories.step(2 * AGAIN_S) == [ListStories(None)]


def test_nothing_is_asked_before_the_stream_was_read() -> None:
    desk = Desk(lead=False)
    assert RemovalSweep(desk.engine.core, 10.0).step(100.0) == []
