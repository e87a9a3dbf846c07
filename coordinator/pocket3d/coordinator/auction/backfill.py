"""EASY backfill (Lifka, 1995): one device is kept for the oldest job that waits for room, and others run on it only if
they end before that job's start. Others: those whose turn comes after that job's.
"""

from __future__ import annotations

from ..engine.job import GroupKey, JobRecord
from .planning import BackfillReservation, LotBid


class Backfill:
    """At most one device is held. Pure.

    Args:
        hold_after_s: how long a job must have waited before a device is held for it.
    """

    def __init__(self, hold_after_s: float) -> None:
        self._hold_after_s = hold_after_s
        self.hold: BackfillReservation | None = None

    def consider(self, record: JobRecord, next_start: tuple[str, str, float] | None, now_mono: float) -> None:
        """Reserve, for the oldest job past its limit, the device on which it could start first."""
        if next_start is None or now_mono - record.queued_at < self._hold_after_s:
            return
        key = record.group_key()
        if self.hold is not None and self.hold.key != key:
            return
        agent_id, device, start_s = next_start
        start_at = now_mono + start_s
        if self.hold is not None and (self.hold.agent_id, self.hold.device) == (agent_id, device):
            # An estimate that keeps receding must not let others in for ever.
            start_at = min(start_at, self.hold.start_at)
        self.hold = BackfillReservation(record.job_id, record.job_class.tenant, key, agent_id, device, start_at)

    def check(self, key: GroupKey, bids: list[LotBid]) -> None:
        """Drop the reservation if its device no longer bids for the lot."""
        hold = self.hold
        if hold is not None and hold.key == key:
            places = {(lot_bid.agent_id, lot_bid.bid.device) for lot_bid in bids}
            if (hold.agent_id, hold.device) not in places:
                self.hold = None

    def release_job(self, job_id: str) -> None:
        """End the reservation of a job that has its device, or has ended."""
        if self.hold is not None and self.hold.job_id == job_id:
            self.hold = None

    def release_group(self, key: GroupKey) -> None:
        """End the reservation of a lot for which no agent is asked any more."""
        if self.hold is not None and self.hold.key == key:
            self.hold = None

    def release_place(self, key: GroupKey, agent_id: str, device: str) -> None:
        """End the reservation when a job of its lot gets the device."""
        hold = self.hold
        if hold is not None and (hold.key, hold.agent_id, hold.device) == (key, agent_id, device):
            self.hold = None

    def release_agent(self, agent_id: str) -> None:
        """End the reservation of a device whose agent is lost."""
        if self.hold is not None and self.hold.agent_id == agent_id:
            self.hold = None
