"""What agents and the results stream say at other times than expected: before the advert, after the end, twice."""

from __future__ import annotations

import pytest

from pocket3d.contracts.jobs import Limits
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, last_status

S = JobState


def old_award(job_id: str = "j1", attempt: int = 1, token: str = "6-1") -> effects.AwardItem:
    """An award of a former leader."""
    return effects.AwardItem(job_id, 1, "echo", attempt, token, "echo", "fixed-0", None, 0.0, 0.0)


# ---------------------------------------------------------------- attempts


def test_what_a_new_life_reports_before_its_advert_is_judged_when_it_comes_again(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    desk.submit("large", vram_mb=99_000)
    newborn = AgentDouble("a1", born_ms=2000)
    assert desk.report(newborn, desk.start_of(old_award("large"))).noted == ()
    assert desk.state("large") is S.QUEUED
    desk.hear(newborn)
    assert desk.report(newborn, desk.start_of(old_award("large"))).noted == ("6-1/attempt_started",)
    assert desk.state("large") is S.RUNNING


@pytest.mark.parametrize("how", ["it reports the start", "it lists it"])
def test_an_award_without_an_answer_is_answered_by_whatever_the_agent_says_of_it(
    how: str, desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (item.token,)))
    if how == "it lists it":
        agent.running = [agent.runs(item)]
        desk.hear(agent, full=False)
        agent.running = []
    else:
        desk.started(agent, item)
    assert desk.take(effects.ReadResult) == []
    desk.hear(agent, full=False)
    assert [each.job_id for each in desk.take(effects.ReadResult)] == ["j1"], "it had it, and has it no more"


def test_an_attempt_that_was_ended_for_its_agent_is_not_taken_over_from_it() -> None:
    desk, agent = Desk(attempt_grace_s=1.0), AgentDouble()
    desk.hear(agent)
    item = desk.running(agent, limits=Limits(load_s=1.0, start_to_close_s=1.0))
    while desk.state() is S.RUNNING:
        desk.tick()
        desk.hear(agent, full=False)
    desk.hear(agent, full=False)
    desk.report(agent, desk.start_of(item))
    assert (desk.state(), desk.record().attempt) == (S.QUEUED, None)


def test_an_attempt_that_is_taken_over_counts_on_from_its_number(desk: Desk, agent: AgentDouble) -> None:
    desk.submit()
    agent.running = [agent.runs(old_award(attempt=3))]
    desk.hear(agent)
    assert (desk.state(), desk.record().attempt_no) == (S.RUNNING, 3)
    agent.running = []
    desk.failed(agent, old_award(attempt=3), "handed_back")
    assert desk.win(agent).attempt == 4


def test_a_job_that_is_to_be_cancelled_is_stopped_where_a_former_leader_had_started_it(agent: AgentDouble) -> None:
    desk = Desk(lead=False)
    desk.do(events.Led(7, ()))
    agent.running = [agent.runs(old_award())]
    desk.hear(agent)
    desk.do(events.CancelAsked("j1", "not wanted"))
    desk.read()
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="running", attempt=1, agent_id="a1"), 1))
    assert desk.state() is S.RUNNING
    assert [each.token for sent in desk.take(effects.SendCancels) for each in sent.cancels] == ["6-1"]


def test_a_run_of_an_unknown_job_is_stopped_when_two_adverts_in_a_row_list_it(desk: Desk, agent: AgentDouble) -> None:
    stopped = []
    for lists in (True, False, True, True):
        agent.running = [agent.runs(old_award("nobodys"))] if lists else []
        desk.hear(agent, full=False)
        stopped.append(len(desk.take(effects.SendCancels)))
    assert stopped == [0, 0, 0, 1]


def test_a_round_does_not_wait_for_the_answer_of_a_former_life(desk: Desk) -> None:
    first, second = AgentDouble("a1"), AgentDouble("a2")
    for agent in (first, second):
        desk.hear(agent)
    desk.submit()
    desk.answer_calls(first)
    assert desk.state() is S.QUEUED
    desk.hear(AgentDouble("a2", born_ms=2000))
    assert desk.state() is S.AWARDED


def test_how_an_attempt_failed_is_told_though_its_job_was_to_be_cancelled(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.do(events.CancelAsked("j1", "not wanted"))
    desk.failed(agent, item, "worker_crashed")
    result = desk.one(effects.StoreResult).result
    assert (result.status, result.agent_id) == ("cancelled", "a1")
    assert result.error is not None
    assert [error.code for error in result.error.attempts] == ["worker_crashed"]


def test_an_attempt_that_ended_because_of_the_cancel_is_no_failure(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.do(events.CancelAsked("j1", "not wanted"))
    desk.failed(agent, item, "cancelled")
    error = desk.one(effects.StoreResult).result.error
    assert error is not None and error.attempts == []


# ---------------------------------------------------------------- results


def test_a_result_that_overtakes_the_start_is_told_with_where_it_ran(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.accept(agent, item)
    desk.see(desk.result_of(item, agent))
    started, ended = (each.status for each in desk.take(effects.PublishEvent) if each.status.job_id == "j1")
    assert (started.status, started.attempt, started.agent_id, started.device) == ("running", 1, "a1", "fixed-0")
    assert (ended.status, ended.attempt, ended.adapter_id) == ("succeeded", 1, "echo")


def test_a_result_of_an_earlier_attempt_is_told_with_that_one(desk: Desk) -> None:
    first, second = AgentDouble("a1"), AgentDouble("a2")
    desk.hear(first)
    early = desk.running(first)
    desk.hear(second)
    desk.failed(first, early, "agent_lost")
    assert desk.win(second).attempt == 2
    desk.take(effects.PublishEvent)
    desk.see(desk.result_of(early, first))
    told = [each.status for each in desk.take(effects.PublishEvent)]
    assert [(each.status, each.attempt, each.agent_id) for each in told] == [
        ("running", 1, "a1"),
        ("succeeded", 1, "a1"),
    ]


def test_a_result_that_was_read_before_the_consumer_handed_it_over_is_acked_with_the_job(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    agent.running = []
    desk.hear(agent, full=False)
    desk.do(events.ResultRead("j1", desk.result_of(item, agent)))
    assert desk.state() is S.FINISHED
    desk.see(desk.result_of(item, agent), seq=100)
    desk.see(desk.result_of(item, agent), seq=100)
    desk.do(events.ResultRead("j1", desk.result_of(item, agent)))
    assert desk.take(effects.AckResult) == []
    desk.see(desk.result_of(item, agent), seq=101)
    assert [each.seq for each in desk.take(effects.AckResult)] == [101], "of a second one nothing depends"
    desk.close()
    assert [each.seq for each in desk.take(effects.AckResult)] == [100]
