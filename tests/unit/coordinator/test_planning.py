"""From bids to awards, on values: warm or cold, plans that count, room shared by lots, the held device."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from pocket3d.contracts.commands import BidPlaced, Reason
from pocket3d.contracts.fit import Room
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import AttemptError, RunningJob
from pocket3d.coordinator.auction.fleet import Fleet, WorkerUse
from pocket3d.coordinator.auction.planning import BackfillReservation, LotBid, LotPlan, Placed, RoundPlanner, WorkerKey
from pocket3d.coordinator.auction.scoring import POLICIES, Candidate, least_start, spread
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.job import GroupKey, JobClass, JobRecord
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, Desk, device, offer


def jobs(count: int) -> list[JobRecord]:
    job_class = JobClass.of("echo", "echo", "normal", Job(inputs={}))
    return [JobRecord(number, f"j{number}", job_class, 0.0, 0.0) for number in range(count)]


def suspects(count: int) -> list[JobRecord]:
    """Jobs whose worker crashed."""
    records = jobs(count)
    for record in records:
        record.retry_state().attempts.append(
            AttemptError(attempt=1, agent_id="a", device="d0", code="worker_crashed", message="signal 11", at="")
        )
    return records


def bid(agent_id: str, *, device: str = "d0", preference: int = 0, **values: Any) -> LotBid:
    defaults: dict[str, Any] = {
        "lot": 0,
        "adapter_id": "echo",
        "device": device,
        "claim_mb": 1000,
        "slots": 1,
        "est_queue_s": 0.0,
        "est_load_s": 10.0,
        "est_run_s": 5.0,
    }
    return LotBid(agent_id, BidPlaced(**{**defaults, **values}), preference, 1.0, 0)


def warm_busy(agent_id: str, queue_s: float, **values: Any) -> LotBid:
    return bid(agent_id, warm=True, slots=0, claim_mb=0, est_queue_s=queue_s, est_load_s=0.0, **values)


def planner(
    rooms_mb: dict[tuple[str, str], int] | None = None, hold: BackfillReservation | None = None
) -> RoundPlanner:
    """A planner of devices with so much room each; without any, only the bids' slots count."""
    rooms = {place: Room("cuda", 80_000, mb, 0, 0) for place, mb in (rooms_mb or {}).items()}
    return RoundPlanner(POLICIES["least_start"], rooms, 30.0, hold, 100.0, out={}, variant_wait_s=0.0)


KEY = jobs(1)[0].group_key()


class Planned(NamedTuple):
    """Where the jobs of a lot go, and what it waits for."""

    assignments: list[tuple[str, Placed]]
    waits_for: str | None
    next_start: tuple[str, str, float] | None


def plan_lot(planner: RoundPlanner, key: GroupKey, records: list[JobRecord], bids: list[LotBid]) -> Planned:
    """Place the jobs of one lot in their order."""
    lot = LotPlan(key, bids)
    assignments = []
    for record in records:
        if not lot.closed and (placed_by := planner.place(lot)) is not None:
            assignments.append((record.job_id, placed_by))
    return Planned(assignments, lot.waits_for, lot.next_start)


def placed(plan: Planned) -> list[tuple[str, str]]:
    return [(job_id, where.by.agent_id) for job_id, where in plan.assignments]


def test_a_warm_busy_worker_that_is_free_sooner_beats_a_cold_start_now() -> None:
    plan = plan_lot(planner(), KEY, jobs(1), [bid("cold", est_load_s=10.0), warm_busy("warm", 4.0)])
    assert placed(plan) == []
    assert plan.waits_for == "waits for echo on warm/d0, about 4.0 s"
    assert plan.next_start == ("warm", "d0", 4.0)


def test_room_that_this_round_used_up_is_waited_for_as_long_as_a_job_takes() -> None:
    """A bid without slots whose wait was over before: 10 s of load and 5 s of run, then its own load."""
    bids = [bid("used", slots=0), bid("busy", slots=0, est_queue_s=12.0)]
    assert plan_lot(planner(), KEY, jobs(1), bids).waits_for == "waits for echo on busy/d0, about 22.0 s"


def test_a_cold_start_now_beats_a_warm_worker_that_is_busy_for_long() -> None:
    plan = plan_lot(planner(), KEY, jobs(1), [bid("cold", est_load_s=10.0), warm_busy("warm", 11.0)])
    assert placed(plan) == [("j0", "cold")]
    assert plan.waits_for is None


