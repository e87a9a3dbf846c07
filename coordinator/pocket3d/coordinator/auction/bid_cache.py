"""Bids that can be used again: one agent alone could take a kind of job, and was warm for it when last asked.

A call for bids costs a job a round trip. It brings nothing new when the only bidder has said that its bid stands and
nothing has happened to it since, so the job is awarded on that offer; the agent's ledger has the last word as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..engine.job import GroupKey
from .expected import UNMEASURED, Expected
from .fair_share import Cost
from .fleet import Fleet
from .planning import Assignment, LotBid, bounded
from .queue import WaitingQueue

#: Kinds of jobs whose offers are remembered. With more of them a job rarely meets its own kind's offer.
_KINDS = 256


class StandingOffer(NamedTuple):
    """One bid for a lot, and the version of the fleet for which it holds."""

    agent_id: str
    device: str
    adapter_id: str
    #: Of the fleet when the offer was made: another agent, device or adapter might do better.
    composition: int
    #: What a run there is expected to cost.
    cost: Cost
    #: Of the adapter, None if it has none.
    variant: str | None = None
    expected: Expected = UNMEASURED


class BidCache:
    """Bids of earlier rounds that can be used without another call. Pure.

    Args:
        queue: who waits.
        fleet: where it could go.
        assumed_run_s: run time where an agent has no history.
    """

    def __init__(self, queue: WaitingQueue, fleet: Fleet, assumed_run_s: float) -> None:
        self._queue = queue
        self._fleet = fleet
        self._assumed_run_s = assumed_run_s
        self._offers: dict[GroupKey, StandingOffer] = {}

    def note(self, key: GroupKey, bids: Sequence[LotBid], now_mono: float) -> None:
        """Remember the bid of a round for a lot; anything but one reusable bid ends the former one."""
        self._offers.pop(key, None)
        if len(bids) != 1 or not bids[0].bid.stands or key.excluded or key.failed_on:
            return
        agent_id, bid = bids[0].agent_id, bids[0].bid
        others = (view for view in self._fleet.agents.values() if view.agent_id != agent_id)
        if all(self._fleet.obstacles(view, key, now_mono) for view in others):
            # Not of one whose rivals were only busy, or not heard.
            cost = bids[0].cost(self._assumed_run_s)
            composition = self._fleet.composition
            self._offers[key] = StandingOffer(
                agent_id, bid.device, bid.adapter_id, composition, cost, bid.variant, Expected.by(bid)
            )
            if len(self._offers) > _KINDS:
                del self._offers[next(iter(self._offers))]

    def __len__(self) -> int:
        """Lots for which a bid is remembered."""
        return len(self._offers)

    def withdraw(self, agent_id: str) -> None:
        """Forget the bids of an agent."""
        self._offers = {key: offer for key, offer in self._offers.items() if offer.agent_id != agent_id}

    def for_lot(self, key: GroupKey, now_mono: float) -> StandingOffer | None:
        """The bid that may be used for a lot at this moment, if any."""
        offer = self._offers.get(key)
        if offer is None:
            return None
        view = self._fleet.agents.get(offer.agent_id)
        if view is None or offer.composition != self._fleet.composition:
            del self._offers[key]
            return None
        device = view.device(offer.device)
        if view.attempts or device is None:
            return None
        shut = self._fleet.shut(view, device, offer.adapter_id, offer.variant, now_mono)
        return None if shut is not None else offer

    def take(self, now_mono: float) -> list[Assignment]:
        """Place the only queued job by a remembered bid; with several queued, a round decides who comes first."""
        if len(self._queue.active) != 1:
            return []
        (group,) = self._queue.active.values()
        line = group.first_line() if len(group) == 1 else None
        offer = self.for_lot(group.key, now_mono) if line is not None else None
        if line is None or offer is None or group.sleeps(self._fleet.version, now_mono):
            return []
        record, flow = line.head(), line.flow
        charge = self._queue.share.start(flow, flow.clock.level, bounded(offer.cost, record.job_class.limits))
        place = offer.agent_id, offer.device, offer.adapter_id
        return [Assignment(record, *place, 0, charge, offer.variant, expected=offer.expected)]
