"""Rounds: who is invited, when a round closes, what declines and silence lead to."""

from __future__ import annotations

from pocket3d.contracts.commands import CallAnswered, Lot, Reason
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Resident
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from support.coordinator_desk import AgentDouble, Desk, device, offer


def invited(desk: Desk) -> dict[str, tuple[Lot, ...]]:
    return {call.agent_id: call.lots for call in desk.take(effects.SendCall)}


def fleet(desk: Desk, count: int, **more: object) -> list[AgentDouble]:
    agents = [AgentDouble(f"a{number}", **more) for number in range(count)]  # type: ignore[arg-type]
    for agent in agents:
        desk.hear(agent)
    return agents


def test_a_waiting_job_opens_a_round_and_a_second_does_not_open_another(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j1")
    desk.submit("j2", vram_mb=5)
    (lots,) = invited(desk).values()
    assert [(lot.lot, lot.feature, lot.jobs, lot.vram_mb) for lot in lots] == [(0, "echo", 1, None)]


def test_jobs_that_bid_alike_are_one_lot(desk: Desk, agent: AgentDouble) -> None:
    for number in range(5):
        desk.submit(f"j{number}")
    desk.submit("k", model_preference="echo")
    desk.hear(agent)
    (lots,) = invited(desk).values()
    assert [(lot.jobs, lot.adapters) for lot in lots] == [(5, None), (1, ["echo"])]


def test_nobody_without_the_adapter_or_the_room_is_invited(desk: Desk) -> None:
    desk.hear(AgentDouble("none", adapters=[offer("other", "text_to_mesh")]))
    desk.hear(AgentDouble("small", devices=[device(total_mb=500)]))
    desk.hear(AgentDouble("lane", devices=[device(kind="cpu")]))
    desk.hear(AgentDouble("broken", adapters=[offer(available=False, reason="no weights")]))
    leaving = AgentDouble("leaving")
    leaving.draining = True
    desk.hear(leaving)
    desk.hear(AgentDouble("able"))
    desk.submit()
    assert set(invited(desk)) == {"able"}
    desk.tick(0.3)
    group = desk.engine.core.queue.group_of(desk.record().group_key())
    assert group is not None
    assert {agent: reasons[0].code for agent, reasons in group.reasons.items()} == {
        "none": "no_adapter",
        "small": "vram_total",
        "lane": "no_device",
        "broken": "adapter_unavailable",
        "leaving": "draining",
        "able": "silent",
    }


def test_nobody_is_called_before_it_is_known_that_the_id_is_new(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.read("j1")
    assert not desk.take(effects.SendCall)
    desk.do(events.QueuedStored("j1"))
    assert set(invited(desk)) == {"a1"}


def test_a_binding_preference_narrows_the_invitation(desk: Desk) -> None:
    desk.hear(AgentDouble("a1", adapters=[offer("one")]))
    desk.hear(AgentDouble("a2", adapters=[offer("two")]))
    desk.submit(model_preference=["two", "three"])
    assert set(invited(desk)) == {"a2"}


def test_of_a_large_fleet_the_warm_and_then_the_roomy_are_invited() -> None:
    desk = Desk(invite_all_up_to=3, invite_per_lot=2)
    agents = [AgentDouble(f"a{n}", devices=[device(total_mb=4000 + n)]) for n in range(4)]
    agents[0].residents = [Resident(adapter_id="echo", device="fixed-0", pid=1, vram_mb=1000, idle_s=3.0)]
    for agent in agents:
        desk.hear(agent)
    desk.submit()
    assert set(invited(desk)) == {"a0", "a3"}


def test_the_round_closes_when_all_have_answered(desk: Desk) -> None:
    agents = fleet(desk, 2)
    desk.submit()
    first, second = agents
    desk.answer_calls(first)
    assert desk.state() is JobState.QUEUED
    # The second call was taken from the desk with the first: answer it by hand.
    assert desk.engine.core.auctioneer.round is not None
    desk.do(_decline(desk, second))
    assert desk.state() is JobState.AWARDED


def _decline(desk: Desk, agent: AgentDouble) -> events.CallReturned:
    call = desk.engine.core.auctioneer.call_id
    return events.CallReturned(
        CallAnswered(agent_id=agent.agent_id, incarnation=agent.incarnation, seq=agent.count(), call_id=call)
    )


def test_the_round_closes_at_its_deadline_without_the_silent(desk: Desk) -> None:
    first, _ = fleet(desk, 2)
    desk.submit()
    desk.answer_calls(first)
    deadline = desk.engine.deadline
    assert deadline == desk.mono + desk.settings.round_deadline_s
    desk.mono = deadline
    desk.do(events.RoundDue())
    assert desk.state() is JobState.AWARDED
    assert desk.engine.deadline is None


def test_a_round_that_may_not_be_closed_is_not_due_again_and_again(desk: Desk) -> None:
    """Its deadline would pass at once whenever it is set, and the service would do nothing else."""
    first, _ = fleet(desk, 2)
    desk.submit()
    desk.answer_calls(first)
    deadline = desk.engine.deadline
    assert deadline is not None
    desk.do(events.Disconnected())
    assert desk.engine.deadline is None
    desk.mono = deadline
    desk.do(events.Connected())
    assert desk.engine.deadline is None, "the leadership is not proven yet"
    desk.do(events.LeadershipProven())
    assert desk.engine.deadline != deadline, "it was closed as soon as that was allowed"


def test_answers_to_another_call_or_of_another_life_count_for_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    call = desk.one(effects.SendCall)
    answer = CallAnswered(agent_id="a1", incarnation="999-x", seq=5, call_id=call.call_id)
    desk.do(events.CallReturned(answer))
    desk.do(events.CallReturned(CallAnswered(agent_id="a1", incarnation=agent.incarnation, seq=5, call_id=99)))
    desk.do(events.CallReturned(CallAnswered(agent_id="b", incarnation="1-x", seq=5, call_id=call.call_id)))
    assert desk.engine.core.auctioneer.round is not None
    assert not desk.engine.core.auctioneer.round.answers


def test_nobody_waits_for_an_invited_agent_that_is_gone(desk: Desk) -> None:
    first, second = fleet(desk, 2)
    desk.submit()
    desk.answer_calls(first)
    desk.do(events.AgentSilent(second.agent_id, no_responders=True))
    desk.do(events.AgentSilent(second.agent_id, no_responders=True))
    assert desk.state() is JobState.AWARDED


def test_a_decline_leaves_the_agent_out_until_its_advert_changes(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    reason = Reason(agent_id="a1", device="fixed-0", code="vram_busy", need_mb=1000, have_mb=300, short_mb=700)
    desk.answer_calls(agent, declines={"a1": reason})
    for _ in range(20):
        desk.hear(agent, full=False)
        desk.tick()
    assert desk.take(effects.SendCall) == []
    agent.devices = [device(free_mb=7000)]
    desk.hear(agent)
    assert desk.take(effects.SendCall) == [], "less room than before is no news"
    agent.devices = [device(free_mb=7256)]
    desk.hear(agent)
    assert set(invited(desk)) == {"a1"}


def test_an_agent_that_was_gone_is_asked_again_for_what_it_declined(desk: Desk, agent: AgentDouble) -> None:
    """Seed 6000115 of the simulation: its picture had changed as often as in the life before."""
    desk.hear(agent)
    desk.submit()
    desk.answer_calls(agent, declines={"a1": Reason(agent_id="a1", device="d", code="vram_busy", need_mb=1)})
    desk.tick(desk.settings.agent_lease_s + 1)
    assert "a1" not in desk.engine.core.fleet.agents
    desk.hear(AgentDouble("a1"))
    assert set(invited(desk)) == {"a1"}


def test_who_declines_a_job_is_not_asked_for_one_that_wants_more_memory(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j1", vram_mb=3000)
    busy = Reason(agent_id="a1", code="vram_busy", device="fixed-0", need_mb=3100, have_mb=500, short_mb=2600)
    desk.answer_calls(agent, declines={"a1": busy})
    for number in range(300):
        # A producer that measures: each of its jobs says another figure.
        desk.submit(f"more{number}", vram_mb=3000 + 10 * number)
    assert invited(desk) == {}
    desk.engine.check()
    (reason,) = explain(desk.engine.core, desk.record("more20"), desk.now).reasons
    assert (reason.code, reason.need_mb, reason.have_mb, reason.short_mb) == ("vram_busy", 3300, 500, 2800)
    desk.submit("less", vram_mb=2999)
    desk.submit("by-name", vram_mb=4000, model_preference="echo")
    asked = []
    while call := invited(desk):
        asked += [(lot.vram_mb, lot.adapters) for lot in call["a1"]]
        desk.effects = [effects.SendCall("a1", desk.engine.core.auctioneer.call_id, call["a1"], 0.0)]
        desk.answer_calls(agent, declines={"a1": busy})
    assert asked == [(2999, None), (4000, ["echo"])]
    agent.devices = [device(total_mb=16000)]
    desk.hear(agent)
    assert len(invited(desk)["a1"]) == desk.settings.lots_per_round, "its picture has changed: all is asked again"


def test_after_a_declined_award_the_job_is_called_again_without_that_agent(desk: Desk) -> None:
    first, second = fleet(desk, 2)
    desk.submit()
    calls = invited(desk)
    assert set(calls) == {"a0", "a1"}
    desk.do(_bid(desk, first, 1.0))
    desk.do(_bid(desk, second, 2.0))
    award = desk.one(effects.SendAwards)
    assert award.agent_id == "a0"
    desk.decline(first, award.awards[0])
    assert set(invited(desk)) == {"a1"}
    assert desk.record().attempt_no == 0, "a declined award costs no attempt"


def _bid(desk: Desk, agent: AgentDouble, load_s: float) -> events.CallReturned:
    from pocket3d.contracts.commands import BidPlaced

    bid = BidPlaced(
        lot=0, adapter_id="echo", device="fixed-0", claim_mb=1000, slots=1, est_queue_s=0, est_load_s=load_s
    )
    return events.CallReturned(
        CallAnswered(
            agent_id=agent.agent_id,
            incarnation=agent.incarnation,
            seq=agent.count(),
            call_id=desk.engine.core.auctioneer.call_id,
            bids=[bid],
            devices=list(agent.devices),
        )
    )


def test_a_lost_call_or_answer_is_called_again(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    assert set(invited(desk)) == {"a1"}
    for _ in range(8):
        # The call never arrived; the agent is idle, its adverts say nothing new.
        desk.tick()
        desk.hear(agent, full=False)
    assert set(invited(desk)) == {"a1"}
    assert desk.state() is JobState.QUEUED
    group = desk.engine.core.queue.group_of(desk.record().group_key())
    assert group is not None
    assert group.reasons == {} or group.reasons["a1"][0].code == "silent"


def test_a_plan_that_does_not_come_true_is_looked_at_again(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    desk.answer_calls(agent, slots=0, est_queue_s=5.0)
    assert desk.state() is JobState.QUEUED
    for _ in range(16):
        desk.tick()
        desk.hear(agent, full=False)
    assert invited(desk) == {}, "the plan stands for 5 s"
    for _ in range(8):
        desk.tick()
        desk.hear(agent, full=False)
    assert set(invited(desk)) == {"a1"}, "the worker is not free when it was to be: others may be quicker now"


def test_no_round_is_open_while_nothing_may_be_awarded(desk: Desk, agent: AgentDouble) -> None:
    desk.do(events.Disconnected())
    desk.hear(agent)
    desk.submit()
    assert desk.take(effects.SendCall) == []
    desk.do(events.Connected())
    assert desk.take(effects.SendCall) == [], "the leadership is to be proven first"
    desk.do(events.LeadershipProven())
    assert set(invited(desk)) == {"a1"}


def test_an_open_round_is_dropped_with_the_connection(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    call = desk.one(effects.SendCall)
    desk.do(events.Disconnected())
    assert desk.engine.deadline is None
    desk.do(events.Connected())
    desk.do(events.LeadershipProven())
    assert desk.one(effects.SendCall).call_id > call.call_id


def test_an_adapter_that_becomes_available_is_news_for_who_waits_elsewhere(desk: Desk) -> None:
    busy = AgentDouble("busy")
    broken = AgentDouble("broken", adapters=[offer(available=False, reason="weights missing")])
    desk.hear(busy)
    desk.hear(broken)
    desk.submit()
    desk.answer_calls(busy, slots=0, est_queue_s=500.0)
    assert desk.state() is JobState.QUEUED
    broken.adapters = [offer()]
    desk.hear(broken)
    assert "broken" in invited(desk)


def test_a_kind_that_nobody_can_take_keeps_no_other_out_of_the_round(desk: Desk, agent: AgentDouble) -> None:
    for number in range(3):
        desk.submit(f"large{number}", vram_mb=99_000 + number)
    desk.submit("small")
    desk.hear(agent)
    (lots,) = invited(desk).values()
    assert [lot.vram_mb for lot in lots] == [None]


def test_a_round_has_so_many_lots_and_the_next_one_the_others() -> None:
    desk, agent = Desk(lots_per_round=2), AgentDouble()
    for number in range(5):
        desk.submit(f"j{number}", vram_mb=2000 - number)
    desk.hear(agent)
    called = []
    while calls := desk.take(effects.SendCall):
        called.append([lot.vram_mb for lot in calls[0].lots])
        desk.effects += calls
        desk.answer_calls(agent, declines={"a1": Reason(agent_id="a1", code="vram_busy", device="fixed-0")})
    assert called == [[2000, 1999], [1998, 1997], [1996]]


def test_what_an_agent_bid_before_it_was_lost_counts_no_more_when_it_is_back(desk: Desk) -> None:
    first, _ = fleet(desk, 2)
    desk.submit()
    desk.take(effects.SendCall)
    desk.do(_bid(desk, first, 1.0))
    for _ in range(2):
        desk.do(events.AgentSilent("a0", no_responders=True))
    desk.hear(first)
    desk.do(_bid(desk, first, 1.0))
    desk.tick(desk.settings.round_deadline_s)
    assert desk.take(effects.SendAwards) == []
    assert desk.state() is JobState.QUEUED


def test_a_kind_for_which_all_were_asked_is_looked_at_again_when_one_may_be_asked_again(desk: Desk) -> None:
    agents = fleet(desk, 2)
    desk.submit()
    core = desk.engine.core
    for _ in range(48):
        desk.tick()
        desk.take(effects.SendCall)
        for agent in agents:
            desk.hear(agent, full=False)
    group = core.queue.group_of(desk.record().group_key())
    assert group is not None
    views = list(core.fleet.agents.values())
    views[1].answer_times.asked(desk.mono)
    ask_at, later = (view.answer_times.ask_at(desk.mono) for view in views)
    assert desk.mono + desk.settings.advert_s < ask_at < later
    group.wake()
    desk.tick()
    assert group.sleeps(core.fleet.version, ask_at - 0.01)
    assert not group.sleeps(core.fleet.version, ask_at)


def test_a_kind_that_all_have_declined_is_not_looked_at_before_something_changes(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    desk.submit()
    busy = Reason(agent_id="a1", device="fixed-0", code="vram_busy", need_mb=1000, have_mb=300, short_mb=700)
    desk.answer_calls(agent, declines={"a1": busy})
    core = desk.engine.core
    group = core.queue.group_of(desk.record().group_key())
    assert group is not None
    assert group.sleeps(core.fleet.version, desk.mono + 1e9)
    before = core.fleet.version
    desk.hear(AgentDouble("a2", adapters=[offer("other", "text_to_mesh")]))
    assert core.fleet.version > before
    assert group.sleeps(core.fleet.version, desk.mono + 1e9), "it was looked at, and the newcomer does not serve it"
