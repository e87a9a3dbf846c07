"""Bids as they are overheard, matched with the jobs that were started."""

from __future__ import annotations

from typing import Any

from pocket3d.contracts.commands import BidDeclined, BidPlaced, CallAnswered, Reason
from pocket3d.contracts.messages import Status
from pocket3d.ops.gateway.auctions import Auctions


def bid(lot: int = 0, device: str = "gpu", load_s: float = 0.0, adapter_id: str = "a") -> BidPlaced:
    return BidPlaced(
        lot=lot,
        adapter_id=adapter_id,
        device=device,
        claim_mb=100,
        slots=1,
        est_queue_s=0.0,
        est_load_s=load_s,
        warm=not load_s,
    )


def answer(agent_id: str, call_id: int, *bids: BidPlaced, declines: tuple[BidDeclined, ...] = ()) -> CallAnswered:
    return CallAnswered(
        agent_id=agent_id, incarnation="i", seq=1, call_id=call_id, bids=list(bids), declines=list(declines)
    )


def running(job_id: str, agent_id: str, **fields: Any) -> Status:
    return Status(
        job_id=job_id,
        feature="echo",
        priority="normal",
        tenant="studio",
        status="running",
        attempt=1,
        agent_id=agent_id,
        at="2026-11-28T00:00:00.000Z",
        **{"adapter_id": "a", "device": "gpu"} | fields,
    )


def test_a_start_is_matched_with_the_bids_for_jobs_like_it() -> None:
    auctions = Auctions()
    auctions.answered(answer("one", 1, bid(0, adapter_id="b"), bid(1, load_s=2.0)))
    refusal = BidDeclined(lot=1, reasons=[Reason(agent_id="three", code="draining")])
    auctions.answered(answer("two", 1, bid(1, device="gpu-2", load_s=5.0)))
    auctions.answered(answer("three", 1, declines=(refusal,)))
    auctions.started(running("j1", "one"))
    found = auctions.of_job("j1")
    assert found is not None
    assert [(each.agent_id, each.won) for each in found.bids] == [("one", True), ("two", False)]
    assert [each.code for each in found.declines] == ["draining"]
    assert found.reason == "no other of 2 offers starts sooner; its model loads there in 2.0 s"
    auctions.started(running("j2", "two", device="gpu-2"))
    second = auctions.of_job("j2")
    assert second is not None and second.reason.startswith("1 of 2 offers start sooner")


def test_the_latest_call_counts_and_what_fits_no_call_is_unknown() -> None:
    auctions = Auctions()
    for call_id, load_s in ((1, 9.0), (2, 0.0)):
        auctions.answered(answer("one", call_id, bid(load_s=load_s)))
    auctions.started(running("j1", "one"))
    found = auctions.of_job("j1")
    assert found is not None and found.reason == "the only offer; its model is loaded there"
    auctions.started(running("j2", "one", adapter_id="b"))
    auctions.started(running("j3", "two"))
    assert (auctions.of_job("j2"), auctions.of_job("j3"), auctions.of_job("j4")) == (None, None, None)


def test_old_calls_are_forgotten() -> None:
    auctions = Auctions()
    for call_id in range(300):
        auctions.answered(answer(f"agent{call_id}", call_id, bid()))
    auctions.started(running("old", "agent0"))
    auctions.started(running("new", "agent299"))
    assert (auctions.of_job("old"), auctions.of_job("new") is not None) == (None, True)
