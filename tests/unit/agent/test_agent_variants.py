"""Variants on an agent: what it bids, what it starts, what it tells of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from pocket3d.contracts.commands import BenchedVariant, BidPlaced, CallAnswered
from pocket3d.contracts.variants import RaisedNeed, Variant
from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, fixed, of, only

SMALL = Variant(name="512", vram_mb=8000, quality=1)
LARGE = Variant(name="1024", vram_mb=16_000, quality=2)


def sized(**changes: Any) -> AdapterDescription:
    """An adapter in two sizes."""
    return adapter("sized", SMALL.vram_mb, variants=[SMALL, LARGE], **changes)


def rig_of(*totals_mb: int, adapters: list[AdapterDescription] | None = None, **settings: Any) -> AgentRig:
    devices = [fixed(total_mb, number=number) for number, total_mb in enumerate(totals_mb)]
    return AgentRig(devices, adapters or [sized()], **settings)


def bids(answer: CallAnswered) -> list[tuple[str | None, str, int]]:
    """Variant, device, slots."""
    assert not answer.declines, answer.declines
    return [(bid.variant, bid.device, bid.slots) for bid in answer.bids]


def only_bid(answer: CallAnswered) -> BidPlaced:
    (bid,) = answer.bids
    return bid


# ---------------------------------------------------------------- bids


def test_each_device_bids_the_best_variant_that_it_can_start_now() -> None:
    rig = rig_of(24_000, 12_000)
    assert bids(rig.call()) == [("1024", "fixed-0", 1), ("512", "fixed-1", 1)]
    assert [bid.claim_mb for bid in rig.call().bids] == [16_000, 8000]


def test_a_variant_that_the_coordinator_benched_on_a_device_is_not_bid_there() -> None:
    rig = rig_of(24_000, 24_000)
    large = BenchedVariant(adapter_id="sized", variant="1024", device="fixed-0")
    assert bids(rig.call(benched=[large])) == [("512", "fixed-0", 1), ("1024", "fixed-1", 1)]
    small = structs.replace(large, variant="512")
    assert bids(rig.call(benched=[large, small])) == [("1024", "fixed-1", 1)]
    (declined,) = rig_of(24_000).call(benched=[large, small]).declines
    assert [(reason.code, reason.device) for reason in declined.reasons] == [("benched", "fixed-0")]


def test_a_loaded_small_one_does_not_keep_out_a_better_one_that_has_room() -> None:
    rig = rig_of(24_000)
    rig.warm("sized", variant="512")
    bid = only_bid(rig.call())
    assert (bid.variant, bid.slots, bid.warm, bid.claim_mb, bid.evict_mb) == ("1024", 1, False, 16_000, 0)


def test_a_device_that_is_too_busy_for_the_better_one_bids_the_smaller() -> None:
    rig = rig_of(24_000, adapters=[sized(), adapter("other", 12_000)])
    rig.run(rig.take("other"))
    assert bids(rig.call(adapters=["sized"])) == [("512", "fixed-0", 1)]


def test_where_none_can_start_it_bids_the_best_of_those_that_are_free_first() -> None:
    rig = rig_of(24_000, assumed_run_s=30.0)
    rig.run(rig.take("sized", variant="1024"))
    rig.run(rig.take("sized", variant="512"))
    rig.pass_time(10)
    bid = only_bid(rig.call())
    assert (bid.variant, bid.slots, bid.warm, bid.est_queue_s) == ("1024", 0, True, pytest.approx(20.0))


def test_it_bids_a_better_one_to_wait_for_beside_what_can_start_now() -> None:
    rig = rig_of(24_000, assumed_run_s=30.0)
    rig.run(rig.take("sized", variant="1024"))
    assert bids(rig.call(variant_wait_s=29.0)) == [("512", "fixed-0", 1)]
    assert bids(rig.call(variant_wait_s=30.0)) == [("1024", "fixed-0", 0), ("512", "fixed-0", 1)]


def test_a_lot_of_many_jobs_gets_lesser_ones_too() -> None:
    rig = rig_of(24_000)
    assert bids(rig.call(jobs=2)) == [("1024", "fixed-0", 1), ("512", "fixed-0", 1)]


def test_a_named_variant_is_the_only_one_bid() -> None:
    rig = rig_of(24_000, 12_000)
    assert bids(rig.call(variant="512")) == [("512", "fixed-0", 1), ("512", "fixed-1", 1)]
    assert bids(rig.call(variant="1024")) == [("1024", "fixed-0", 1)]


def test_an_unknown_variant_is_declined_with_those_that_there_are() -> None:
    (declined,) = rig_of(24_000).call(variant="2048").declines
    (reason,) = declined.reasons
    assert (reason.code, reason.message) == ("no_adapter", "sized has no variant 2048 here; it has 512, 1024")
    (declined,) = rig_of(24_000, adapters=[adapter()]).call(variant="512").declines
    assert declined.reasons[0].message == "alpha has no variant 512 here; it has none"


def test_a_device_too_small_for_all_says_what_the_smallest_lacks() -> None:
    (declined,) = rig_of(6000).call().declines
    (reason,) = declined.reasons
    assert (reason.code, reason.variant, reason.need_mb, reason.short_mb) == ("vram_total", "512", 8000, 2000)


def test_a_job_with_a_memory_of_its_own_gets_the_best_that_declares_no_more() -> None:
    rig = rig_of(24_000)
    assert [(bid.variant, bid.claim_mb) for bid in rig.call(vram_mb=20_000).bids] == [("1024", 20_000)]
    assert [(bid.variant, bid.claim_mb) for bid in rig.call(vram_mb=9000).bids] == [("512", 9000)]
    assert [(bid.variant, bid.claim_mb) for bid in rig.call(vram_mb=100).bids] == [("512", 100)]


def test_after_running_out_of_memory_the_variant_needs_more_and_the_smaller_one_does_not() -> None:
    rig = rig_of(48_000, 24_000, 12_000)
    raised = [RaisedNeed(adapter_id="sized", variant="1024", vram_mb=24_500)]
    offers = [(bid.variant, bid.device, bid.claim_mb) for bid in rig.call(raised=raised).bids]
    assert offers == [("1024", "fixed-0", 24_500), ("512", "fixed-1", 8000), ("512", "fixed-2", 8000)]
    never = [RaisedNeed(adapter_id="sized", variant="1024")]
    assert {bid.variant for bid in rig.call(raised=never).bids} == {"512"}
    all_of_them = [RaisedNeed(adapter_id="sized", variant="512")]
    (declined,) = rig.call(raised=all_of_them).declines
    assert "ran out of memory in each variant of sized: 512, 1024" in (declined.reasons[0].message or "")


def test_a_bid_stands_only_for_the_best_variant_or_the_one_that_is_named() -> None:
    rig = rig_of(24_000, adapters=[sized(), adapter("other", 12_000, feature="auto_rig")])
    rig.warm("sized", variant="512")
    other = rig.take("other", feature="auto_rig")
    rig.run(other)
    assert [(bid.variant, bid.stands) for bid in rig.call().bids] == [("512", False)]
    assert [(bid.variant, bid.stands) for bid in rig.call(variant="512").bids] == [("512", True)]
    worker_id = rig.run_of(other).worker.worker_id
    rig.finish(other)
    rig.tell(events.UnloadRequested("other", None))
    rig.tell(events.WorkerExited(worker_id))
    rig.warm("sized", variant="1024")
    assert [(bid.variant, bid.stands) for bid in rig.call().bids] == [("1024", True)]


# ---------------------------------------------------------------- workers


def test_an_award_starts_a_worker_of_its_variant_and_all_messages_say_which() -> None:
    rig = rig_of(24_000)
    token = rig.take("sized", variant="512")
    started = only(rig.log, effects.StartWorker)
    assert (started.adapter_id, started.device, started.variant, started.vram_mb) == ("sized", "fixed-0", "512", 8000)
    rig.run(token)
    rig.pass_time(1)
    advert = of(rig.log, effects.PublishAdvert)[-1].advert
    assert [resident.variant for resident in advert.residents] == ["512"]
    assert [running.variant for running in advert.running] == ["512"]
    assert {outcome.variant for outcome in rig.engine.core.outcomes.values()} == {"512"}
    rig.tell(events.RunFinished(token, {"success": True}, (), 1.0, None))
    assert only(rig.log, effects.StoreResult).result.variant == "512"
    adapters = next(e.advert.adapters for e in of(rig.log, effects.PublishAdvert) if e.advert.adapters is not None)
    assert adapters[0].variants == [SMALL, LARGE]


def test_variants_have_workers_of_their_own_side_by_side() -> None:
    rig = rig_of(24_000)
    first, second = rig.take("sized", variant="1024"), rig.take("sized", variant="512")
    rig.run(first, 77)
    rig.run(second, 78)
    assert {(w.variant, len(w.runs)) for w in rig.engine.core.workers.values()} == {("1024", 1), ("512", 1)}
    assert rig.refused("sized", variant="512").reason is not None, "its one slot is taken"


def test_a_small_one_that_is_idle_makes_room_for_the_large_one() -> None:
    rig = rig_of(20_000)
    small = rig.warm("sized", variant="512")
    rig.take("sized", variant="1024")
    assert rig.worker(small).state.value == "stopping"
    assert rig.worker(small).stop_why == "evicted for sized as 1024"


def test_an_award_of_an_earlier_version_names_none_and_gets_the_best_that_can_start() -> None:
    rig = rig_of(24_000)
    assert rig.run_of(rig.take("sized")).worker.variant == "1024"
    assert rig.run_of(rig.take("sized")).worker.variant == "512"
    reason = rig.refused("sized").reason
    assert reason is not None and (reason.code, reason.variant) == ("no_slot", "512")
    named = rig_of(24_000)
    assert named.run_of(named.take("sized", named="512")).worker.variant == "512"


@pytest.mark.parametrize("fields", [{"variant": "2048"}, {"named": "2048"}])
def test_an_award_of_a_variant_that_is_not_there_is_declined(fields: dict[str, str]) -> None:
    reason = rig_of(24_000).refused("sized", **fields).reason
    assert reason is not None and (reason.code, reason.message) == ("no_adapter", "sized has no variant 2048 here")
    reason = rig_of(24_000, adapters=[adapter()]).refused("alpha", **fields).reason
    assert reason is not None and reason.code == "no_adapter"


def test_what_is_learned_of_one_variant_says_nothing_of_the_other() -> None:
    rig = rig_of(24_000, assumed_load_s=20.0)
    token = rig.take("sized", variant="512")
    rig.fetch(token)
    rig.pass_time(3)
    rig.start_worker(rig.run_of(token).worker.worker_id)
    rig.finish(token, run_s=7.0, peak_mb=9000)
    small, large = only_bid(rig.call(variant="512")), only_bid(rig.call(variant="1024"))
    assert (small.est_load_s, small.est_run_s, small.claim_mb) == (0.0, 7.0, 1000)
    assert (large.est_load_s, large.est_run_s, large.claim_mb) == (20.0, None, 16_000)
    learned = rig.engine.core.estimates
    assert learned.load_s("sized", "fixed-0", "512") == pytest.approx(3.0)
    assert learned.load_s("sized", "fixed-0") is None


# ---------------------------------------------------------------- operators


def ask(rig: AgentRig, event: events.Event) -> str:
    rig.tell(event)
    answered = [e for e in rig.log if isinstance(e, (effects.Reply, effects.RefuseRequest))][-1]
    return answered.message if isinstance(answered, effects.RefuseRequest) else answered.message.message  # type: ignore[union-attr]


def test_an_operator_loads_the_best_that_fits_or_the_one_that_is_named() -> None:
    rig = rig_of(12_000, 24_000)
    assert ask(rig, events.LoadRequested("sized", None, 900)) == "loading sized as 1024 on fixed-1"
    assert ask(rig, events.LoadRequested("sized", "fixed-0", 900)) == "loading sized as 512 on fixed-0"
    assert ask(rig, events.LoadRequested("sized", None, 900)) == "sized as 1024 is starting on fixed-1, and stays"
    assert ask(rig, events.LoadRequested("sized", "fixed-0", 900, "1024")).startswith(
        "sized as 1024 cannot be loaded on fixed-0: vram_total, short of 4000 MB"
    )
    assert ask(rig, events.LoadRequested("sized", None, 900, "2048")) == (
        "sized has no variant 2048 here; it has 512, 1024"
    )


def test_an_operator_frees_one_variant_or_all_of_them() -> None:
    rig = rig_of(24_000)
    small, large = rig.warm("sized", variant="512"), rig.warm("sized", variant="1024", pid=78)
    assert ask(rig, events.UnloadRequested("sized", None, 900, "512")) == "unloading sized: as 512 fixed-0 now"
    assert rig.worker(small).state.value == "stopping" and rig.worker(large).state.value == "idle"
    assert ask(rig, events.UnloadRequested("sized", None, 900)) == "unloading sized: as 1024 fixed-0 now"
