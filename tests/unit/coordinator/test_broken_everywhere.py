"""Jobs whose adapters are broken wherever they are listed end with the reason, but not before others could come."""

from __future__ import annotations

from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, offer

BROKEN = offer(available=False, reason="No module named 'flash_attn'")


def pass_time(desk: Desk, seconds: float, *agents: AgentDouble) -> None:
    """Time passes, the agents advertise."""
    while seconds > 0:
        for agent in agents:
            desk.hear(agent, full=False)
        desk.tick(min(seconds, 1.0))
        seconds -= 1.0


def test_it_fails_with_the_reason_after_the_wait(desk: Desk) -> None:
    agents = AgentDouble("a", adapters=[BROKEN]), AgentDouble("b", adapters=[offer("other", "text_to_mesh")])
    for agent in agents:
        desk.hear(agent)
    desk.submit()
    pass_time(desk, 14, *agents)
    assert desk.state() is JobState.QUEUED
    pass_time(desk, 2, *agents)
    result = desk.one(effects.StoreResult).result
    assert result.status == "failed" and result.error is not None
    assert result.error.code == "adapter_unavailable"
    assert "flash_attn" in result.error.message and "a" in result.error.message
    desk.submit("j2")
    desk.tick(0.5)
    assert desk.one(effects.StoreResult).result.job_id == "j2", "nothing has changed: the next need not wait"


def test_an_adapter_that_is_named_fails_though_its_feature_is_not_known(desk: Desk) -> None:
    agent = AgentDouble("a", adapters=[offer("wonder", "", available=False, reason="no such module")])
    desk.hear(agent)
    desk.submit(model_preference="wonder")
    pass_time(desk, 16, agent)
    assert desk.one(effects.StoreResult).result.job_id == "j1"


def test_a_sound_one_that_drains_or_has_no_room_is_waited_for(desk: Desk) -> None:
    leaving, small = AgentDouble("leaving"), AgentDouble("small", adapters=[offer(vram_mb=99_000)])
    leaving.draining = True
    for sound in (leaving, small):
        agents = AgentDouble("a", adapters=[BROKEN]), sound
        other = Desk()
        for agent in agents:
            other.hear(agent)
        other.submit()
        pass_time(other, 40, *agents)
        assert other.state() is JobState.QUEUED


def test_a_sound_one_that_was_lost_has_the_whole_wait_to_come_back(desk: Desk) -> None:
    broken, sound = AgentDouble("a", adapters=[BROKEN]), AgentDouble("b")
    desk.hear(broken)
    desk.submit("j1")
    pass_time(desk, 16, broken)
    assert desk.one(effects.StoreResult).result.job_id == "j1"
    desk.hear(sound)
    desk.engine.core.fleet.lose("b")
    desk.submit("j2")
    pass_time(desk, 14, broken)
    assert desk.state("j2") is JobState.QUEUED
    desk.hear(sound)
    pass_time(desk, 5, broken, sound)
    assert not desk.take(effects.StoreResult)


def test_a_pause_of_the_coordinator_is_not_held_against_the_agents(desk: Desk) -> None:
    broken = AgentDouble("a", adapters=[BROKEN])
    desk.hear(broken)
    desk.submit()
    pass_time(desk, 2, broken)
    desk.sleep(60)
    desk.take(effects.ProveLeadership)
    desk.engine.core.proven = True
    pass_time(desk, 14, broken)
    assert desk.state() is JobState.QUEUED
    pass_time(desk, 2, broken)
    assert desk.one(effects.StoreResult).result.status == "failed"


def test_a_job_ends_by_its_own_attempts_and_never_by_a_bench(agent: AgentDouble) -> None:
    desk = Desk(bench_after=3, bench_s=30.0, unavailable_wait_s=15.0)
    desk.hear(agent)
    for number in range(3):
        desk.submit(f"f{number}", retry={"max_attempts": 1})
        desk.failed(agent, desk.win(agent, f"f{number}"), "load_failed")
        desk.hear(agent)
    desk.submit("patient", retry={"max_attempts": 1})
    desk.submit("late", retry={"max_attempts": 1})
    desk.take(effects.StoreResult)
    pass_time(desk, 25, agent)
    assert desk.state("patient") is JobState.QUEUED, "the first pause is not over"
    desk.until(effects.SendCall, agent)
    desk.failed(agent, desk.win(agent, "patient"), "load_failed")
    (ended,) = desk.take(effects.StoreResult)
    assert (ended.result.job_id, ended.result.error and ended.result.error.code) == ("patient", "load_failed")
    desk.hear(agent)
    pass_time(desk, 55, agent)
    assert desk.state("late") is JobState.QUEUED, "the second pause is twice as long, and it is waited for"
    desk.until(effects.SendCall, agent)
    assert desk.win(agent, "late").attempt == 1


def test_one_that_worked_in_between_has_the_whole_wait_again_though_no_job_waited_then(desk: Desk) -> None:
    agent = AgentDouble("a", adapters=[BROKEN])
    desk.hear(agent)
    desk.submit()
    pass_time(desk, 14, agent)
    desk.do(events.CancelAsked("j1", None))
    assert desk.one(effects.StoreResult).result.status == "cancelled"
    agent.adapters = [offer()]
    desk.hear(agent)
    agent.adapters = [BROKEN]
    desk.hear(agent)
    desk.submit("j2")
    pass_time(desk, 14, agent)
    assert desk.state("j2") is JobState.QUEUED
    pass_time(desk, 2, agent)
    assert desk.one(effects.StoreResult).result.job_id == "j2"
