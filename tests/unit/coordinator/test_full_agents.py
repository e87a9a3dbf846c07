"""Agents that say why they take no jobs, and adverts that cannot list all that their agents hold."""

from __future__ import annotations

from pocket3d.contracts.commands import Reason
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from support.coordinator_desk import AgentDouble, Desk, last_status

S = JobState
FULL = "17 finished runs wait to be stored"


def test_a_run_that_an_advert_has_no_room_for_is_not_lost_before_all_are_listed_again(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    listed, agent.running, agent.unlisted = agent.running, [], 40
    for _ in range(60):
        desk.tick(1.0)
        desk.hear(agent, full=False)
    desk.hear(agent, answer=True)
    assert desk.take(effects.ReadResult) == []
    assert desk.state() is S.RUNNING
    agent.running, agent.unlisted = listed, 10
    desk.hear(agent, full=False)
    agent.running, agent.unlisted = [], 0
    desk.hear(agent, full=False)
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.do(events.ResultRead("j1", desk.result_of(item, agent)))
    desk.close()


def test_another_life_has_nothing_of_the_former_whatever_its_advert_leaves_out(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    restarted = AgentDouble(born_ms=2000)
    restarted.unlisted = 3
    desk.hear(restarted)
    assert desk.one(effects.ReadResult).job_id == "j1"


def test_a_new_leader_waits_for_an_agent_that_cannot_list_all_that_it_holds() -> None:
    desk = Desk()
    agent = AgentDouble("a1")
    agent.unlisted = 5
    desk.hear(agent, answer=True)
    seq = desk.read("j1")
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="running", attempt=1, agent_id="a1"), seq))
    for _ in range(60):
        desk.tick(1.0)
        desk.hear(agent, full=False)
    assert desk.take(effects.ReadResult) == []
    agent.unlisted = 0
    desk.hear(agent, full=False)
    assert desk.one(effects.ReadResult).job_id == "j1"


def test_an_agent_that_is_full_is_called_again_as_soon_as_it_says_that_it_is_not(
    desk: Desk, agent: AgentDouble
) -> None:
    agent.reason = FULL
    desk.hear(agent)
    desk.submit()
    refusal = Reason(agent_id="a1", code="no_slot", message=FULL)
    desk.answer_calls(agent, declines={"a1": refusal})
    for _ in range(10):
        desk.tick(1.0)
        desk.hear(agent, full=False)
    assert desk.take(effects.SendCall) == []
    explanation = explain(desk.engine.core, desk.record(), desk.now)
    assert [(each.code, each.message) for each in explanation.reasons] == [("no_slot", FULL)]
    agent.reason = None
    desk.hear(agent, full=False)
    desk.one(effects.SendCall)


def test_why_an_agent_drains_is_explained(desk: Desk, agent: AgentDouble) -> None:
    agent.draining, agent.reason = True, "the agent cannot store results: no responders"
    desk.hear(agent)
    desk.submit()
    desk.tick(1.0)
    assert desk.take(effects.SendCall) == []
    explanation = explain(desk.engine.core, desk.record(), desk.now)
    assert [(each.code, each.message) for each in explanation.reasons] == [("draining", agent.reason)]


def test_an_award_carries_the_priority_of_its_job(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j1", priority="high")
    desk.answer_calls(agent)
    (item,) = desk.one(effects.SendAwards).awards
    assert item.award(Job(inputs={})).priority == "high"
