"""From bids to awards: which waiting job goes to which offer, decided on values.

Offers are taken greedily in queue order. An offer whose worker is busy may be the best one (a warm model beats a load
elsewhere): then the job keeps waiting with that plan, and the plan counts into the offer's queue, so that a hundred
jobs do not all wait for one warm agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from pocket3d.contracts.commands import BidPlaced
from pocket3d.contracts.fit import Need, Room, fits
from pocket3d.contracts.jobs import Limits
from pocket3d.contracts.variants import label

from ..engine.job import GroupKey, JobRecord
from .expected import UNMEASURED, Expected
from .fair_share import Charge, Cost
from .fleet import WorkerUse
from .scoring import Candidate, Policy, worth_choosing

#: Agent, device, adapter, variant (None for an adapter without any).
WorkerKey = tuple[str, str, str, str | None]


class LotBid(NamedTuple):
    """One bid with the agent that placed it."""

    agent_id: str
    bid: BidPlaced
    #: Place of its adapter in the order of equals, 0 best.
    preference: int
    #: Of the device's memory that one such job books.
    share: float
    #: Of its variant, 0 for an adapter without any.
    quality: int

    def cost(self, assumed_run_s: float) -> Cost:
        """What a run by this bid is expected to cost."""
        run_s = assumed_run_s if self.bid.est_run_s is None else self.bid.est_run_s
        return Cost(self.bid.est_load_s + run_s, self.share)


class Placed(NamedTuple):
    """The bid that takes a job, and what the job newly claims on its device, MB."""

    by: LotBid
    claim_mb: int
    #: In words: a better variant that would have been waited for longer.
    passed_over: str | None = None


def bounded(cost: Cost, limits: Limits) -> Cost:
    """A bid may be wrong beyond measure; a job is charged for no more time than it may take."""
    return Cost(min(cost.seconds, limits.load_s + limits.start_to_close_s), cost.share)


class Assignment(NamedTuple):
    """One job, and the bid that it is assigned to."""

    record: JobRecord
    agent_id: str
    device: str
    adapter_id: str
    claim_mb: int
    #: What its tenant was charged for it.
    charge: Charge
    #: Of the adapter, None if it has none.
    variant: str | None = None
    #: In words: why it is no better variant; None where that is not known, or it is the best.
    passed_over: str | None = None
    #: What it is expected to take there.
    expected: Expected = UNMEASURED


class BackfillReservation(NamedTuple):
    """A device kept for the oldest job that waits for room (EASY backfill: Lifka, 1995), and for those that bid alike:
    whichever of them is first may take it, or it would wait behind the hold, and the hold behind it.
    """

    job_id: str
    tenant: str
    key: GroupKey
    agent_id: str
    device: str
    #: When the job is expected to start there, monotonic seconds.
    start_at: float


_NOTHING = WorkerUse(0, apart=False)


class _Offer:
    """A bid, and the jobs that this round has already assigned to it."""

    __slots__ = ("agent_id", "bid", "lot_bid", "planned", "preference", "slots", "taken")

    def __init__(self, lot_bid: LotBid) -> None:
        self.lot_bid = lot_bid
        self.agent_id = lot_bid.agent_id
        self.bid = lot_bid.bid
        self.preference = lot_bid.preference
        self.slots = lot_bid.bid.slots
        self.taken = 0
        self.planned = 0

    @property
    def claim_mb(self) -> int:
        return self.bid.claim_next_mb if self.taken else self.bid.claim_mb

    @property
    def place(self) -> tuple[str, str]:
        return self.agent_id, self.bid.device

    @property
    def worker(self) -> WorkerKey:
        return self.agent_id, self.bid.device, self.bid.adapter_id, self.bid.variant


class LotPlan:
    """What a round has decided for one lot so far."""

    __slots__ = ("closed", "expected", "in_variants", "key", "next_start", "offers", "waits_for")

    def __init__(self, key: GroupKey, bids: Sequence[LotBid]) -> None:
        self.key = key
        self.offers = [_Offer(bid) for bid in bids]
        self.in_variants = any(bid.bid.variant is not None for bid in bids)
        #: Nothing more of it can be placed in this round.
        self.closed = not bids
        #: In words: what the lot waits for; None if nothing does.
        self.waits_for: str | None = None
        #: The device on which the lot's next job could start first, and in how many seconds; None without any bid.
        self.next_start: tuple[str, str, float] | None = None
        #: What that job is expected to take there.
        self.expected = UNMEASURED

    @property
    def waits(self) -> bool:
        """True if a job of it could not be placed."""
        return self.closed or self.next_start is not None


class RoundPlanner:
    """Places the jobs of one round one after the other on the same room, whatever lots they are of.

    Args:
        policy: orders candidates.
        rooms: (agent, device) -> what may be promised there now, idle residents not counted. On a device that its
            agent does not list, the slots of a bid alone decide.
        assumed_run_s: run time where an agent has no history.
        hold: a device kept for another job, or None.
        now_mono: for the hold.
        out: worker -> attempts that are out on it.
        variant_wait_s: how much longer a job may wait for a better variant.
    """

    def __init__(
        self,
        policy: Policy,
        rooms: Mapping[tuple[str, str], Room],
        assumed_run_s: float,
        hold: BackfillReservation | None,
        now_mono: float,
        out: Mapping[WorkerKey, WorkerUse],
        variant_wait_s: float,
    ) -> None:
        self._policy = policy
        self._out = out
        #: Workers that a job of this round has, or waits for, to itself.
        self._reserved: set[WorkerKey] = set()
        self._variant_wait_s = variant_wait_s
        self._rooms = dict(rooms)
        self._assumed_run_s = assumed_run_s
        self._hold = hold
        self._now = now_mono
        #: MB of idle residents that this round has already evicted: they give their room once.
        self._evicted: dict[tuple[str, str], int] = {}
        #: Slots used by earlier lots of this round on a worker.
        self._used: dict[WorkerKey, int] = {}

    def place(self, plan: LotPlan, *, behind_hold: bool = True) -> Placed | None:
        """Give the next job of a lot to the best offer; None where it waits for that one, or for any.

        Args:
            plan: the lot's.
            behind_hold: false for a job whose turn comes before that of the job for which a device is held.
        """
        hold = self._hold if behind_hold else None
        free = [self._free_now(offer, plan.key, hold) for offer in plan.offers]
        candidates = [self._candidate(*each) for each in zip(plan.offers, free, strict=True)]
        if not candidates:
            return None
        places: Iterable[int] = range(len(candidates))
        if plan.in_variants:
            places = compress(places, worth_choosing(candidates, self._variant_wait_s))
        chosen = min(places, key=lambda at: (self._policy(candidates[at]), *candidates[at][:2]))
        best = plan.offers[chosen]
        if free[chosen]:
            return self._take(best, plan.key)._replace(passed_over=_passed_over(chosen, candidates))
        if plan.key.apart and not self._held(best, plan.key, hold):
            # Nobody else begins there, or it would never be free. On a held device that would keep out the job for
            # which it is held, and then neither would start.
            self._reserved.add(best.worker)
        start = self._start_s(best, free=False)
        if plan.next_start is None:
            plan.next_start = (best.agent_id, best.bid.device, start)
            place = f"{best.agent_id}/{best.bid.device}"
            name = label(best.bid.adapter_id, best.bid.variant)
            plan.waits_for = f"waits for {name} on {place}, about {start:.1f} s"
            plan.expected = Expected.by(best.bid)
        plan.closed = not any(free)
        best.planned += 1
        return None

    def _take(self, offer: _Offer, key: GroupKey) -> Placed:
        evicted = self._evictable(offer)
        self._evicted[offer.place] = self._evicted.get(offer.place, 0) + evicted
        room = self._rooms.get(offer.place)
        if room is not None:
            promised = room.reserved_mb + offer.claim_mb
            self._rooms[offer.place] = room._replace(free_mb=room.free_mb + evicted, reserved_mb=promised)
        self._used[offer.worker] = self._used.get(offer.worker, 0) + 1
        if key.apart:
            self._reserved.add(offer.worker)
        placed = Placed(offer.lot_bid, offer.claim_mb)
        offer.taken += 1
        return placed

    def _evictable(self, offer: _Offer) -> int:
        """MB that evicting idle residents still gives to this offer."""
        if offer.taken:
            return 0
        return max(0, offer.bid.evict_mb - self._evicted.get(offer.place, 0))

    def _free_now(self, offer: _Offer, key: GroupKey, hold: BackfillReservation | None) -> bool:
        bid = offer.bid
        used, out = self._used.get(offer.worker, 0), self._out.get(offer.worker, _NOTHING)
        if (used or out.runs) if key.apart else (offer.worker in self._reserved or out.apart):
            return False
        slots = bid.slots - used
        room = self._rooms.get(offer.place)
        if room is None:
            if slots < 1:
                return False
        else:
            with_evicted = room._replace(free_mb=room.free_mb + self._evictable(offer))
            if fits(Need(offer.claim_mb, (room.kind,), slots), with_evicted) is not None:
                return False
        return not self._held(offer, key, hold)

    def _held(self, offer: _Offer, key: GroupKey, hold: BackfillReservation | None) -> bool:
        """True on a device that is held for another job, unless this one ends before that one's start."""
        if hold is None or hold.key == key or offer.place != (hold.agent_id, hold.device):
            return False
        bid = offer.bid
        return bid.est_run_s is None or self._now + bid.est_load_s + bid.est_run_s > hold.start_at

    def _run_s(self, offer: _Offer) -> float:
        return offer.bid.est_run_s if offer.bid.est_run_s is not None else self._assumed_run_s

    def _start_s(self, offer: _Offer, *, free: bool) -> float:
        bid = offer.bid
        # The time of a load that is under way is in a bid that is not warm.
        return self._wait_s(offer, free=free) + (bid.est_load_s if free or not bid.warm else 0.0)

    def _wait_s(self, offer: _Offer, *, free: bool) -> float:
        """Seconds until the offer's worker, or its room, is free."""
        if free:
            return 0.0
        bid = offer.bid
        run_s = self._run_s(offer)
        queue_s = bid.est_queue_s
        if bid.slots > 0 or queue_s <= 0:
            # It had room when it bid; this round has used it up.
            queue_s = bid.est_load_s + run_s
        rounds = offer.planned // max(bid.max_concurrent, 1)
        return queue_s + rounds * run_s

    def _candidate(self, offer: _Offer, free: bool) -> Candidate:
        room = self._rooms.get(offer.place)
        return Candidate(
            agent_id=offer.agent_id,
            device=offer.bid.device,
            adapter_id=offer.bid.adapter_id,
            est_start_s=self._start_s(offer, free=free),
            preference=offer.preference,
            leftover_mb=max(0, room.available_mb - offer.claim_mb) if room is not None else 0,
            wait_s=self._wait_s(offer, free=free),
            variant=offer.bid.variant,
            quality=offer.lot_bid.quality,
        )


def _passed_over(chosen: int, candidates: Sequence[Candidate]) -> str | None:
    """Of the better variants of the chosen adapter the one that would be free first, in words."""
    taken = candidates[chosen]
    better = [each for each in candidates if each.adapter_id == taken.adapter_id and each.quality > taken.quality]
    if not better:
        return None
    first = min(better, key=lambda each: each.wait_s)
    return f"{first.variant} on {first.agent_id}/{first.device} was busy for about {first.wait_s:.1f} s more"
