"""Agents that answer late or never: the late ones get work, and the silent ones keep nobody waiting."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.commands import Reason
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Resident
from pocket3d.coordinator.auction.answer_times import AnswerTimes
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from support.coordinator_desk import AgentDouble, Desk, device

S = JobState


def answer(desk: Desk, calls: list[effects.SendCall], *agents: AgentDouble, **bid: Any) -> None:
    """Let these agents answer their part of the calls."""
    desk.effects += [call for call in calls if call.agent_id in [agent.agent_id for agent in agents]]
    desk.answer_calls(*agents, **bid)


@pytest.mark.parametrize("one_way_s", [0.02, 0.15, 0.4])
def test_a_lone_agent_far_away_gets_the_job_when_its_bid_comes(
    one_way_s: float, desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    for number in range(3):
        desk.submit(f"j{number}")
        calls = desk.take(effects.SendCall)
        desk.tick(2 * one_way_s)
        answer(desk, calls, agent)
        (award,) = desk.take(effects.SendAwards)
        assert [item.job_id for item in award.awards] == [f"j{number}"]
        desk.see(desk.result_of(award.awards[0], agent), seq=100 + number)


@pytest.fixture
def near_and_far(desk: Desk) -> tuple[AgentDouble, AgentDouble]:
    """Two agents that have answered before, one of them after 0.8 s."""
    near, far = AgentDouble("near"), AgentDouble("far")
    desk.hear(near)
    desk.hear(far)
    desk.submit("j1")
    calls = desk.take(effects.SendCall)
    answer(desk, calls, near)
    assert desk.state("j1") is S.QUEUED, "it is not known yet that the other is far"
    desk.tick(0.8)
    assert desk.state("j1") is S.AWARDED
    answer(desk, calls, far)
    return near, far


def test_near_agents_do_not_wait_for_a_far_one_and_its_late_bid_is_used(
    desk: Desk, near_and_far: tuple[AgentDouble, AgentDouble]
) -> None:
    near, far = near_and_far
    desk.do(events.Disconnected())
    desk.submit("j2")
    desk.submit("j3")
    desk.do(events.Connected())
    desk.do(events.LeadershipProven())
    calls = desk.take(effects.SendCall)
    assert {call.agent_id for call in calls} == {"near", "far"}
    answer(desk, calls, near)
    assert desk.state("j2") is S.AWARDED, "the round closed with the answer of the near one"
    desk.tick(0.75)
    answer(desk, calls, far)
    assert desk.state("j3") is S.AWARDED, "the late bid was used"


def test_a_far_agent_that_is_warm_is_waited_for(desk: Desk, near_and_far: tuple[AgentDouble, AgentDouble]) -> None:
    near, far = near_and_far
    far.residents = [Resident(adapter_id="echo", device="fixed-0", pid=1, vram_mb=1000, idle_s=3.0)]
    desk.hear(far)
    desk.submit("j2")
    calls = desk.take(effects.SendCall)
    answer(desk, calls, near, est_load_s=60.0)
    desk.tick(0.75)
    assert desk.state("j2") is S.QUEUED
    answer(desk, calls, far, warm=True, est_load_s=0.0)
    (award,) = [sent for sent in desk.take(effects.SendAwards) if sent.awards[0].job_id == "j2"]
    assert award.agent_id == "far"


def test_explain_says_how_long_the_silent_one_was_waited_for(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    desk.tick(0.5)
    told = explain(desk.engine.core, desk.record(), desk.now)
    assert [(r.code, r.message) for r in told.reasons] == [
        ("silent", "no answer to the last call for bids within 0.25 s; it has never answered")
    ]


def test_explain_says_whether_it_waits_for_room_or_for_its_turn(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    assert explain(desk.engine.core, desk.record(), desk.now).summary == "waits for its turn; no job like it is ahead"
    desk.tick(0.5)
    told = explain(desk.engine.core, desk.record(), desk.now)
    assert (told.summary, len(told.reasons)) == ("waits for room; no job like it is ahead", 1)


def test_explain_names_the_pause_after_failures_and_not_what_was_said_before_it(agent: AgentDouble) -> None:
    desk = Desk(bench_after=1, bench_s=30.0, unavailable_wait_s=1e9)
    desk.hear(agent)
    running = desk.running(agent, retry={"max_attempts": 1})
    desk.submit("next")
    desk.answer_calls(agent, declines={"a1": Reason(agent_id="a1", code="no_slot")})
    told = explain(desk.engine.core, desk.record("next"), desk.now)
    assert (told.summary, [each.code for each in told.reasons]) == (
        "waits for room; no job like it is ahead",
        ["no_slot"],
    )
    desk.failed(agent, running, "worker_crashed")
    told = explain(desk.engine.core, desk.record("next"), desk.now)
    assert told.summary == "what could take it is paused after failures in a row"
    assert [(each.code, each.message) for each in told.reasons] == [
        ("benched", "paused on this device for 30 s more after failures in a row")
    ]


def test_explain_counts_the_jobs_that_are_ahead(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    for job_id in ("j1", "j2", "j3"):
        desk.submit(job_id)
    told = [explain(desk.engine.core, desk.record(job_id), desk.now).summary for job_id in ("j1", "j2", "j3")]
    assert told == [
        "waits for its turn; no job like it is ahead",
        "waits for its turn; 1 job like it is ahead",
        "waits for its turn; 2 jobs like it are ahead",
    ]


def test_three_good_agents_among_five_hundred_silent_ones_start_cold_jobs_at_once() -> None:
    desk = Desk()
    good = [AgentDouble(f"good-{n}") for n in range(3)]
    silent = [AgentDouble(f"silent-{n}", devices=[device(total_mb=80_000)]) for n in range(500)]
    for each in (*silent, *good):
        desk.hear(each)
    for each in silent:
        desk.do(events.AgentSilent(each.agent_id, no_responders=True))
    for each in good:
        desk.hear(each, full=False, answer=True)
    desk.effects.clear()
    for number in range(3):
        desk.submit(f"j{number}")
        assert {call.agent_id for call in desk.effects if isinstance(call, effects.SendCall)} >= {"good-0"}
        desk.answer_calls(*good)
        assert desk.state(f"j{number}") is S.AWARDED
    called = {call.agent_id for call in desk.effects if isinstance(call, effects.SendCall)}
    assert len(called) <= 8


def test_the_pause_before_a_second_question_is_for_one_agent_and_holds_up_none_behind_it(desk: Desk) -> None:
    for agent_id in ("a1", "a2"):
        desk.hear(AgentDouble(agent_id))
    desk.until(effects.AskState)
    assert [each.agent_id for each in desk.take(effects.AskState)] == ["a1", "a2"]
    desk.do(events.AgentSilent("a1", no_responders=True))
    desk.do(events.AgentSilent("a2", no_responders=False))
    asked = []
    for _ in range(2):
        desk.tick()
        asked.append([each.agent_id for each in desk.take(effects.AskState)])
    assert asked == [["a2"], ["a1"]]


def test_a_silent_agent_is_asked_less_and_less_and_at_once_again_when_it_answers() -> None:
    times = AnswerTimes()
    asked, now = [], 0.0
    while now < 120.0:
        if times.ask_at(now) <= now:
            times.asked(now)
            asked.append(now)
        now += 0.25
    assert sum(at >= 60.0 for at in asked) == 2
    times.answered(asked[-1], now)
    assert times.ask_at(now) == now
    assert times.typical_s == now - asked[-1]
