"""What an agent offers, and why it does not."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import BidPlaced, CallAnswered, Lot, Reason
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, cpu, fixed, gpu, of


def one(answer: CallAnswered) -> BidPlaced:
    assert not answer.declines
    (bid,) = answer.bids
    return bid


def why(answer: CallAnswered) -> list[Reason]:
    assert not answer.bids
    (declined,) = answer.declines
    return declined.reasons


def test_a_cold_bid_claims_the_requirement_and_a_load() -> None:
    rig = AgentRig(assumed_load_s=20.0)
    bid = one(rig.call(jobs=5))
    assert (bid.adapter_id, bid.device, bid.claim_mb, bid.slots, bid.warm) == ("alpha", "fixed-0", 6000, 1, False)
    assert (bid.est_queue_s, bid.est_load_s, bid.est_run_s, bid.evict_mb) == (0.0, 20.0, None, 0)


def test_a_warm_bid_claims_nothing_and_knows_its_run_time() -> None:
    rig = AgentRig()
    rig.warm()
    bid = one(rig.call())
    assert (bid.claim_mb, bid.slots, bid.warm, bid.est_load_s, bid.est_run_s) == (0, 1, True, 0.0, 1.0)


def test_learned_times_replace_assumptions_even_after_the_worker_is_gone() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.fetch(token)
    rig.pass_time(7)
    worker_id = rig.worker_ids()[0]
    rig.start_worker(worker_id)
    rig.finish(token, run_s=3.0)
    rig.tell(events.WorkerExited(worker_id))
    bid = one(rig.call())
    assert not bid.warm
    assert (bid.est_load_s, bid.est_run_s) == (pytest.approx(7.0), 3.0)


def test_a_loading_worker_offers_its_free_slots_and_the_rest_of_its_load() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=3)], assumed_load_s=20.0)
    rig.take()
    rig.pass_time(5)
    bid = one(rig.call(jobs=9))
    assert (bid.claim_mb, bid.slots, bid.warm, bid.est_load_s) == (0, 2, False, pytest.approx(15.0))


def test_busy_agents_bid_with_the_time_until_a_slot_is_free() -> None:
    rig = AgentRig()
    rig.warm()
    token = rig.take()
    rig.run(token)
    bid = one(rig.call())
    assert (bid.slots, bid.warm, bid.claim_mb, bid.est_load_s) == (0, True, 0, 0.0)
    assert bid.est_queue_s == pytest.approx(1.0)
    rig.pass_time(0.6)
    assert one(rig.call()).est_queue_s == pytest.approx(0.4)
    rig.pass_time(9.4)
    assert one(rig.call()).est_queue_s == pytest.approx(1.0), "overdue: a tenth of what it has taken"


def test_a_busy_device_bids_with_the_time_until_there_is_room() -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 6000), adapter("beta", 6000)], assumed_run_s=30.0)
    token = rig.take("alpha")
    rig.run(token)
    rig.pass_time(10)
    bid = one(rig.call(adapters=["beta"]))
    assert (bid.slots, bid.warm, bid.claim_mb) == (0, False, 6000)
    assert bid.est_queue_s == pytest.approx(20.0)
    assert bid.est_load_s > 0


def test_a_cancelled_run_is_waited_for_until_its_worker_is_ended_for_it() -> None:
    rig = AgentRig([fixed(cap=1)], cancel_grace_s=2.0)
    rig.warm()
    token = rig.take()
    rig.run(token)
    rig.cancel(token)
    waits = [one(rig.call()).est_queue_s]
    for _ in range(4):
        rig.pass_time(0.5)
        waits.append(one(rig.call()).est_queue_s)
    assert waits == [2.0, 1.5, 1.0, 0.5, 0.0]


def test_an_idle_resident_is_no_wait_beside_a_busy_one() -> None:
    adapters = [adapter("alpha", 4000), adapter("beta", 4000), adapter("gamma", 8000)]
    rig = AgentRig([fixed(10_000)], adapters, assumed_run_s=1.0)
    rig.warm("alpha")
    rig.run(rig.take("beta"))
    rig.pass_time(0.5)
    bid = one(rig.call(adapters=["gamma"]))
    assert (bid.slots, bid.est_queue_s) == (0, pytest.approx(0.5)), "alpha is evicted when beta is done"


def test_room_is_made_by_evicting_idle_residents() -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 6000), adapter("beta", 6000)])
    rig.warm("alpha")
    bid = one(rig.call(adapters=["beta"]))
    assert (bid.slots, bid.evict_mb, bid.claim_mb, bid.est_queue_s) == (1, 6000, 6000, 0.0)


def test_every_device_of_the_right_kind_bids() -> None:
    rig = AgentRig([fixed(number=0), fixed(8000, number=1), cpu()], [adapter(devices=["cuda"])])
    assert {bid.device for bid in rig.call().bids} == {"fixed-0", "fixed-1"}
    both = AgentRig([fixed(), cpu()], [adapter(devices=["cuda", "cpu"])])
    both.probe({"cpu-0": 8000})
    assert {bid.device for bid in both.call().bids} == {"fixed-0", "cpu-0"}


def test_slots_are_bounded_by_memory_device_cap_and_jobs() -> None:
    wide = adapter(vram_mb=2000, max_concurrent=8)
    assert one(AgentRig(adapters=[wide]).call(jobs=5)).slots == 5
    assert one(AgentRig([fixed(cap=3)], [wide]).call(jobs=9)).slots == 3
    bid = one(AgentRig([fixed(10_000)], [wide]).call(jobs=9, vram_mb=4000))
    assert (bid.claim_mb, bid.claim_next_mb, bid.slots) == (4000, 2000, 4)


def test_a_job_that_replaces_the_requirement_by_less_claims_less() -> None:
    bid = one(AgentRig([fixed(5000)]).call(vram_mb=3000))
    assert (bid.claim_mb, bid.claim_next_mb) == (3000, 0)


def test_a_warm_worker_is_asked_for_the_excess_only() -> None:
    rig = AgentRig()
    rig.warm()
    bid = one(rig.call(vram_mb=9000))
    assert (bid.claim_mb, bid.warm) == (3000, True)


def test_a_learned_peak_raises_the_claim_up_to_what_the_device_can_promise() -> None:
    rig = AgentRig([fixed(8000)])
    token = rig.take()
    rig.run(token)
    rig.finish(token, peak_mb=7000)
    assert one(rig.call()).claim_mb == 1000
    token = rig.take()
    rig.run(token)
    rig.finish(token, peak_mb=8500)
    assert one(rig.call()).claim_mb == 2000, "it did run there"


def test_what_never_fits_is_said_with_its_figures() -> None:
    rig = AgentRig([fixed(4000), fixed(5000, number=1)])
    reasons = why(rig.call())
    assert [(r.device, r.code, r.need_mb, r.have_mb, r.short_mb) for r in reasons] == [
        ("fixed-0", "vram_total", 6000, 4000, 2000),
        ("fixed-1", "vram_total", 6000, 5000, 1000),
    ]


def test_memory_that_others_hold_is_said_with_its_figures() -> None:
    rig = AgentRig([gpu(16_000, buffer_mb=1000)])
    rig.probe({"GPU-0": 5000}, {"GPU-0": {4711: 11_000}})
    (reason,) = why(rig.call())
    assert (reason.code, reason.need_mb, reason.have_mb, reason.short_mb) == ("vram_busy", 6000, 4000, 2000)


@pytest.mark.parametrize(
    ("rig_args", "lot", "code"),
    [
        ({}, {"feature": "auto_rig"}, "no_adapter"),
        ({}, {"adapters": ["other"]}, "no_adapter"),
        ({}, {"without": ["alpha"]}, "benched"),
        ({"adapters": [adapter(available=False, reason="no torch")]}, {}, "adapter_unavailable"),
        ({"devices": [cpu()]}, {}, "no_device"),
        ({"devices": [gpu()]}, {}, "no_device"),
    ],
)
def test_other_reasons_for_no_offer(rig_args: dict[str, Any], lot: dict[str, Any], code: str) -> None:
    rig = AgentRig(**rig_args)
    (reason,) = why(rig.call(Lot(lot=3, **({"feature": "text_to_mesh"} | lot))))
    assert reason.code == code
    assert reason.agent_id == "agent-1"


def test_a_binding_adapter_that_could_not_be_described_is_named_with_its_reason() -> None:
    rig = AgentRig(adapters=[adapter(feature="unknown", available=False, reason="No module named spconv", devices=[])])
    (reason,) = why(rig.call(adapters=["alpha"]))
    assert (reason.code, reason.message) == ("adapter_unavailable", "No module named spconv")


def test_aliases_are_served_by_their_feature() -> None:
    assert one(AgentRig(adapters=[adapter(feature="text_to_textured_mesh")]).call()).adapter_id == "alpha"


def test_a_draining_agent_declines_each_lot() -> None:
    rig = AgentRig()
    rig.tell(events.DrainRequested(leave=False))
    answer = rig.call(None, Lot(lot=1, feature="echo"))
    assert [d.lot for d in answer.declines] == [0, 1]
    why = {(d.reasons[0].code, d.reasons[0].message) for d in answer.declines}
    assert why == {("draining", "the agent was drained; `undrain` lets it take jobs again")}
    rig.tell(events.UndrainRequested())
    assert one(rig.call()).slots == 1
    rig.tell(events.DrainRequested(leave=True))
    assert rig.call().declines[0].reasons[0].message == "the agent is about to leave"


def test_nothing_is_reserved_by_a_bid() -> None:
    rig = AgentRig([fixed(6000)])
    assert one(rig.call()).slots == one(rig.call()).slots == 1
    assert not of(rig.log, effects.StartWorker)


def test_bids_carry_call_lot_and_sequence() -> None:
    rig = AgentRig()
    first = rig.call(Lot(lot=7, feature="text_to_mesh"))
    second = rig.call()
    assert (first.call_id, first.bids[0].lot) == (1, 7)
    assert second.seq > first.seq


def test_the_only_offer_of_a_loaded_worker_stands() -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 4000)])
    assert not one(rig.call()).stands, "a load is not nothing"
    rig.warm("alpha")
    assert one(rig.call()).stands
    rig.take("alpha")
    assert not one(rig.call()).stands, "it is busy"


def test_no_offer_stands_where_another_device_might_do_better() -> None:
    rig = AgentRig([fixed(10_000, number=0), fixed(10_000, number=1)])
    rig.warm("alpha")
    assert [(bid.warm, bid.stands) for bid in rig.call().bids] == [(True, False), (False, False)]


def test_a_load_that_began_after_the_last_tick_before_a_pause_took_no_negative_time() -> None:
    rig = AgentRig()
    rig.now = Now(rig.now.mono + 0.2, rig.now.wall + 0.2)  # between two ticks
    token = rig.take()
    rig.fetch(token)
    worker_id = rig.run_of(token).worker.worker_id
    rig.tell(events.WorkerReady(worker_id, 77))
    rig.pause(30.0)
    rig.tell(events.ModelLoaded(worker_id, 2.0))
    assert rig.engine.core.estimates.load_s("alpha", rig.run_of(token).worker.device) == 0.0


def test_a_cold_bid_tells_the_adapters_slots() -> None:
    rig = AgentRig([fixed(100_000)], [adapter(vram_mb=1000, max_concurrent=3)])
    assert one(rig.call(jobs=9)).max_concurrent == 3
    assert one(rig.call(jobs=9)).slots == 3


def test_room_that_an_ending_worker_leaves_is_waited_for_no_time() -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 6000), adapter("beta", 6000), adapter("gamma", 6000)])
    rig.warm("alpha")
    rig.take("beta")
    bid = one(rig.call(adapters=["gamma"]))
    assert bid.slots == 0
    # beta has yet to load and to run; alpha, which ends for it, leaves nothing for gamma.
    assert bid.est_queue_s > 0.0
    alone = AgentRig([fixed(10_000)], [adapter("alpha", 6000), adapter("beta", 6000)])
    worker_id = alone.warm("alpha")
    alone.tell(events.UnloadRequested("alpha", None))
    assert alone.worker(worker_id).state.value == "stopping"
    (found,) = alone.call(adapters=["beta"]).bids
    assert found.est_queue_s == 0.0


@pytest.mark.parametrize(
    ("total_mb", "jobs", "slots"), [(12_000, 9, 5), (11_999, 9, 4), (4000, 9, 1), (12_000, 1, 1), (12_000, 0, 1)]
)
def test_each_further_slot_needs_the_rest_of_a_job(total_mb: int, jobs: int, slots: int) -> None:
    rig = AgentRig([fixed(total_mb)], [adapter(vram_mb=2000, max_concurrent=8)])
    bid = one(rig.call(jobs=jobs, vram_mb=4000))
    assert (bid.claim_mb, bid.claim_next_mb, bid.slots) == (4000, 2000, slots)


def test_slots_that_evictions_make_room_for_are_offered() -> None:
    adapters = [adapter("alpha", 6000), adapter("beta", 3000, max_concurrent=4, idle_vram_mb=0)]
    rig = AgentRig([fixed(8000)], adapters)
    rig.warm("alpha")
    bid = one(rig.call(jobs=4, adapters=["beta"]))
    assert (bid.slots, bid.evict_mb) == (2, 6000)


def test_no_offer_stands_that_claims_memory() -> None:
    rig = AgentRig()
    rig.warm()
    assert one(rig.call(vram_mb=6000)).stands
    assert not one(rig.call(vram_mb=6001)).stands


def test_where_others_hold_even_what_is_kept_free_there_is_nothing_and_not_less() -> None:
    rig = AgentRig([gpu(16_000, buffer_mb=1000)])
    rig.probe({"GPU-0": 500}, {"GPU-0": {4711: 15_500}})
    (reason,) = why(rig.call())
    assert (reason.code, reason.need_mb, reason.have_mb, reason.short_mb) == ("vram_busy", 6000, 0, 6000)


def test_a_device_that_may_run_nothing_says_so_without_megabytes() -> None:
    (reason,) = why(AgentRig([fixed(cap=0)]).call())
    assert (reason.code, reason.device, reason.adapter_id) == ("no_slot", "fixed-0", "alpha")
    assert (reason.need_mb, reason.have_mb, reason.short_mb) == (None, None, None)


def test_a_run_that_has_yet_to_load_is_waited_for_with_its_load() -> None:
    rig = AgentRig([fixed(cap=1)], assumed_load_s=20.0, assumed_run_s=30.0)
    rig.take()
    assert one(rig.call()).est_queue_s == 50.0
    rig.pass_time(15)
    assert one(rig.call()).est_queue_s == pytest.approx(35.0)
    rig.pass_time(25)
    assert one(rig.call()).est_queue_s == pytest.approx(34.0), "overdue: a tenth of what the load has taken"


def test_the_first_of_several_runs_that_ends_makes_room_for_a_job_of_its_adapter() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=2)], assumed_run_s=30.0)
    first, second = rig.take(), rig.take()
    rig.run(first)
    rig.pass_time(10)
    rig.run(second)
    bid = one(rig.call())
    assert (bid.slots, bid.max_concurrent) == (0, 2)
    assert bid.est_queue_s == pytest.approx(20.0)


def test_a_job_that_waits_for_all_memory_waits_for_the_last_run_on_it() -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 4000), adapter("beta", 4000), adapter("gamma", 10_000)])
    rig.run(rig.take("alpha"))
    rig.pass_time(10)
    rig.run(rig.take("beta"), pid=78)
    assert one(rig.call(adapters=["gamma"])).est_queue_s == pytest.approx(30.0)
