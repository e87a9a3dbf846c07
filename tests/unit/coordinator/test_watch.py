"""Silence, late ticks, lost agents, incarnations, strays, limits and cancels."""

from __future__ import annotations

import pytest

from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Result, RunningJob
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from support.coordinator_desk import AgentDouble, Desk, device, offer

S = JobState


def silent(desk: Desk, agent_id: str = "a1") -> None:
    desk.do(events.AgentSilent(agent_id, no_responders=True))


# ---------------------------------------------------------------- silence


def test_an_agent_two_adverts_late_is_asked_and_no_responders_twice_is_the_end(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    heard_at = desk.mono
    desk.running(agent)
    desk.until(effects.AskState)
    assert 2 * desk.settings.advert_s < desk.mono - heard_at <= 2 * desk.settings.advert_s + 0.25
    desk.take(effects.AskState)
    silent(desk)
    desk.until(effects.AskState, limit_s=1.0)
    silent(desk)
    assert desk.one(effects.ForgetAgent).agent_id == "a1"
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.do(events.ResultRead("j1", None))
    assert desk.state() is S.QUEUED
    assert desk.published() == ["started", "requeued"]
    assert desk.mono - heard_at < desk.settings.no_responders_within_s


def test_two_no_responders_far_apart_mean_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    silent(desk)
    desk.tick(desk.settings.no_responders_within_s + 0.25)
    silent(desk)
    assert "a1" in desk.engine.core.fleet.agents


def test_an_advert_in_between_clears_the_strike(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    silent(desk)
    desk.hear(agent)
    silent(desk)
    assert "a1" in desk.engine.core.fleet.agents


def test_silence_to_questions_counts_only_at_the_leases_end(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    heard_at = desk.mono
    while "a1" in desk.engine.core.fleet.agents:
        desk.tick()
        if desk.take(effects.AskState):
            desk.do(events.AgentSilent("a1", no_responders=False))
        assert desk.mono - heard_at < 16
    assert desk.mono - heard_at == pytest.approx(desk.settings.agent_lease_s, abs=0.25)


def test_a_late_tick_expires_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    desk.submit("j2", vram_mb=10**6, limits={"schedule_to_start_s": 20})
    desk.tick()
    desk.effects.clear()
    made = desk.sleep(60.0)
    assert [type(e) for e in made] == [effects.ProveLeadership]
    assert (desk.state("j1"), desk.state("j2")) == (S.RUNNING, S.QUEUED)
    desk.tick(1.0)
    assert desk.take(effects.StoreResult) == []
    assert desk.take(effects.AskState) == []
    desk.do(events.LeadershipProven())
    desk.until(effects.StoreResult, agent)
    # 60 s of sleep and about a second around it are not held against the job.
    assert desk.mono - desk.record("j2").queued_at == pytest.approx(80.0, abs=0.5)


@pytest.mark.parametrize(("tick_s", "late_s", "slept"), [(0.25, 0.5, False), (0.25, 0.51, True), (4.0, 8.0, False)])
def test_a_tick_is_late_after_more_than_twice_its_period(tick_s: float, late_s: float, slept: bool) -> None:
    """Up to that the machine is only busy, and limits hold; beyond it the process was paused, and none has passed."""
    desk = Desk(tick_s=tick_s)
    desk.submit(limits={"schedule_to_start_s": late_s})
    desk.do(events.Tick())
    desk.sleep(late_s)
    assert bool(desk.take(effects.ProveLeadership)) is slept
    ended = [store.result.status for store in desk.take(effects.StoreResult)]
    assert ended == ([] if slept else ["expired"])


def test_what_comes_before_the_late_tick_decides_nothing_either(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    failing = desk.running(agent)
    desk.submit("j2")
    desk.answer_calls(agent, slots=0, est_queue_s=60.0)
    agent.devices = [device(total_mb=9000)]
    desk.hear(agent)
    assert desk.engine.deadline is not None
    desk.effects.clear()
    desk.mono += 60.0
    desk.answer_calls(agent)
    desk.do(events.RoundDue())
    desk.failed(agent, failing, "invalid_output")
    desk.do(events.CancelAsked("j2", None))
    assert [type(e) for e in desk.effects] == [effects.ProveLeadership]
    desk.do(events.LeadershipProven())
    assert {e.result.status for e in desk.take(effects.StoreResult)} == {"failed", "cancelled"}


def test_the_leadership_is_proven_before_an_agent_is_given_up_or_a_job_ended(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j2", vram_mb=10**6, limits={"schedule_to_start_s": 2})
    desk.sleep(30.0)
    desk.do(events.CancelAsked("j2", None))
    desk.tick(20.0)
    silent(desk)
    silent(desk)
    assert desk.take(effects.StoreResult) == []
    assert "a1" in desk.engine.core.fleet.agents
    desk.do(events.LeadershipProven())
    assert desk.one(effects.StoreResult).result.status == "cancelled"
    desk.tick()
    assert "a1" not in desk.engine.core.fleet.agents


def test_a_proof_from_before_the_connection_broke_decides_nothing(desk: Desk) -> None:
    desk.submit()
    desk.sleep(30.0)
    desk.do(events.CancelAsked("j1", None))
    desk.do(events.Disconnected())
    desk.do(events.LeadershipProven())
    assert desk.take(effects.StoreResult) == []
    desk.do(events.Connected())
    assert desk.take(effects.StoreResult) == []
    desk.do(events.LeadershipProven())
    assert len(desk.take(effects.StoreResult)) == 1


def test_after_a_reconnect_nobody_is_late(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.do(events.Disconnected())
    for _ in range(200):
        desk.tick()
    assert "a1" in desk.engine.core.fleet.agents
    desk.do(events.Connected())
    desk.do(events.LeadershipProven())
    desk.tick(10.0)
    assert "a1" in desk.engine.core.fleet.agents


# ---------------------------------------------------------------- adverts against awards


def test_an_advert_that_overtakes_the_result_ends_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    agent.running = []
    desk.hear(agent, full=False)
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.hear(agent, full=False)
    assert desk.take(effects.ReadResult) == [], "one reading at a time"
    desk.do(events.ResultRead("j1", desk.result_of(item, agent)))
    assert desk.state() is S.FINISHED
    desk.close()


def test_an_advert_older_than_the_acceptance_says_nothing_of_it(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    older = agent.advert(full=False)
    desk.accept(agent, item)
    desk.do(events.AdvertReceived(older))
    assert desk.take(effects.ReadResult) == []
    agent.running = []
    desk.hear(agent, full=False)
    assert len(desk.take(effects.ReadResult)) == 1


def test_adverts_out_of_order_are_dropped(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    older = agent.advert(full=False)
    item = desk.running(agent)
    desk.hear(agent, full=False)
    desk.do(events.AdvertReceived(older))
    assert desk.state() is S.RUNNING
    assert desk.take(effects.ReadResult) == []
    assert item.token in desk.engine.core.fleet.agents["a1"].listed


def test_another_life_of_the_agent_ends_what_the_former_ran(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    restarted = AgentDouble(born_ms=2000)
    desk.hear(restarted)
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.do(events.ResultRead("j1", None))
    retry = desk.record().retry
    assert retry is not None
    assert retry.attempts[0].code == "agent_lost"


def test_an_older_incarnation_is_not_listened_to(desk: Desk) -> None:
    younger, older = AgentDouble(born_ms=2000), AgentDouble(born_ms=1000)
    desk.hear(younger)
    item = desk.running(younger)
    for _ in range(10):
        desk.hear(older)
    assert desk.engine.core.fleet.agents["a1"].advert.incarnation == younger.incarnation
    assert desk.state() is S.RUNNING
    assert desk.take(effects.ReadResult) == []
    assert item.attempt == 1


def test_a_restarted_agent_without_its_adapters_is_asked(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent, full=False)
    assert desk.one(effects.AskState).agent_id == "a1"


def stray(token: str = "6-9", job_id: str = "ghost", *, on_device: bool = True) -> RunningJob:
    return RunningJob(job_id=job_id, attempt=1, token=token, adapter_id="echo", device="fixed-0", on_device=on_device)


def test_what_nobody_awarded_is_cancelled_at_the_second_look(desk: Desk, agent: AgentDouble) -> None:
    agent.running = [stray()]
    desk.hear(agent)
    assert desk.take(effects.SendCancels) == []
    desk.hear(agent)
    (sent,) = desk.take(effects.SendCancels)
    assert [(c.job_id, c.token) for c in sent.cancels] == [("ghost", "6-9")]


def test_a_run_whose_failure_was_noted_hides_no_stray_behind_it(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    listed = agent.runs(item)
    desk.failed(agent, item, "adapter_error")
    # Listed until the answer to its failure arrives.
    agent.running = [listed, stray()]
    desk.hear(agent)
    desk.take(effects.SendCancels)
    desk.hear(agent)
    (sent,) = desk.take(effects.SendCancels)
    assert [(c.job_id, c.token) for c in sent.cancels] == [("ghost", "6-9")]


def test_before_all_jobs_are_read_nothing_is_a_stray(agent: AgentDouble) -> None:
    desk = Desk(lead=False)
    desk.do(events.Led(7, ()))
    agent.running = [stray()]
    for _ in range(5):
        desk.hear(agent)
    assert desk.take(effects.SendCancels) == []


def test_a_run_of_a_job_that_was_given_to_another_is_cancelled(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    late = AgentDouble("a2")
    late.running = [stray("6-9", "j1")]
    desk.hear(late)
    (sent,) = desk.take(effects.SendCancels)
    assert (sent.agent_id, sent.cancels[0].token) == ("a2", "6-9")


def test_a_run_that_has_ended_and_only_stores_its_result_is_left_alone(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    late = AgentDouble("a2")
    late.running = [stray("6-9", "j1", on_device=False)]
    desk.hear(late)
    assert desk.take(effects.SendCancels) == []


def test_an_agent_that_was_given_up_and_comes_back_keeps_its_run(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    silent(desk)
    silent(desk)
    desk.hear(agent)
    desk.do(events.ResultRead("j1", None))
    desk.hear(agent)
    assert desk.state() is S.RUNNING
    attempt = desk.record().attempt
    assert attempt is not None
    assert attempt.token == item.token


def test_agents_are_recorded_when_they_change_and_forgotten_when_lost(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    assert desk.one(effects.RecordAgent).record.adapters == ["echo"]
    desk.hear(agent)
    assert desk.take(effects.RecordAgent) == []
    agent.draining = True
    desk.hear(agent, full=False)
    assert desk.one(effects.RecordAgent).record.draining


# ---------------------------------------------------------------- limits


def test_a_job_past_its_schedule_to_start_limit_says_what_was_missing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit(vram_mb=9000, limits={"schedule_to_start_s": 5})
    since = desk.mono
    desk.until(effects.StoreResult, agent)
    assert desk.mono - since == pytest.approx(5.0, abs=0.25)
    result = desk.one(effects.StoreResult).result
    assert result.status == "expired"
    assert result.error is not None
    assert (result.error.code, result.error.message) == (
        "no_capacity",
        "not started within 5 s of queueing: a1: vram_total, 1000 MB short",
    )


def test_the_limit_counts_from_each_queueing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, limits={"schedule_to_start_s": 5}, age_s=100.0)
    for _ in range(10):
        desk.tick(1.0)
        desk.hear(agent, full=False)
    desk.failed(agent, item, "agent_lost")
    assert desk.engine.core.deadlines.of("j1") == desk.mono + 5


# ---------------------------------------------------------------- cancel


def test_a_waiting_job_is_cancelled_at_once(desk: Desk) -> None:
    desk.submit()
    desk.do(events.CancelAsked("j1", "no longer wanted"))
    result = desk.one(effects.StoreResult).result
    assert (result.status, result.error and result.error.message) == ("cancelled", "no longer wanted")
    desk.see(result)
    assert desk.take(effects.PublishDead) == []
    desk.close()


def test_a_running_job_is_stopped_by_its_agent(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.do(events.CancelAsked("j1", None))
    (sent,) = desk.take(effects.SendCancels)
    assert sent.cancels[0].token == item.token
    assert desk.state() is S.RUNNING
    desk.failed(agent, item, "cancelled")
    result = desk.one(effects.StoreResult).result
    assert result.status == "cancelled"
    assert result.error is not None
    assert result.error.attempts == []


def test_a_success_that_was_quicker_than_the_cancel_stands(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.do(events.CancelAsked("j1", None))
    desk.failed(agent, item, "cancelled")
    desk.one(effects.StoreResult)
    desk.do(events.ResultRead("j1", desk.result_of(item, agent)))
    assert desk.published() == ["started", "succeeded"]


def test_an_agent_that_does_not_react_does_not_keep_a_cancelled_job(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    desk.do(events.CancelAsked("j1", None))
    asked_at = desk.mono
    desk.until(effects.StoreResult, agent)
    assert desk.mono - asked_at == pytest.approx(desk.settings.cancel_wait_s, abs=0.25)


@pytest.mark.parametrize("proven", [True, False])
@pytest.mark.parametrize("fate", ["declined", "failed", "handed_back", "lost"])
def test_a_cancelled_job_is_not_tried_again_whatever_becomes_of_its_attempt(
    fate: str, proven: bool, desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.CancelAsked("j1", None))
    if fate == "lost":
        silent(desk)
        silent(desk)
    if not proven:
        # Seed 11611: the ending waits for the lease, and the job is somewhere meanwhile.
        desk.do(events.Connected(None))
    if fate == "declined":
        desk.decline(agent, item)
    elif fate == "lost":
        desk.do(events.ResultRead("j1", None))
    else:
        desk.failed(agent, item, "worker_crashed" if fate == "failed" else fate)
    if not proven:
        assert desk.take(effects.StoreResult) == []
        desk.do(events.LeadershipProven())
    assert desk.one(effects.StoreResult).result.status == "cancelled"
    assert desk.take(effects.SendCall) == []


def test_cancel_of_what_ends_or_is_unknown_does_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.do(events.CancelAsked("nobody", None))
    assert desk.one(effects.ReadLastEvent).job_id == "nobody"
    assert desk.do(events.LastEventRead("nobody", None, None)) == []
    desk.hear(agent)
    item = desk.running(agent)
    desk.see(desk.result_of(item, agent))
    assert desk.do(events.CancelAsked("j1", None)) == []


def test_a_proposal_that_met_a_rival_that_did_not_make_it_is_proposed_again(desk: Desk) -> None:
    desk.submit()
    desk.do(events.CancelAsked("j1", None))
    first = desk.one(effects.StoreResult).result
    desk.do(events.ResultRead("j1", None))
    assert desk.one(effects.StoreResult).result == first


def test_a_late_result_of_an_earlier_attempt_wins_and_stops_the_later(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first = desk.running(agent)
    desk.failed(agent, first, "agent_lost")
    desk.hear(agent)
    second = desk.win(agent)
    assert second.token != first.token
    desk.see(desk.result_of(first, agent))
    (sent,) = desk.take(effects.SendCancels)
    assert sent.cancels[0].token == second.token
    assert desk.state() is S.FINISHED


def test_a_failed_job_leaves_a_dead_letter_before_its_last_event(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.failed(agent, desk.running(agent), "invalid_output")
    result: Result = desk.one(effects.StoreResult).result
    desk.see(result, seq=5)
    assert desk.published() == ["started"]
    assert desk.one(effects.PublishDead).error == result.error
    desk.do(events.DeadStored("j1"))
    assert desk.published() == ["failed"]
    desk.do(events.EventsStored(("j1",)))
    assert desk.one(effects.AckJob).answer
    assert desk.take(effects.AckResult) == []
    desk.do(events.JobAcked("j1"))
    assert desk.one(effects.AckResult).seq == 5


# ---------------------------------------------------------------- the index


def test_reading_stops_at_the_cap_and_goes_on_below_it() -> None:
    desk = Desk(index_cap=10)
    for number in range(10):
        desk.submit(f"j{number}")
    assert desk.one(effects.ReadJobs).more is False
    for number in range(2):
        desk.do(events.CancelAsked(f"j{number}", None))
        desk.see(desk.one(effects.StoreResult).result, seq=number + 1)
        desk.close(f"j{number}")
    assert desk.one(effects.ReadJobs).more is True


# ---------------------------------------------------------------- explain


def test_explain_names_the_agent_the_dimension_and_by_how_much(desk: Desk) -> None:
    desk.hear(AgentDouble("small", devices=[device(total_mb=4000)]))
    desk.hear(AgentDouble("other", adapters=[offer("m", "text_to_mesh")]))
    record = desk.submit(vram_mb=9000)
    explained = explain(desk.engine.core, record, desk.now)
    assert explained.status == "queued"
    assert "no agent of the present fleet" in explained.summary
    by_agent = {r.agent_id: r for r in explained.reasons}
    assert (by_agent["small"].code, by_agent["small"].short_mb, by_agent["small"].device) == (
        "vram_total",
        5000,
        "fixed-0",
    )
    assert by_agent["other"].code == "no_adapter"


def test_explain_tells_the_plan_the_pause_and_the_place(desk: Desk, agent: AgentDouble) -> None:
    record = desk.submit()
    assert explain(desk.engine.core, record, desk.now).summary == "no agent is connected"
    desk.hear(agent)
    desk.answer_calls(agent, slots=0, est_queue_s=5.0)
    assert explain(desk.engine.core, record, desk.now).summary == "waits for echo on a1/fixed-0, about 6.0 s"
    agent.devices = [device(free_mb=7999)]
    desk.until(effects.SendCall, agent)
    item = desk.win(agent)
    assert explain(desk.engine.core, record, desk.now).summary == "was awarded to a1/fixed-0 with echo, attempt 1"
    desk.started(agent, item)
    assert explain(desk.engine.core, record, desk.now).status == "running"
    desk.failed(agent, item, "worker_crashed")
    assert explain(desk.engine.core, record, desk.now).summary == "pauses 1.0 s more after a failed attempt"


def test_a_jump_of_the_wall_clock_is_nobodys_waiting_time(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    for jump_s in (7200.0, -7200.0):
        desk.wall_jump_s = jump_s
        item = desk.awarded(agent, f"after-{abs(jump_s):.0f}-{jump_s > 0}")
        assert item.queued_s < 1.0
        desk.see(desk.result_of(item, agent), seq=int(200 + jump_s / 100))


def test_an_agent_where_nobody_listens_counts_as_silent_at_once(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    view = desk.engine.core.fleet.agents["a1"]
    assert not view.answer_times.silent(desk.mono)
    desk.do(events.AgentSilent("a1", no_responders=False))
    assert not view.answer_times.silent(desk.mono)
    desk.do(events.AgentSilent("a1", no_responders=True))
    assert view.answer_times.silent(desk.mono)


def test_a_connection_that_was_lost_before_the_lead_is_waited_for() -> None:
    desk = Desk(lead=False)
    desk.do(events.Disconnected())
    desk.do(events.Led(epoch=7, known=()))
    assert not desk.engine.core.may_decide
    desk.do(events.Connected())
    desk.do(events.LeadershipProven())
    assert desk.engine.core.may_decide
