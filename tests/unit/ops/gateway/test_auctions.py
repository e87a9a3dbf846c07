"""Bids as they are overheard, matched with the jobs that were started."""

from __future__ import annotations

from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("load_s", "says"),
    [
        (1.0, "1 of 3 offers start sooner by themselves; jobs of the same round took them; its model loads"),
        (2.0, "no other of 3 offers starts sooner; its model loads there in 2.0 s"),
    ],
)
def test_an_offer_that_starts_as_soon_as_the_winner_is_not_sooner(load_s: float, says: str) -> None:
    auctions = Auctions()
    auctions.answered(answer("one", 1, bid(load_s=2.0), bid(device="gpu-2", load_s=5.0)))
    auctions.answered(answer("two", 1, bid(load_s=load_s)))
    auctions.started(running("j1", "one"))
    found = auctions.of_job("j1")
    assert found is not None and found.reason.startswith(says)
    assert (found.agent_id, found.device, found.adapter_id) == ("one", "gpu", "a")
    assert [(each.agent_id, each.device, each.won) for each in found.bids] == [
        ("one", "gpu", True),
        ("two", "gpu", False),
        ("one", "gpu-2", False),
    ], "neither another offer of its agent nor the same of another has won"


def test_jobs_are_forgotten_from_that_which_started_longest_ago() -> None:
    auctions = Auctions()
    auctions.answered(answer("one", 1, bid()))
    for number in range(5_000):
        auctions.started(running(f"j{number}", "one"))
    auctions.started(running("j0", "one"))
    assert auctions.of_job("j1") is not None, "5000 are kept"
    auctions.started(running("more", "one"))
    kept = {name: auctions.of_job(name) is not None for name in ("j0", "j1", "j2", "more")}
    assert kept == {"j0": True, "j1": False, "j2": True, "more": True}, "j0 started again since"


def test_old_calls_are_forgotten() -> None:
    auctions = Auctions()
    for call_id in range(300):
        auctions.answered(answer(f"agent{call_id}", call_id, bid()))
    auctions.started(running("old", "agent99"))
    auctions.started(running("kept", "agent100"))
    assert auctions.of_job("kept") is not None, "200 calls are kept"
    auctions.started(running("new", "agent299"))
    assert (auctions.of_job("old"), auctions.of_job("new") is not None) == (None, True)