def test_plans_count_so_that_a_hundred_jobs_do_not_wait_for_one_warm_worker() -> None:
    cold = [bid(f"cold{n}", est_load_s=20.0) for n in range(10)]
    plan = plan_lot(planner(), KEY, jobs(100), [warm_busy("warm", 1.0), *cold])
    # The warm one takes those that start within 20 s (1, 6, 11, 16 s); the others load a model now.
    assert len(plan.assignments) == 10
    assert {agent for _, agent in placed(plan)} == {f"cold{n}" for n in range(10)}


def test_a_worker_takes_as_many_as_it_has_slots() -> None:
    plan = plan_lot(planner({("a", "d0"): 1000}), KEY, jobs(5), [bid("a", slots=3, max_concurrent=3)])
    assert placed(plan) == [("j0", "a"), ("j1", "a"), ("j2", "a")]
    assert [where.claim_mb for _, where in plan.assignments] == [1000, 0, 0]


def test_lots_of_one_round_share_the_room() -> None:
    round_planner = planner({("a", "d0"): 1500})
    first = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=1000)])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=1000, adapter_id="other")])
    third = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=500, adapter_id="third")])
    assert (len(first.assignments), len(second.assignments), len(third.assignments)) == (1, 0, 1)


def test_lots_of_one_round_share_a_worker() -> None:
    round_planner = planner({("a", "d0"): 5000})
    first = plan_lot(round_planner, KEY, jobs(1), [bid("a")])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a")])
    assert (len(first.assignments), len(second.assignments)) == (1, 0)


def test_idle_residents_are_evicted_once() -> None:
    round_planner = planner({("a", "d0"): 0})
    first = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=1000, evict_mb=1000)])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=1000, evict_mb=1000, adapter_id="other")])
    assert (len(first.assignments), len(second.assignments)) == (1, 0)


def test_what_an_eviction_frees_beyond_the_claim_is_room_for_the_next() -> None:
    round_planner = planner({("a", "d0"): 0})
    first = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=1000, evict_mb=3000)])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a", claim_mb=2000, evict_mb=3000, adapter_id="other")])
    assert (len(first.assignments), len(second.assignments)) == (1, 1)


def test_equals_are_ordered_by_preference_then_best_fit_then_name() -> None:
    rooms = {("a", "d0"): 9000, ("b", "d0"): 2000, ("c", "d0"): 2000}
    assert placed(plan_lot(planner(rooms), KEY, jobs(1), [bid("a"), bid("b"), bid("c")])) == [("j0", "b")]
    preferred = [bid("a", preference=0), bid("b", preference=1)]
    assert placed(plan_lot(planner(rooms), KEY, jobs(1), preferred)) == [("j0", "a")]


def test_without_bids_nothing_is_planned() -> None:
    assert plan_lot(planner(), KEY, jobs(3), []) == Planned([], None, None)


def test_a_held_device_takes_others_only_if_they_end_before() -> None:
    hold = BackfillReservation("big", "default", KEY._replace(vram_mb=9000), "a", "d0", start_at=120.0)
    ends_in_time = bid("a", est_load_s=10.0, est_run_s=10.0)
    ends_late = bid("a", est_load_s=10.0, est_run_s=10.1)
    unknown = bid("a", est_load_s=1.0, est_run_s=None)
    assert len(plan_lot(planner(hold=hold), KEY, jobs(1), [ends_in_time]).assignments) == 1
    assert len(plan_lot(planner(hold=hold), KEY, jobs(1), [ends_late]).assignments) == 0
    assert len(plan_lot(planner(hold=hold), KEY, jobs(1), [unknown]).assignments) == 0
    assert placed(plan_lot(planner(hold=hold), KEY, jobs(1), [ends_late, bid("b")])) == [("j0", "b")]
    own = BackfillReservation("j7", "default", KEY, "a", "d0", start_at=120.0)
    assert placed(plan_lot(planner(hold=own), KEY, jobs(1), [ends_late])) == [("j0", "a")], (
        "one that bids alike may have it"
    )


def test_a_job_that_is_tried_alone_has_its_worker_for_the_round_and_while_it_runs() -> None:
    alone = suspects(1)
    round_planner = planner()
    first = plan_lot(round_planner, alone[0].group_key(), alone, [bid("a", slots=4)])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a", slots=4)])
    assert (len(first.assignments), len(second.assignments)) == (1, 0)


