"""Offers that stand: where one agent alone could take a kind of job, and was loaded for it when last asked.

A call for bids costs a job a round trip. It tells nothing new when the only bidder has said that its offer stands and
nothing has happened to it since, so the job is awarded on that offer; the agent's ledger has the last word as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..engine.job import GroupKey
from .fleet import Fleet
from .planning import Assignment, LotBid
from .queue import WaitingQueue

#: Kinds of jobs whose offers are remembered. With more of them a job rarely meets its own kind's offer.
_KINDS = 256


class StandingOffer(NamedTuple):
    """The place where jobs of one lot go, and the fleet in which that was so."""

    agent_id: str
    device: str
    adapter_id: str
    #: Of the fleet when the offer was made: another agent, device or adapter might do better.
    composition: int


class BidCache:
    """What was offered in earlier rounds and still stands. Pure.

    Args:
        queue: who waits.
        fleet: where it could go.
    """

    def __init__(self, queue: WaitingQueue, fleet: Fleet) -> None:
        self._queue = queue
        self._fleet = fleet
        self._offers: dict[GroupKey, StandingOffer] = {}

    def note(self, key: GroupKey, bids: Sequence[LotBid], now_mono: float) -> None:
        """Remember what a round was offered for a lot; anything but one offer that stands ends the former one."""
        self._offers.pop(key, None)
        if len(bids) != 1 or not bids[0].bid.stands or key.excluded:
            return
        agent_id, bid, _ = bids[0]
        others = (view for view in self._fleet.agents.values() if view.agent_id != agent_id)
        if all(self._fleet.obstacles(view, key, now_mono) for view in others):
            # Not of one whose rivals were only busy, or not heard.
            self._offers[key] = StandingOffer(agent_id, bid.device, bid.adapter_id, self._fleet.composition)
            if len(self._offers) > _KINDS:
                del self._offers[next(iter(self._offers))]

    def __len__(self) -> int:
        """Kinds of jobs for which an offer is remembered."""
        return len(self._offers)

    def withdraw(self, agent_id: str) -> None:
        """Forget what an agent has offered."""
        self._offers = {key: offer for key, offer in self._offers.items() if offer.agent_id != agent_id}

    def for_lot(self, key: GroupKey, now_mono: float) -> StandingOffer | None:
        """The offer that stands for a lot at this moment."""
        offer = self._offers.get(key)
        if offer is None:
            return None
        view = self._fleet.agents.get(offer.agent_id)
        if view is None or offer.composition != self._fleet.composition:
            del self._offers[key]
            return None
        if view.attempts or offer.adapter_id in self._fleet.benched(offer.agent_id, now_mono):
            return None
        return offer

    def take(self, now_mono: float) -> list[Assignment]:
        """Place the one job that waits. With several, a round decides who comes first."""
        if len(self._queue.active) != 1:
            return []
        (line,) = self._queue.active.values()
        offer = self.for_lot(line.key, now_mono) if len(line) == 1 else None
        if offer is None or line.sleeps(self._fleet.version, now_mono):
            return []
        return [Assignment(line.head(), offer.agent_id, offer.device, offer.adapter_id, claim_mb=0)]
