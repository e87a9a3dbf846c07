"""Offers that stand: which jobs are awarded without a call for bids, and what ends such an offer."""

from __future__ import annotations

import pytest

from pocket3d.contracts.commands import AwardAnswer, AwardsAnswered
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk


@pytest.fixture
def warm(desk: Desk, agent: AgentDouble) -> AgentDouble:
    """An agent that has run `j1` on an offer that stands."""
    desk.hear(agent)
    desk.submit("j1")
    item = desk.win(agent, "j1", warm=True, claim_mb=0, stands=True)
    run(desk, agent, item)
    return agent


def run(desk: Desk, agent: AgentDouble, item: effects.AwardItem) -> None:
    desk.accept(agent, item, lists=False)
    desk.see(desk.result_of(item, agent))
    desk.close(item.job_id)
    desk.take(effects.SendAwards)


def asked_and_awarded(desk: Desk) -> tuple[int, list[str]]:
    """Calls for bids and jobs awarded since the last look."""
    awards = [item.job_id for each in desk.take(effects.SendAwards) for item in each.awards]
    return len(desk.take(effects.SendCall)), awards


def test_a_job_is_awarded_without_a_call_once_its_id_is_known_to_be_new(desk: Desk, warm: AgentDouble) -> None:
    desk.read("j2")
    assert asked_and_awarded(desk) == (0, []), "it is not known yet whether the id is new"
    desk.do(events.QueuedStored("j2"))
    assert asked_and_awarded(desk) == (0, ["j2"])


def test_one_after_the_other_and_those_behind_a_running_one_by_a_round(desk: Desk, warm: AgentDouble) -> None:
    desk.submit("j2")
    desk.submit("j3")
    assert asked_and_awarded(desk) == (1, ["j2"]), "the agent is no longer as it was when it made its offer"


def test_several_that_wait_go_through_a_round(desk: Desk, warm: AgentDouble) -> None:
    desk.do(events.Disconnected())
    desk.submit("j2")
    desk.submit("j3")
    desk.take(effects.SendCall)
    desk.do(events.Connected())
    desk.do(events.LeadershipProven())
    calls, awarded = asked_and_awarded(desk)
    assert (calls, awarded) == (1, [])


def test_a_job_of_another_kind_is_called_for(desk: Desk, warm: AgentDouble) -> None:
    desk.submit("j2", vram_mb=10)
    assert asked_and_awarded(desk) == (1, [])


def test_another_agent_that_could_take_it_ends_the_offer(desk: Desk, warm: AgentDouble) -> None:
    desk.hear(AgentDouble("rival"))
    desk.submit("j2")
    assert asked_and_awarded(desk) == (2, [])


def test_no_offer_stands_while_another_agent_serves_the_same_even_if_it_was_not_heard(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    desk.hear(AgentDouble("mute"))
    desk.submit("j1")
    desk.answer_calls(agent, warm=True, claim_mb=0, stands=True)
    desk.until(effects.SendAwards, agent)
    (item,) = desk.one(effects.SendAwards).awards
    run(desk, agent, item)
    desk.submit("j2")
    assert asked_and_awarded(desk) == (2, [])


def test_a_declined_award_ends_the_offer(desk: Desk, warm: AgentDouble) -> None:
    desk.submit("j2")
    (award,) = desk.one(effects.SendAwards).awards
    desk.decline(warm, award)
    assert asked_and_awarded(desk) == (0, []) and desk.state("j2") is JobState.QUEUED
    desk.hear(AgentDouble("rival"))
    assert asked_and_awarded(desk) == (1, []), "the newcomer is asked; nothing goes out on the old offer"


def test_a_failure_ends_the_offer(desk: Desk, warm: AgentDouble) -> None:
    desk.submit("j2")
    (award,) = desk.one(effects.SendAwards).awards
    desk.accept(warm, award, lists=False)
    desk.failed(warm, award, "worker_crashed")
    desk.until(effects.SendCall, warm)
    assert asked_and_awarded(desk)[1] == [], "it is asked again, not awarded on the old offer"


def test_an_offer_that_does_not_say_so_does_not_stand(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j1")
    run(desk, agent, desk.win(agent, "j1", warm=True, claim_mb=0))
    desk.submit("j2")
    assert asked_and_awarded(desk) == (1, [])


def test_the_start_can_come_with_the_awards_answer(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.published()
    answer = AwardAnswer(job_id=item.job_id, token=item.token, accepted=True, started=True)
    desk.do(
        events.AwardsReturned(
            AwardsAnswered(agent_id=agent.agent_id, incarnation=agent.incarnation, seq=agent.count(), answers=[answer])
        )
    )
    assert desk.state() is JobState.RUNNING and desk.published() == ["started"]
    desk.started(agent, item)
    assert desk.published() == [], "said again, it is no news"