def test_nobody_else_begins_on_a_worker_that_a_job_waits_to_have_for_itself() -> None:
    busy: dict[WorkerKey, WorkerUse] = {("a", "d0", "echo", None): WorkerUse(1, apart=False)}
    rooms: dict[tuple[str, str], Room] = {}
    round_planner = RoundPlanner(POLICIES["least_start"], rooms, 30.0, None, 100.0, busy, 0.0)
    waits = suspects(1)
    first = plan_lot(round_planner, waits[0].group_key(), waits, [bid("a", slots=3)])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a", slots=3), bid("b", est_load_s=11.0)])
    assert (first.assignments, placed(second)) == ([], [("j0", "b")])


def test_a_job_that_waits_for_a_held_device_keeps_it_from_nobody() -> None:
    """Neither the job that is tried alone nor the one for which the device is held ever started."""
    hold = BackfillReservation("j0", "default", KEY, "a", "d0", start_at=101.0)
    round_planner = planner(hold=hold)
    waits = suspects(1)
    first = plan_lot(round_planner, waits[0].group_key(), waits, [bid("a", slots=3)])
    second = plan_lot(round_planner, KEY, jobs(1), [bid("a", slots=3)])
    assert (first.assignments, placed(second)) == ([], [("j0", "a")])


# ---------------------------------------------------------------- the hold, through the engine


def test_the_oldest_job_that_waits_for_room_holds_a_device(desk: Desk) -> None:
    agent = AgentDouble(adapters=[offer("echo", "echo", 7000), offer("tiny", "text_to_mesh", 500)])
    desk.hear(agent)
    desk.submit("big", age_s=61.0)
    desk.answer_calls(agent, slots=0, est_queue_s=20.0, est_load_s=1.0)
    hold = desk.engine.core.auctioneer.backfill.hold
    assert hold is not None
    assert (hold.job_id, hold.agent_id, hold.device, hold.start_at) == ("big", "a1", "fixed-0", desk.mono + 21.0)
    inputs = {"text_prompt": "a chair"}
    desk.submit("long", feature="text_to_mesh", inputs=inputs)
    desk.answer_calls(agent, est_load_s=1.0, est_run_s=21.0)
    assert desk.state("long") is JobState.QUEUED
    desk.do(events.CancelAsked("long", None))
    desk.submit("quick", feature="text_to_mesh", inputs=inputs)
    desk.answer_calls(agent, est_load_s=1.0, est_run_s=10.0)
    assert desk.state("quick") is JobState.AWARDED


def test_a_job_younger_than_the_limit_holds_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("big", age_s=59.0)
    desk.answer_calls(agent, slots=0, est_queue_s=20.0)
    assert desk.engine.core.auctioneer.backfill.hold is None


def test_the_one_that_holds_is_the_oldest_that_got_nothing(desk: Desk) -> None:
    # The first of the group waits for the warm one, the second is placed: the first holds, not the second.
    warm, cold = AgentDouble("warm"), AgentDouble("cold")
    desk.hear(warm)
    desk.hear(cold)
    desk.submit("j1", age_s=100.0)
    desk.take(effects.SendCall)
    desk.do(events.Disconnected())
    desk.submit("j2", age_s=90.0)
    desk.do(events.Connected())
    desk.do(events.LeadershipProven())
    calls = [e for e in desk.effects if isinstance(e, effects.SendCall)]
    desk.answer_calls(warm, slots=0, est_queue_s=2.0, est_load_s=0.0, est_run_s=50.0, warm=True, claim_mb=0)
    desk.effects += calls
    desk.answer_calls(cold, est_load_s=20.0)
    assert (desk.state("j1"), desk.state("j2")) == (JobState.QUEUED, JobState.AWARDED)
    hold = desk.engine.core.auctioneer.backfill.hold
    assert hold is not None
    assert (hold.job_id, hold.agent_id) == ("j1", "warm")


