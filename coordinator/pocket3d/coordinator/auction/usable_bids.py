"""Which bids may be used: not those on devices that get no job now, and those where a job failed before only if there
are no others. Agents bid for all of their devices; what happened on one is the coordinator's to remember. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from pocket3d.contracts.commands import BidDeclined, BidPlaced, Reason

from ..engine.job import GroupKey
from .fleet import AgentView, Fleet
from .planning import LotBid


def usable_bids(
    fleet: Fleet, view: AgentView, bids: Sequence[BidPlaced], now_mono: float
) -> tuple[list[BidPlaced], list[BidDeclined]]:
    """The bids of one agent without those on devices that are benched or in quarantine; and, as if it had declined, the
    lots for which it has no other.
    """
    usable: list[BidPlaced] = []
    shut: dict[int, list[Reason]] = {}
    for bid in bids:
        device = view.device(bid.device)
        reason = fleet.shut(view, device, bid.adapter_id, bid.variant, now_mono) if device is not None else None
        if reason is None:
            usable.append(bid)
        else:
            shut.setdefault(bid.lot, []).append(reason)
    left = {bid.lot for bid in usable}
    return usable, [BidDeclined(lot=lot, reasons=reasons) for lot, reasons in shut.items() if lot not in left]


def where_not_failed(key: GroupKey, bids: list[LotBid]) -> list[LotBid]:
    """The bids on devices where such a job has not failed yet; all of them where it has failed on each."""
    if not key.failed_on:
        return bids
    return [each for each in bids if (each.agent_id, each.bid.device) not in key.failed_on] or bids
