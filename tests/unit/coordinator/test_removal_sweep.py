"""When the jobs stream is counted, and what is looked up after a count."""

from __future__ import annotations

import pytest

from pocket3d.coordinator.engine.effects import CountMessages, FindMessages, ListStories
from pocket3d.coordinator.engine.events import StoriesListed
from pocket3d.coordinator.engine.job_list import JobList
from pocket3d.coordinator.leadership.removal_sweep import AGAIN_S, RemovalSweep, StoryList
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
        """What is asked but for stories."""
        return [each for each in self.sweep.step(self.mono) if not isinstance(each, ListStories)]

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
            assert len(asked.messages) <= 256
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


def test_so_many_are_looked_up_at_once() -> None:
    rounds = Rounds(300)
    rounds.ask()
    rounds.sweep.counted(299)
    sizes = []
    while asked := rounds.step():
        assert isinstance(asked[0], FindMessages)
        sizes.append(len(asked[0].messages))
        assert rounds.step() == [], "one question at a time"
        rounds.sweep.looked()
    assert sizes == [256, 44]


def test_a_part_of_which_no_job_is_left_is_passed_over() -> None:
    rounds = Rounds(3)
    rounds.ask()
    rounds.sweep.counted(0)
    core = rounds.desk.engine.core
    for number in range(3):
        core.remove(core.jobs[f"j{number}"])
    assert rounds.step() == []
    rounds.mono += 10.0
    rounds.ask()


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


def listed(below: int, down_to: int, *, full: bool) -> JobList:
    """A list that was filled with ended jobs of one part of the status bucket."""
    jobs = JobList(ended_kept=0 if full else 100)
    assert jobs.read((), below, down_to) is (not full and down_to > 0)
    return jobs


def test_stories_are_looked_through_with_the_list_of_ended_jobs_and_below_it() -> None:
    """One reading of the bucket does for both."""
    stories = StoryList(listed(1001, 601, full=True))
    assert stories.step(0.0) == [ListStories(601)]
    assert stories.step(0.0) == [], "one question at a time"
    stories.listed(StoriesListed((), 201))
    assert stories.step(1.0) == [ListStories(201)]
    stories.listed(StoriesListed((), 0))
    assert stories.step(2.0) == []


def test_the_newest_stories_are_looked_through_once_more() -> None:
    """A first event that a former leader sent is stored, and projected, after the takeover."""
    jobs = JobList()
    stories = StoryList(jobs)
    assert stories.step(0.0) == []
    jobs.read((), 301, 101)
    assert stories.step(5.0) == [], "the list is being filled"
    jobs.read((), 101, 0)
    assert stories.step(10.0) == stories.step(AGAIN_S + 9.9) == []
    assert stories.step(AGAIN_S + 10.0) == [ListStories(None)]
    stories.listed(StoriesListed((), 501))
    assert stories.step(AGAIN_S + 10.0) == [ListStories(501)]
    stories.listed(StoriesListed((), 301))
    assert stories.step(10 * AGAIN_S) == [], "what is older was looked through before"


def test_a_first_look_that_takes_long_is_ended_first() -> None:
    stories = StoryList(listed(1001, 601, full=True))
    stories.step(0.0)
    stories.listed(StoriesListed((), 301))
    assert stories.step(2 * AGAIN_S) == [ListStories(301)]
    stories.listed(StoriesListed((), 1))
    assert stories.step(2 * AGAIN_S) == [ListStories(None)]


def test_messages_are_looked_up_while_a_takeover_still_reads_and_stories_are_not() -> None:
    rounds = Rounds(2)
    core = rounds.sweep._core
    core.jobs_indexed = False
    core.job_list.read((), 10, 0)
    assert len(rounds.count(5)) == 2, "there are more messages than the index has room for"
    assert not any(isinstance(each, ListStories) for each in rounds.sweep.step(AGAIN_S + 1.0))


def test_the_sweep_asks_for_one_part_of_the_stories_after_the_other() -> None:
    desk = Desk()
    core = desk.engine.core
    core.job_list = listed(1001, 601, full=True)
    sweep = RemovalSweep(core, 10.0)
    assert sweep.step(0.0) == [ListStories(601)]
    assert sweep.step(1.0) == [], "one question at a time"
    sweep.listed(StoriesListed((), 301))
    assert sweep.step(2.0) == [ListStories(301)]
    sweep.listed(StoriesListed((), 0))
    assert sweep.step(3.0) == []


def test_nothing_is_asked_by_one_that_does_not_lead() -> None:
    desk = Desk(lead=False)
    assert RemovalSweep(desk.engine.core, 10.0).step(100.0) == []