@pytest.mark.parametrize("ending", ["cancelled", "agent lost", "parked", "runs already"])
def test_a_hold_ends_with_its_reason(ending: str, desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("big", age_s=61.0)
    desk.answer_calls(agent, slots=0, est_queue_s=20.0)
    assert desk.engine.core.auctioneer.backfill.hold is not None
    if ending == "cancelled":
        desk.do(events.CancelAsked("big", None))
    elif ending == "agent lost":
        desk.do(events.AgentSilent("a1", no_responders=True))
        desk.do(events.AgentSilent("a1", no_responders=True))
    elif ending == "runs already":
        # Seeds 15758 and 15989: a former leader's award. Lost later, the job bids with the lost agent left out, and
        # nobody would ever release a device that is held for its former key.
        agent.running = [RunningJob(job_id="big", attempt=1, token="6-1", adapter_id="echo", device="fixed-0")]
        desk.hear(agent)
        assert desk.state("big") is JobState.RUNNING
    else:
        agent.adapters = [offer(available=False, reason="weights removed")]
        desk.hear(agent)
    assert desk.engine.core.auctioneer.backfill.hold is None


def test_a_job_that_comes_back_in_front_of_the_one_that_holds_takes_the_device(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("first")
    item = desk.win(agent, "first")
    desk.accept(agent, item)
    desk.started(agent, item)
    desk.submit("second", age_s=100.0)
    desk.answer_calls(agent, slots=0, est_queue_s=5.0)
    hold = desk.engine.core.auctioneer.backfill.hold
    assert hold is not None
    assert hold.job_id == "second"
    desk.failed(agent, item, "handed_back")
    desk.hear(agent)
    desk.answer_calls(agent, slots=0, est_queue_s=5.0)
    desk.tick(1.0)
    desk.until(effects.SendCall, agent)
    assert desk.win(agent, "first").device == "fixed-0"
    assert desk.engine.core.auctioneer.backfill.hold is None


def test_a_device_that_offers_itself_no_more_is_not_held(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("big", age_s=61.0)
    desk.answer_calls(agent, slots=0, est_queue_s=2.0)
    assert desk.engine.core.auctioneer.backfill.hold is not None
    desk.until(effects.SendCall, agent)
    desk.answer_calls(agent, declines={"a1": Reason(agent_id="a1", code="no_slot")})
    assert desk.engine.core.auctioneer.backfill.hold is None


# ---------------------------------------------------------------- scores


def candidate(**values: Any) -> Candidate:
    return Candidate(
        **{
            "agent_id": "a",
            "device": "d",
            "adapter_id": "e",
            "est_start_s": 0.0,
            "preference": 0,
            "leftover_mb": 0,
            "wait_s": 0.0,
            "variant": None,
            "quality": 0,
            **values,
        }
    )


def test_the_parts_of_a_score_do_not_spill_into_each_other() -> None:
    better, worse = candidate(est_start_s=1.0), candidate(est_start_s=1.1)
    extremes: dict[str, Any] = {"preference": 10**9, "leftover_mb": 10**9}
    assert least_start(better._replace(**extremes)) < least_start(worse)
    assert least_start(candidate(preference=1, leftover_mb=10**9)) < least_start(candidate(preference=2))


def test_scores_stay_in_their_documented_range() -> None:
    least = candidate(est_start_s=-5.0, preference=-1, leftover_mb=-7)
    most = candidate(est_start_s=1e30, preference=10**9, leftover_mb=10**12)
    for policy in (least_start, spread):
        assert 0 <= policy(least) <= policy(most) < 10**14


def test_best_fit_or_spread_among_equals() -> None:
    tight, roomy = candidate(leftover_mb=100), candidate(leftover_mb=9000)
    assert least_start(tight) < least_start(roomy)
    assert spread(roomy) < spread(tight)


def test_starts_closer_than_a_tenth_of_a_second_are_equal() -> None:
    assert least_start(candidate(est_start_s=1.01)) == least_start(candidate(est_start_s=1.09))


def test_an_adapters_place_counts_up_to_the_hundredth() -> None:
    scores = [least_start(candidate(preference=place)) for place in (97, 98, 99, 100)]
    assert scores[0] < scores[1] < scores[2] == scores[3]


def test_a_fleet_without_devices_has_no_room() -> None:
    fleet = Fleet(CoordinatorSettings())
    assert fleet.largest_room_mb() == 0
    for agent_id, total_mb in (("small", 4000), ("large", 9000)):
        fleet.update(AgentDouble(agent_id, devices=[device(total_mb=total_mb, buffer_mb=500)]).advert(), 0.0)
    assert fleet.largest_room_mb() == 8500
