"""The one device that is kept for the oldest job that waits for room: for whom, from when on, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pocket3d.contracts.commands import BidPlaced
from pocket3d.coordinator.auction.backfill import Backfill
from pocket3d.coordinator.auction.planning import LotBid
from pocket3d.coordinator.engine.job import GroupKey, JobRecord
from support.coordinator_desk import Desk

LIMIT_S = 60.0
PLACE = ("a1", "d0")
NOW = 2000.0


def waits(desk: Desk, job_id: str, since: float, **job: object) -> JobRecord:
    record = desk.submit(job_id, **job)
    record.queued_at = since
    return record


@pytest.fixture
def big(desk: Desk) -> JobRecord:
    return waits(desk, "big", NOW - 100.0)


@pytest.fixture
def backfill(big: JobRecord) -> Backfill:
    """It holds d0 of a1 for the job, which can start there in 20 s."""
    made = Backfill(LIMIT_S)
    made.consider(big, (*PLACE, 20.0), NOW)
    return made


@pytest.mark.parametrize(("waited_s", "held"), [(59.9, False), (60.0, True), (61.0, True)])
def test_a_device_is_held_from_the_limit_on(desk: Desk, waited_s: float, held: bool) -> None:
    backfill = Backfill(LIMIT_S)
    record = waits(desk, "big", NOW - waited_s, tenant="studio")
    backfill.consider(record, None, NOW)
    assert backfill.hold is None, "it could start nowhere"
    backfill.consider(record, (*PLACE, 20.0), NOW)
    key = record.group_key()
    assert backfill.hold == (("big", "studio", key, *PLACE, NOW + 20.0) if held else None)


@pytest.mark.parametrize(
    ("starts_in_s", "start_at"),
    [(5.0, NOW + 15.0), (10.0, NOW + 20.0), (40.0, NOW + 20.0), (math.inf, NOW + 20.0)],
)
def test_a_start_comes_closer_and_never_recedes(
    backfill: Backfill, big: JobRecord, starts_in_s: float, start_at: float
) -> None:
    """An estimate that keeps receding would let others in for ever."""
    backfill.consider(big, (*PLACE, starts_in_s), NOW + 10.0)
    assert backfill.hold is not None
    assert backfill.hold.start_at == start_at


def test_a_start_that_was_not_known_is_the_one_that_is(backfill: Backfill, big: JobRecord) -> None:
    backfill.hold = None
    backfill.consider(big, (*PLACE, math.inf), NOW)
    backfill.consider(big, (*PLACE, 50.0), NOW)
    assert backfill.hold is not None
    assert backfill.hold.start_at == NOW + 50.0


@pytest.mark.parametrize("place", [("a1", "d1"), ("a2", "d0")])
def test_another_device_that_is_free_earlier_is_held_instead_with_its_own_start(
    backfill: Backfill, big: JobRecord, place: tuple[str, str]
) -> None:
    backfill.consider(big, (*place, 40.0), NOW)
    assert backfill.hold is not None
    assert (backfill.hold.agent_id, backfill.hold.device, backfill.hold.start_at) == (*place, NOW + 40.0)


def test_one_device_is_held_and_no_second_for_another_lot(backfill: Backfill, desk: Desk) -> None:
    held = backfill.hold
    backfill.consider(waits(desk, "other", NOW - 500.0, priority="high"), ("a2", "d0", 1.0), NOW)
    assert backfill.hold is held


def bid(agent_id: str, device: str) -> LotBid:
    placed = BidPlaced(lot=0, adapter_id="echo", device=device, claim_mb=0, slots=0, est_queue_s=0.0, est_load_s=0.0)
    return LotBid(agent_id, placed, 0, 1.0, 0)


ANOTHER = GroupKey("high", "echo", None, 9, frozenset())


@pytest.mark.parametrize(
    ("of_its_lot", "bids", "kept"),
    [
        (True, [("a2", "d0"), PLACE], True),
        (True, [("a1", "d1")], False),
        (True, [("a2", "d0")], False),
        (True, [], False),
        (False, [], True),
    ],
)
def test_a_device_is_held_while_it_bids_for_the_lot(
    backfill: Backfill, big: JobRecord, of_its_lot: bool, bids: list[tuple[str, str]], kept: bool
) -> None:
    backfill.check(big.group_key() if of_its_lot else ANOTHER, [bid(*place) for place in bids])
    assert (backfill.hold is not None) is kept


@pytest.mark.parametrize(
    ("release", "kept"),
    [
        (lambda of, key: of.release_job("big"), False),
        (lambda of, key: of.release_job("other"), True),
        (lambda of, key: of.release_group(key), False),
        (lambda of, key: of.release_group(ANOTHER), True),
        (lambda of, key: of.release_agent("a1"), False),
        (lambda of, key: of.release_agent("a2"), True),
        (lambda of, key: of.release_place(key, *PLACE), False),
        (lambda of, key: of.release_place(ANOTHER, *PLACE), True),
        (lambda of, key: of.release_place(key, "a2", "d0"), True),
        (lambda of, key: of.release_place(key, "a1", "d1"), True),
    ],
)
def test_a_device_is_held_until_its_own_reason_ends(
    backfill: Backfill, big: JobRecord, release: Callable[[Backfill, GroupKey], None], kept: bool
) -> None:
    release(backfill, big.group_key())
    assert (backfill.hold is not None) is kept
    release(Backfill(LIMIT_S), big.group_key())
