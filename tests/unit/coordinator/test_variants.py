"""Variants at the coordinator: who is asked, which bid wins, what follows an out-of-memory, what `explain` says."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.commands import BidPlaced, CallAnswered, Lot
from pocket3d.contracts.fit import Room
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Resident
from pocket3d.contracts.variants import RaisedNeed, Variant
from pocket3d.coordinator.auction.planning import LotBid, LotPlan, RoundPlanner
from pocket3d.coordinator.auction.scoring import POLICIES, Candidate, worth_choosing
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain, features
from pocket3d.coordinator.engine.job import JobClass, JobRecord
from support.coordinator_desk import AgentDouble, Desk, device, offer

SMALL = Variant(name="512", vram_mb=8000, quality=1)
LARGE = Variant(name="1024", vram_mb=16_000, quality=2)
SIZED = offer("sized", "sized", SMALL.vram_mb, variants=[SMALL, LARGE])


def card(agent_id: str, total_mb: int, *adapters: Any) -> AgentDouble:
    """An agent with one device of that size."""
    return AgentDouble(agent_id, devices=[device(total_mb=total_mb)], adapters=adapters or [SIZED])


def lot_of(desk: Desk, agent: AgentDouble) -> Lot:
    """What that agent was last called for."""
    calls = [c for c in desk.effects if isinstance(c, effects.SendCall) and c.agent_id == agent.agent_id]
    return calls[-1].lots[0]


def answer(desk: Desk, *said: tuple[AgentDouble, str, dict[str, Any]]) -> list[effects.AwardItem]:
    """These agents answer the open call with one bid each, of a variant; the awards that follow."""
    calls = {call.agent_id: call for call in desk.take(effects.SendCall)}
    for agent, variant, fields in said:
        values: dict[str, Any] = {"claim_mb": 8000, "slots": 1, "est_queue_s": 0.0, "est_load_s": 5.0, "est_run_s": 9.0}
        bid = BidPlaced(lot=0, adapter_id="sized", device="fixed-0", variant=variant, **{**values, **fields})
        returned = CallAnswered(
            agent_id=agent.agent_id,
            incarnation=agent.incarnation,
            seq=agent.count(),
            call_id=calls[agent.agent_id].call_id,
            bids=[bid],
            devices=list(agent.devices),
        )
        desk.do(events.CallReturned(returned))
    return [item for sent in desk.take(effects.SendAwards) for item in sent.awards]


def said_of(desk: Desk, job_id: str = "j1") -> str:
    return explain(desk.engine.core, desk.record(job_id), desk.now).summary


# ---------------------------------------------------------------- scores


def candidate(quality: int, wait_s: float = 0.0, adapter_id: str = "sized", load_s: float = 0.0) -> Candidate:
    return Candidate("a", "d", adapter_id, wait_s + load_s, 0, 0, wait_s, str(quality), quality)


@pytest.mark.parametrize(
    ("wait_s", "starts", "worth"),
    [
        (0.0, [candidate(1), candidate(2)], [False, True]),
        # A load is no wait.
        (0.0, [candidate(1), candidate(2, load_s=90.0)], [False, True]),
        (0.0, [candidate(1), candidate(2, 20.0)], [True, True]),
        # One that is worse, and comes later, is not waited for.
        (0.0, [candidate(1, 20.0), candidate(2, 0.0, load_s=90.0)], [False, True]),
        (30.0, [candidate(1), candidate(2, 30.0)], [False, True]),
        (30.0, [candidate(1), candidate(2, 30.1)], [True, True]),
        # What counts is the first start, not the next one.
        (30.0, [candidate(1), candidate(2, 25.0), candidate(3, 50.0)], [False, True, True]),
        # Each adapter has a scale of its own, and without variants it is 0.
        (0.0, [candidate(2), candidate(7, adapter_id="other"), candidate(0, adapter_id="plain")], [True, True, True]),
        # Estimates are no better than a tenth of a second.
        (0.0, [candidate(1), candidate(2, 0.1)], [False, True]),
        (0.0, [candidate(-3), candidate(-2)], [False, True]),
        (0.0, [], []),
    ],
)
def test_which_starts_are_chosen_from(wait_s: float, starts: list[Candidate], worth: list[bool]) -> None:
    assert worth_choosing(starts, wait_s) == worth


def lot_bid(agent_id: str, variant: str, quality: int, **values: Any) -> LotBid:
    defaults = {"claim_mb": 1000, "slots": 1, "est_queue_s": 0.0, "est_load_s": 10.0, "est_run_s": 5.0}
    bid = BidPlaced(lot=0, adapter_id="sized", device="d0", variant=variant, **{**defaults, **values})
    return LotBid(agent_id, bid, 0, 1.0, quality)


def placed(count: int, bids: list[LotBid], wait_s: float = 0.0) -> tuple[list[str], str | None]:
    """Where the jobs of a lot go (agent and variant), and what the rest waits for."""
    job_class = JobClass.of("sized", "sized", "normal", Job(inputs={}))
    records = [JobRecord(number, f"j{number}", job_class, 0.0, 0.0) for number in range(count)]
    rooms = {(bid.agent_id, "d0"): Room("cuda", 80_000, 24_000, 0, 0) for bid in bids}
    planner = RoundPlanner(POLICIES["least_start"], rooms, 30.0, None, 100.0, {}, wait_s)
    lot = LotPlan(records[0].group_key(), bids)
    found = []
    for _ in records:
        if not lot.closed and (one := planner.place(lot)) is not None:
            found.append(f"{one.by.agent_id} {one.by.bid.variant}")
    return found, lot.waits_for


def test_jobs_take_the_best_first_and_then_what_is_left() -> None:
    bids = [lot_bid("small", "512", 1), lot_bid("large", "1024", 2, est_load_s=60.0)]
    assert placed(2, bids) == (["large 1024", "small 512"], None)


def test_two_variants_on_one_device_are_two_workers_that_share_its_room() -> None:
    both = [lot_bid("a", "1024", 2, claim_mb=16_000), lot_bid("a", "512", 1, claim_mb=8000)]
    assert placed(2, both)[0] == ["a 1024", "a 512"]
    tight = [lot_bid("a", "1024", 2, claim_mb=16_001), lot_bid("a", "512", 1, claim_mb=8000)]
    assert placed(2, tight)[0] == ["a 1024"]


def test_a_better_variant_is_waited_for_as_long_as_is_set() -> None:
    bids = [
        lot_bid("small", "512", 1),
        lot_bid("large", "1024", 2, slots=0, warm=True, est_queue_s=20.0, est_load_s=0.0),
    ]
    assert placed(1, bids, wait_s=19.0) == (["small 512"], None)
    assert placed(1, bids, wait_s=20.0) == ([], "waits for sized as 1024 on large/d0, about 20.0 s")
    # The second job would wait for 25 s.
    assert placed(2, bids, wait_s=20.0)[0] == ["small 512"]


# ---------------------------------------------------------------- invitations


def test_a_card_is_asked_if_one_variant_fits_and_told_which_are_wanted(desk: Desk) -> None:
    large, small, tiny = card("large", 24_000), card("small", 12_000), card("tiny", 6000)
    for agent in (large, small, tiny):
        desk.hear(agent)
    desk.submit("j1", feature="sized")
    assert {c.agent_id for c in desk.effects if isinstance(c, effects.SendCall)} == {"large", "small"}
    assert (lot_of(desk, small).variant, lot_of(desk, small).vram_mb, lot_of(desk, small).raised) == (None, None, [])


def test_a_named_variant_is_asked_of_those_that_have_it_and_room(desk: Desk) -> None:
    large, small, other = card("large", 24_000), card("small", 12_000), card("other", 48_000, offer("plain", "sized"))
    for agent in (large, small, other):
        desk.hear(agent)
    desk.submit("j1", feature="sized", variant="1024")
    (call,) = [c for c in desk.effects if isinstance(c, effects.SendCall)]
    assert (call.agent_id, call.lots[0].variant) == ("large", "1024")
    reasons = {r.agent_id: r for r in explain(desk.engine.core, desk.record(), desk.now).reasons}
    assert (reasons["small"].code, reasons["small"].variant, reasons["small"].short_mb) == ("vram_total", "1024", 4000)
    assert reasons["other"].code == "no_adapter"
    assert reasons["other"].message == "no adapter here has a variant 1024 (plain has none)"
    (item,) = answer(desk, (large, "1024", {}))
    assert (item.variant, item.award(Job(inputs={})).variant) == ("1024", "1024")


def test_a_variant_that_nobody_has_waits_until_somebody_has_it(desk: Desk) -> None:
    desk.hear(card("large", 24_000))
    desk.submit("j1", feature="sized", variant="1536")
    assert not desk.take(effects.SendCall) and desk.state() is JobState.QUEUED
    assert "no agent of the present fleet could ever take it" in said_of(desk)
    bigger = Variant(name="1536", vram_mb=22_000, quality=3)
    desk.hear(card("newer", 24_000, offer("sized", "sized", 8000, variants=[SMALL, LARGE, bigger])))
    assert [call.agent_id for call in desk.take(effects.SendCall)] == ["newer"]


def test_a_call_says_how_long_a_better_variant_may_be_waited_for() -> None:
    desk = Desk(variant_wait_s=40.0)
    desk.hear(card("large", 24_000))
    desk.submit("j1", feature="sized")
    assert desk.one(effects.SendCall).variant_wait_s == 40.0


def test_an_agent_of_an_earlier_version_is_asked_and_bids_as_ever(desk: Desk) -> None:
    plain = card("plain", 24_000, offer("sized", "sized", 16_000))
    desk.hear(plain)
    desk.submit("j1", feature="sized")
    item = desk.win(plain, "j1")
    assert item.variant is None
    desk.accept(plain, item)
    assert said_of(desk) == "was awarded to plain/fixed-0 with sized, attempt 1"


# ---------------------------------------------------------------- the job's story


def test_a_small_card_serves_what_a_large_one_is_too_busy_for_and_explain_says_so(desk: Desk) -> None:
    large, small = card("large", 24_000), card("small", 12_000)
    desk.hear(large)
    desk.hear(small)
    desk.submit("j1", feature="sized")
    (item,) = answer(desk, (large, "1024", {"slots": 0, "est_queue_s": 12.0}), (small, "512", {}))
    assert (item.variant, desk.record().attempt is not None) == ("512", True)
    desk.accept(small, item)
    desk.started(small, item)
    assert said_of(desk) == (
        "runs on small/fixed-0 with sized as 512, attempt 1; 1024 on large/fixed-0 was busy for about 12.0 s more"
    )
    started = [e.status for e in desk.take(effects.PublishEvent) if e.event == "started"]
    assert [(status.adapter_id, status.variant) for status in started] == [("sized", "512")]

    desk.submit("j2", feature="sized")
    (item,) = answer(desk, (large, "1024", {}), (small, "512", {"warm": True, "claim_mb": 0, "est_load_s": 0.0}))
    assert item.variant == "1024"
    desk.accept(large, item)
    assert said_of(desk, "j2") == "was awarded to large/fixed-0 with sized as 1024, attempt 1"


def test_without_any_bid_for_a_better_one_explain_says_that_it_had_no_room(desk: Desk) -> None:
    small = card("small", 12_000)
    desk.hear(small)
    desk.submit("j1", feature="sized")
    answer(desk, (small, "512", {}))
    assert said_of(desk).endswith("with sized as 512, attempt 1; no device had room for it as 1024")
    desk.submit("j2", feature="sized", variant="512")
    answer(desk, (small, "512", {}))
    assert said_of(desk, "j2").endswith("with sized as 512, attempt 1"), "it asked for nothing else"


def test_the_result_and_the_last_event_say_the_variant(desk: Desk) -> None:
    large = card("large", 24_000)
    desk.hear(large)
    desk.submit("j1", feature="sized")
    (item,) = answer(desk, (large, "1024", {}))
    desk.accept(large, item)
    desk.see(desk.result_of(item, large))
    assert [e.status.variant for e in desk.take(effects.PublishEvent)][-1] == "1024"


def test_a_new_leader_takes_over_the_variant_from_the_agent(desk: Desk) -> None:
    large = card("large", 24_000)
    desk.hear(large)
    item = effects.AwardItem("j1", 1, "sized", 1, "6-1", "sized", "fixed-0", None, 0.0, 0.0, variant="1024")
    large.running = [large.runs(item)]
    desk.hear(large)
    desk.submit("j1", feature="sized")
    desk.hear(large)
    attempt = desk.record().attempt
    assert attempt is not None and (attempt.token, attempt.variant) == ("6-1", "1024")


# ---------------------------------------------------------------- out of memory


def out_of_memory(desk: Desk, agent: AgentDouble, variant: str, **more: Any) -> None:
    """The job runs there in that variant, and runs out of memory."""
    (item,) = answer(desk, (agent, variant, {}))
    desk.accept(agent, item)
    desk.started(agent, item)
    desk.failed(agent, item, "out_of_memory", **more)


def test_after_running_out_of_memory_a_job_may_take_a_smaller_variant(desk: Desk) -> None:
    large = card("large", 24_000)
    desk.hear(large)
    desk.submit("j1", feature="sized")
    out_of_memory(desk, large, "1024", vram_peak_mb=23_900)
    assert desk.state() is JobState.QUEUED
    lot = lot_of(desk, large)
    # Half as much again would be 35,850 MB: as much as there is, 24,000, is more than was seen.
    assert lot.vram_mb is None and lot.raised == [RaisedNeed(adapter_id="sized", variant="1024", vram_mb=24_000)]
    (item,) = answer(desk, (large, "512", {}))
    assert (item.variant, item.vram_mb) == ("512", None)
    desk.accept(large, item)
    assert said_of(desk).endswith("with sized as 512, attempt 2; it ran out of memory as 1024")
    errors = desk.record().retry_state().attempts
    assert [(error.code, error.variant) for error in errors] == [("out_of_memory", "1024")]


def test_it_is_tried_again_as_large_where_there_is_more_room(desk: Desk) -> None:
    large, larger = card("large", 24_000), card("larger", 48_000)
    desk.hear(large)
    desk.submit("j1", feature="sized")
    desk.hear(larger)
    out_of_memory(desk, large, "1024")
    assert lot_of(desk, larger).raised == [RaisedNeed(adapter_id="sized", variant="1024", vram_mb=24_000)]
    (item,) = answer(desk, (larger, "1024", {"claim_mb": 24_000}), (large, "512", {}))
    assert (item.variant, item.vram_mb) == ("1024", 24_000)


def test_where_no_device_has_more_room_the_smaller_one_is_all_that_is_left(desk: Desk) -> None:
    large = card("large", 16_000)
    desk.hear(large)
    desk.submit("j1", feature="sized")
    out_of_memory(desk, large, "1024")
    assert lot_of(desk, large).raised == [RaisedNeed(adapter_id="sized", variant="1024")]
    out_of_memory(desk, large, "512", vram_peak_mb=16_000)
    assert desk.state() is JobState.FINISHING
    error = desk.one(effects.StoreResult).result.error
    assert error is not None and error.message.endswith(
        "no device of the fleet has more room than large/fixed-0, nor may it run in a smaller variant)"
    )


def test_a_job_that_names_its_variant_gets_more_room_for_it_and_no_other(desk: Desk) -> None:
    large = card("large", 24_000)
    desk.hear(large)
    desk.submit("j1", feature="sized", variant="512")
    out_of_memory(desk, large, "512")
    lot = lot_of(desk, large)
    assert (lot.variant, lot.vram_mb, lot.raised) == ("512", 12_000, [])
    (item,) = answer(desk, (large, "512", {"claim_mb": 12_000}))
    assert (item.variant, item.vram_mb) == ("512", 12_000)


# ---------------------------------------------------------------- benches


def test_a_variant_that_is_benched_is_said_in_the_call_and_the_other_goes_on(desk: Desk) -> None:
    large = card("large", 24_000)
    desk.hear(large)
    for number in range(3):
        name = f"f{number}"
        desk.submit(name, feature="sized", retry={"max_attempts": 1})
        (item,) = answer(desk, (large, "1024", {}))
        desk.failed(large, item, "timeout")
        desk.hear(large)
    desk.submit("j1", feature="sized")
    (told,) = lot_of(desk, large).benched
    assert (told.adapter_id, told.variant, told.device) == ("sized", "1024", "fixed-0")
    assert lot_of(desk, large).without == []
    (item,) = answer(desk, (large, "512", {}))
    assert item.variant == "512"
    desk.accept(large, item)
    why = "1024 is left out there for a while after failures in a row"
    assert said_of(desk).endswith(f"with sized as 512, attempt 1; {why}")
    # An agent of an earlier version bids the benched one all the same.
    desk.submit("j2", feature="sized")
    assert answer(desk, (large, "1024", {})) == []
    # A job that names it is not even asked for.
    desk.submit("j3", feature="sized", variant="1024")
    group = desk.engine.core.queue.group_of(desk.record("j3").group_key())
    assert group is not None and not group.unschedulable
    (reason,) = group.reasons["large"]
    assert (reason.code, reason.variant, reason.device) == ("benched", "1024", "fixed-0")


def test_running_out_of_memory_benches_nothing(desk: Desk) -> None:
    large = card("large", 24_000)
    desk.hear(large)
    for number in range(4):
        desk.submit(f"j{number}", feature="sized", retry={"max_attempts": 1})
        (item,) = answer(desk, (large, "1024", {}))
        desk.failed(large, item, "out_of_memory")
        desk.hear(large)
    desk.submit("next", feature="sized")
    assert lot_of(desk, large).benched == []
    assert answer(desk, (large, "1024", {}))[0].variant == "1024"


# ---------------------------------------------------------------- the fleet's picture


def test_another_variant_that_is_loaded_is_news(desk: Desk) -> None:
    large = card("large", 24_000)
    large.residents = [Resident(adapter_id="sized", device="fixed-0", pid=1, vram_mb=8000, idle_s=1.0, variant="512")]
    desk.hear(large)
    before = desk.engine.core.fleet.version
    desk.hear(large, full=False)
    assert desk.engine.core.fleet.version == before
    large.residents.append(
        Resident(adapter_id="sized", device="fixed-0", pid=2, vram_mb=16_000, idle_s=1.0, variant="1024")
    )
    desk.hear(large, full=False)
    assert desk.engine.core.fleet.version > before


def test_features_list_the_variants_of_all_agents_best_first(desk: Desk) -> None:
    desk.hear(card("small", 12_000, offer("sized", "sized", 8000, variants=[SMALL])))
    desk.hear(card("large", 24_000))
    found = next(each for each in features(desk.engine.core) if each.feature == "sized")
    assert found.adapters[0].variants == [LARGE, SMALL]
