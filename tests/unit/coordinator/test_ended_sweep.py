"""The list of jobs forgets ended ones that the status bucket has no more: when it counts, and what is looked up."""

from __future__ import annotations

from pocket3d.contracts.messages import Status
from pocket3d.coordinator.engine.job_list import EndedJob, JobFilter
from pocket3d.coordinator.leadership.ended_sweep import EndedLooked, EndedSweep, LookAtEnded
from support.coordinator_desk import Desk

PERIOD_S = 10.0


def ended(number: int) -> EndedJob:
    at = f"2026-11-28T12:{number // 60 % 60:02}:{number % 60:02}.000Z"
    status = Status(
        job_id=f"j{number}", feature="echo", priority="normal", tenant="default", status="succeeded", attempt=1, at=at
    )
    return EndedJob(number + 1, status)


class Shelf:
    """Ended jobs in a list and what is kept of them; the first ones ended first."""

    def __init__(self, jobs: int) -> None:
        self.desk = Desk()
        self.list = self.desk.engine.core.job_list
        self.list.read([ended(number) for number in reversed(range(jobs))], jobs + 1, 0)
        self.kept = {f"j{number}" for number in range(jobs)}
        self.sweep = EndedSweep(self.desk.engine.core, PERIOD_S)
        self.mono = 0.0
        self.looked_up: list[str] = []
        self.period()

    def period(self, *, away: bool = False) -> int:
        """A count and what follows from it; how many jobs were looked up."""
        asked = 0
        while made := self.sweep.step(self.mono):
            assert self.sweep.step(self.mono) == [], "one question at a time"
            (effect,) = made
            assert isinstance(effect, LookAtEnded) and len(effect.jobs) <= 256
            asked += len(effect.jobs)
            self.looked_up += [each.job_id for each in effect.jobs]
            gone = tuple(each for each in effect.jobs if each.job_id not in self.kept)
            self.sweep.looked(EndedLooked(None) if away else EndedLooked(len(self.kept), gone))
        self.mono += PERIOD_S
        return asked

    def listed(self) -> list[str]:
        return [each.status.job_id for each in self.list.page(JobFilter(), None, 1000) if isinstance(each, EndedJob)]


def test_as_long_as_all_is_there_nothing_is_looked_up() -> None:
    shelf = Shelf(1000)
    assert [shelf.period() for _ in range(3)] == [0, 0, 0]


def test_what_was_removed_is_listed_no_more() -> None:
    shelf = Shelf(600)
    shelf.kept -= {f"j{number}" for number in range(250)}
    assert shelf.period() == 256, "the oldest, and no more than it takes"
    assert shelf.listed()[-1] == "j250"
    assert len(shelf.list.page(JobFilter(status="succeeded", tenant="default"), None, 1000)) == 350
    shelf.kept.discard("j599")
    assert shelf.period() == 350
    assert shelf.listed()[0] == "j598"
    assert shelf.period() == 0


def test_a_period_looks_up_a_bounded_number_and_the_next_one_goes_on() -> None:
    shelf = Shelf(2058)
    shelf.kept.discard("j2053")
    assert [shelf.period(), shelf.period(), shelf.period()] == [2048, 10, 0]


def test_a_bucket_that_is_being_filled_anew_costs_the_list_nothing_and_is_looked_at_once() -> None:
    shelf = Shelf(300)

    def count(entries: int) -> int:
        """A period in which each job that is looked up has its result; how many times jobs were looked up."""
        looks = 0
        while shelf.sweep.step(shelf.mono):
            looks += 1
            shelf.sweep.looked(EndedLooked(entries))
        shelf.mono += PERIOD_S
        return looks - 1

    assert [count(20), count(20)] == [2, 0]
    assert len(shelf.listed()) == 300
    assert count(300) == 0
    shelf.kept.remove("j3")
    assert shelf.period() == 256, "what is missing after that is found"
    assert "j3" not in shelf.listed()


def test_a_server_that_does_not_say_is_asked_again() -> None:
    shelf = Shelf(300)
    shelf.kept.remove("j7")
    assert shelf.period(away=True) == 0
    assert shelf.period() == 256
    assert "j7" not in shelf.listed()


def test_unfinished_jobs_count_once_they_are_known() -> None:
    shelf = Shelf(10)
    shelf.desk.submit("new")
    shelf.kept.add("new")
    shelf.period()
    shelf.desk.read("unknown yet")
    shelf.period()
    assert shelf.period() == 0
    shelf.kept.remove("j0")
    assert shelf.period() == 10


def test_before_all_ended_jobs_are_listed_nothing_is_asked() -> None:
    desk = Desk()
    sweep = EndedSweep(desk.engine.core, PERIOD_S)
    assert sweep.step(100.0) == []
