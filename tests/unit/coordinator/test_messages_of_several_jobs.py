"""Messages that speak of several jobs: what cannot be used of one keeps none of the others from counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pocket3d.contracts.commands import AwardAnswer, AwardsAnswered
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, device, offer

S = JobState


@pytest.fixture
def agent() -> AgentDouble:
    """One that runs many jobs at a time."""
    return AgentDouble(devices=[device(total_mb=80_000)], adapters=[offer(max_concurrent=9)])


def item_of(job_id: str, token: str) -> effects.AwardItem:
    """An award that this engine did not send."""
    return effects.AwardItem(job_id, 1, "echo", 1, token, "echo", "fixed-0", None, 0.0, 0.0)


# ---------------------------------------------------------------- what agents say of attempts


def _of_nobodys_job(desk: Desk, agent: AgentDouble) -> Any:
    return desk.start_of(item_of("nobodys", "6-1"))


def _of_one_that_is_being_read(desk: Desk, agent: AgentDouble) -> Any:
    desk.read("new")
    return desk.start_of(item_of("new", "6-1"))


def _said_before(desk: Desk, agent: AgentDouble) -> Any:
    item = desk.running(agent, "j0")
    desk.failed(agent, item, "worker_crashed")
    return desk.failure_of(item, "worker_crashed")


def _of_a_former_leaders_award(desk: Desk, agent: AgentDouble) -> Any:
    desk.submit("large", vram_mb=99_000)
    return desk.start_of(item_of("large", "6-1"))


def _of_an_older_award(desk: Desk, agent: AgentDouble) -> Any:
    item = desk.running(agent, "j0")
    return desk.failure_of(item_of("j0", f"{item.token}0"), "worker_crashed")


def _of_anothers_attempt(desk: Desk, agent: AgentDouble) -> Any:
    other = AgentDouble("a0", adapters=[offer("other", "other")])
    desk.hear(other)
    return desk.failure_of(desk.running(other, "j0", feature="other"), "worker_crashed")


@pytest.mark.parametrize(
    ("before", "noted"),
    [
        (_of_nobodys_job, True),
        (_of_one_that_is_being_read, False),
        (_said_before, True),
        (_of_a_former_leaders_award, True),
        (_of_an_older_award, True),
        (_of_anothers_attempt, True),
    ],
)
def test_an_outcome_counts_whatever_is_said_before_it(
    before: Callable[[Desk, AgentDouble], Any], noted: bool, desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    item = desk.awarded(agent, "j1")
    desk.accept(agent, item)
    first = before(desk, agent)
    note = desk.report(agent, first, desk.start_of(item))
    assert desk.state("j1") is S.RUNNING
    assert len(note.noted) == 1 + noted, "what is noted is not said again"
    assert note.noted[-1] == f"{item.token}/attempt_started"


# ---------------------------------------------------------------- adverts


@pytest.mark.parametrize("why", ["its failure is on the way", "it listed no longer fits"])
def test_an_attempt_that_is_not_lost_hides_none_that_is(why: str, desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first, _ = (desk.running(agent, job_id) for job_id in ("j1", "j2"))
    agent.running = []
    if why == "its failure is on the way":
        agent.outcomes = [first.token]
    else:
        agent.unlisted = 1
    desk.hear(agent, full=False)
    lost = [each.job_id for each in desk.take(effects.ReadResult)]
    assert lost == (["j2"] if agent.outcomes else []), "with attempts that were left out of the list none is lost"


def test_what_an_agent_should_not_run_is_stopped_wherever_it_lists_it(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    own = desk.running(agent, "own")
    failed = desk.running(agent, "failed")
    desk.failed(agent, failed, "worker_crashed")
    desk.submit("again", vram_mb=99_000)
    unknown = [agent.runs(item_of(f"unknown{number}", f"6-{number}")) for number in range(2)]
    anothers = [agent.runs(item_of("own", f"5-{number}")) for number in range(2)]
    agent.running = [
        *[agent.runs(own), agent.runs(failed), unknown[0], agent.runs(item_of("again", "6-9")), anothers[0]],
        *[unknown[1], anothers[1]],
    ]
    desk.hear(agent, full=False)
    assert desk.state("again") is S.RUNNING, "it was awarded by a former leader"
    cancels = [each.token for sent in desk.take(effects.SendCancels) for each in sent.cancels]
    assert cancels == ["5-0", "5-1"]
    desk.hear(agent, full=False)
    cancels = [each.token for sent in desk.take(effects.SendCancels) for each in sent.cancels]
    assert cancels == ["6-0", "5-0", "6-1", "5-1"], "a job that is not known may be acked just now: it is seen twice"
    assert desk.state("own") is S.RUNNING
    assert desk.state("failed") is S.QUEUED


# ---------------------------------------------------------------- awards


def three_awards(desk: Desk, agent: AgentDouble) -> list[effects.AwardItem]:
    desk.hear(agent)
    return [desk.awarded(agent, job_id) for job_id in ("j1", "j2", "j3")]


def test_an_answer_counts_for_each_job_whatever_it_is_for_those_before(desk: Desk, agent: AgentDouble) -> None:
    items = three_awards(desk, agent)
    answers = [
        AwardAnswer(job_id="j1", token="6-9", accepted=True),
        AwardAnswer(job_id="j2", token=items[1].token, accepted=False),
        AwardAnswer(job_id="j3", token=items[2].token, accepted=True, started=True),
    ]
    desk.do(
        events.AwardsReturned(
            AwardsAnswered(agent_id="a1", incarnation=agent.incarnation, seq=agent.count(), answers=answers)
        )
    )
    assert [desk.state(job_id) for job_id in ("j1", "j2", "j3")] == [S.AWARDED, S.QUEUED, S.RUNNING]


@pytest.mark.parametrize("sent", [True, False])
def test_awards_without_an_answer_are_told_apart(sent: bool, desk: Desk, agent: AgentDouble) -> None:
    items = three_awards(desk, agent)
    desk.take(effects.AskState)
    desk.failed(agent, items[0], "invalid_output")
    desk.started(agent, items[1])
    desk.do(events.AwardsUnanswered("a1", tuple(item.token for item in items), sent=sent))
    assert [desk.state(job_id) for job_id in ("j1", "j2", "j3")] == [
        S.FINISHING,
        S.RUNNING,
        S.AWARDED if sent else S.QUEUED,
    ]
    assert len(desk.take(effects.AskState)) == 1


def test_refused_awards_that_were_answered_before_stay_where_they_are(desk: Desk, agent: AgentDouble) -> None:
    items = three_awards(desk, agent)
    desk.failed(agent, items[0], "invalid_output")
    desk.started(agent, items[1])
    desk.do(events.AwardsRefused("a1", tuple(item.token for item in items), "stale"))
    assert [desk.state(job_id) for job_id in ("j1", "j2", "j3")] == [S.FINISHING, S.RUNNING, S.QUEUED]


# ---------------------------------------------------------------- ends


def test_events_that_were_stored_end_their_jobs_though_one_before_is_not_there(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, "j1")
    desk.submit("waits", vram_mb=99_000)
    desk.see(desk.result_of(item, agent))
    desk.do(events.EventsStored(("nobodys", "waits", "j1")))
    assert [each.job_id for each in desk.take(effects.AckJob)] == ["j1"]
