"""A bid, with what the coordinator knows of it: preference, quality, and the share of the device that it books."""

from __future__ import annotations

from pocket3d.contracts.commands import BidPlaced
from pocket3d.contracts.variants import Choice, choices

from ..engine.job import GroupKey
from .fair_share import booked_share
from .fleet import AgentView
from .planning import LotBid


def lot_bid(view: AgentView, key: GroupKey, bid: BidPlaced) -> LotBid:
    """One bid of an agent for jobs of that kind, as the planner takes it."""
    offer, device = view.adapters.get(bid.adapter_id), view.device(bid.device)
    ways = choices(offer, key.wish) if offer is not None else []
    way = next(
        (each for each in ways if each.variant == bid.variant), Choice(bid.variant, 0, bid.claim_mb, key.vram_mb)
    )
    share = booked_share(way.need_mb, bid.max_concurrent, device.total_mb if device else 0)
    return LotBid(view.agent_id, bid, _preference(view, key, bid.adapter_id), share, way.quality)


def _preference(view: AgentView, key: GroupKey, adapter_id: str) -> int:
    """Place of an adapter in the job's own list, else in the agent's order of equals."""
    order = list(key.preferred) if key.preferred is not None else view.preferred.get(key.canonical, [])
    return order.index(adapter_id) if adapter_id in order else len(order)
