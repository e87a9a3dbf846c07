"""A pause of the process, or a connection that was lost: what nobody could hear or say meanwhile counts for nothing."""

from __future__ import annotations

import pytest

from pocket3d.contracts.commands import BidPlaced, CallAnswered
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, offer

S = JobState
BREAKS = pytest.mark.parametrize("how", ["paused", "disconnected"])


def break_for_a_minute(desk: Desk, how: str) -> None:
    """And be sure of the leadership again."""
    desk.effects.clear()
    if how == "paused":
        desk.sleep(60.0)
    else:
        desk.do(events.Disconnected())
        desk.tick(60.0)
        desk.do(events.Connected())
    assert len(desk.take(effects.ProveLeadership)) == 1
    desk.do(events.LeadershipProven())


def pass_time(desk: Desk, seconds: float, *agents: AgentDouble) -> None:
    """Time passes, the agents advertise."""
    for _ in range(round(seconds)):
        desk.tick(1.0)
        for agent in agents:
            desk.hear(agent, full=False)


@BREAKS
def test_an_agent_has_a_whole_lease_to_be_heard_again(how: str, desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.tick(desk.settings.agent_lease_s - 1.0)
    break_for_a_minute(desk, how)
    desk.tick(desk.settings.agent_lease_s - 0.5)
    assert "a1" in desk.engine.core.fleet.agents
    desk.tick(1.0)
    assert "a1" not in desk.engine.core.fleet.agents


@BREAKS
def test_an_adapter_has_the_whole_wait_to_be_mended(how: str, desk: Desk) -> None:
    agent = AgentDouble(adapters=[offer(available=False, reason="no torch")])
    desk.hear(agent)
    desk.submit()
    pass_time(desk, 10, agent)
    break_for_a_minute(desk, how)
    pass_time(desk, 14, agent)
    assert desk.state() is S.QUEUED
    pass_time(desk, 2, agent)
    assert desk.one(effects.StoreResult).result.status == "failed"


@BREAKS
def test_a_feature_that_nobody_serves_has_three_adverts_to_be_heard_of(how: str, desk: Desk) -> None:
    desk.submit(feature="unheard_of")
    desk.tick(2.5)
    break_for_a_minute(desk, how)
    desk.tick(2.5)
    assert desk.state() is S.QUEUED
    desk.tick(1.0)
    assert desk.one(effects.StoreResult).result.status == "rejected"


def test_a_job_that_nobody_knows_has_its_grace_to_come() -> None:
    desk = Desk(source_grace_s=10.0)
    desk.submit("rigged", inputs={"mesh_path": {"result": "nobodys"}})
    desk.do(events.ResultRead("nobodys", None))
    desk.tick(9.0)
    break_for_a_minute(desk, "paused")
    desk.do(events.ResultRead("nobodys", None))
    assert desk.state("rigged") is S.QUEUED
    desk.tick(0.5)
    desk.do(events.ResultRead("nobodys", None))
    assert desk.state("rigged") is S.QUEUED
    desk.tick(1.0)
    desk.do(events.ResultRead("nobodys", None))
    assert desk.one(effects.StoreResult).result.status == "rejected"


# ---------------------------------------------------------------- rounds


def bid(desk: Desk, agent: AgentDouble, call_id: int) -> None:
    """The agent answers a call, which may be an old one."""
    placed = BidPlaced(
        lot=0, adapter_id="echo", device="fixed-0", claim_mb=1000, slots=1, est_queue_s=0.0, est_load_s=1.0
    )
    desk.do(
        events.CallReturned(
            CallAnswered(
                agent_id=agent.agent_id,
                incarnation=agent.incarnation,
                seq=agent.count(),
                call_id=call_id,
                bids=[placed],
                devices=list(agent.devices),
            )
        )
    )


@BREAKS
def test_a_call_from_before_is_made_again_and_its_answers_count_no_more(
    how: str, desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    desk.submit()
    call = desk.one(effects.SendCall)
    break_for_a_minute(desk, how)
    again = desk.one(effects.SendCall)
    assert again.call_id > call.call_id
    bid(desk, agent, call.call_id)
    assert desk.take(effects.SendAwards) == []
    bid(desk, agent, again.call_id)
    assert desk.one(effects.SendAwards).agent_id == "a1"


@BREAKS
def test_a_late_answer_to_a_round_from_before_places_nothing(how: str, desk: Desk) -> None:
    for agent in (agents := [AgentDouble("a1"), AgentDouble("a2")]):
        desk.hear(agent)
    desk.submit()
    (call_id,) = {call.call_id for call in desk.take(effects.SendCall)}
    desk.tick(desk.settings.round_deadline_s)
    break_for_a_minute(desk, how)
    bid(desk, agents[1], call_id)
    assert desk.take(effects.SendAwards) == []


def test_a_late_answer_that_came_while_nothing_might_be_awarded_is_forgotten_with_the_connection(desk: Desk) -> None:
    for agent in (agents := [AgentDouble("a1"), AgentDouble("a2")]):
        desk.hear(agent)
    desk.submit()
    (call_id,) = {call.call_id for call in desk.take(effects.SendCall)}
    desk.tick(desk.settings.round_deadline_s)
    desk.do(events.AwardsRefused("a1", (), "stale"))
    bid(desk, agents[1], call_id)
    break_for_a_minute(desk, "disconnected")
    assert desk.take(effects.SendAwards) == []


# ---------------------------------------------------------------- the takeover


def test_agents_that_were_heard_before_the_lead_are_asked_what_they_run(agent: AgentDouble) -> None:
    desk = Desk(lead=False)
    desk.hear(agent)
    desk.do(events.Led(7, ()))
    assert [each.agent_id for each in desk.take(effects.AskState)] == ["a1"]
    desk.do(events.ResultsDrained())
    desk.do(events.JobsIndexed())
    desk.submit()
    assert desk.take(effects.SendCall) == []
    desk.hear(agent, full=False, answer=True)
    assert [call.agent_id for call in desk.take(effects.SendCall)] == ["a1"]


def test_who_slept_does_not_lead_until_it_is_proven(desk: Desk) -> None:
    desk.tick(1.0)
    assert desk.engine.leads(desk.now)
    desk.mono += 60.0
    assert not desk.engine.leads(desk.now), "its tick is still to come"
    desk.sleep(0.0)
    assert not desk.engine.leads(desk.now)
    desk.do(events.LeadershipProven())
    assert desk.engine.leads(desk.now)
