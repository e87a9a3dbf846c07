"""Who bid for a job, and why its winner won: as overheard on the wire. Pure.

Agents bid for kinds of jobs (lots), not for jobs. A job that starts is matched with the latest call in which its agent
bid with that adapter on that device. So it is a picture for people: after the start of a gateway, or where bids may not
be overheard, there is none. Commands are not listened to: while somebody does, no sender of one is told that its agent
is gone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from pocket3d.contracts.commands import BidPlaced, CallAnswered, Reason
from pocket3d.contracts.messages import Status

#: Calls and jobs that are remembered.
_CALLS = 200
_JOBS = 5000


class JobBid(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's offer for jobs like this one."""

    agent_id: str
    device: str
    adapter_id: str
    variant: str | None
    warm: bool
    slots: int
    claim_mb: int
    evict_mb: int
    est_queue_s: float
    est_load_s: float
    est_run_s: float | None
    won: bool


class JobBids(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `/v1/jobs/{id}/bids`: the offers before its latest start, and who made none."""

    job_id: str
    attempt: int
    agent_id: str
    device: str
    adapter_id: str
    bids: list[JobBid]
    declines: list[Reason]
    #: Why the winner won, in words.
    reason: str


class Auctions:
    """The latest calls, and the offers for the jobs that were started."""

    def __init__(self) -> None:
        #: Call -> its answers by agent.
        self._calls: OrderedDict[int, dict[str, CallAnswered]] = OrderedDict()
        self._jobs: OrderedDict[str, JobBids] = OrderedDict()

    def answered(self, answer: CallAnswered) -> None:
        """An agent's bids and declines."""
        self._calls.setdefault(answer.call_id, {})[answer.agent_id] = answer
        if len(self._calls) > _CALLS:
            self._calls.popitem(last=False)

    def started(self, status: Status) -> None:
        """A job runs on an agent."""
        for answers in reversed(self._calls.values()):
            lot = _lot_of(answers, status)
            if lot is not None:
                self._jobs.pop(status.job_id, None)
                self._jobs[status.job_id] = _picture(answers, lot, status)
                if len(self._jobs) > _JOBS:
                    self._jobs.popitem(last=False)
                return

    def of_job(self, job_id: str) -> JobBids | None:
        """What is known of a job's latest start."""
        return self._jobs.get(job_id)


def _lot_of(answers: dict[str, CallAnswered], status: Status) -> int | None:
    """The lot of a call that a job is likely to be of."""
    answer = answers.get(status.agent_id or "")
    if answer is None:
        return None
    return next((bid.lot for bid in answer.bids if _is_won(bid, status)), None)


def _is_won(bid: BidPlaced, status: Status) -> bool:
    return (bid.adapter_id, bid.device, bid.variant) == (status.adapter_id, status.device, status.variant)


def _picture(answers: dict[str, CallAnswered], lot: int, status: Status) -> JobBids:
    bids: list[JobBid] = []
    declines: list[Reason] = []
    for answer in answers.values():
        for bid in answer.bids:
            if bid.lot == lot:
                bids.append(_job_bid(answer.agent_id, bid, answer.agent_id == status.agent_id and _is_won(bid, status)))
        for decline in answer.declines:
            if decline.lot == lot:
                declines += decline.reasons
    bids.sort(key=lambda bid: (not bid.won, _start_s(bid)))
    return JobBids(
        job_id=status.job_id,
        attempt=status.attempt,
        agent_id=status.agent_id or "",
        device=status.device or "",
        adapter_id=status.adapter_id or "",
        bids=bids,
        declines=declines,
        reason=_why(bids),
    )


def _job_bid(agent_id: str, bid: BidPlaced, won: bool) -> JobBid:
    fields: dict[str, Any] = {
        name: getattr(bid, name) for name in JobBid.__struct_fields__ if name not in ("agent_id", "won")
    }
    return JobBid(agent_id=agent_id, won=won, **fields)


def _start_s(bid: JobBid) -> float:
    return bid.est_queue_s + bid.est_load_s


def _why(bids: list[JobBid]) -> str:
    """Of bids in their order, the winner first."""
    winner, others = bids[0], bids[1:]
    loaded = "its model is loaded there" if winner.warm else f"its model loads there in {winner.est_load_s:.1f} s"
    if not others:
        return f"the only offer; {loaded}"
    sooner = sum(_start_s(other) < _start_s(winner) for other in others)
    if not sooner:
        return f"no other of {len(bids)} offers starts sooner; {loaded}"
    return f"{sooner} of {len(bids)} offers start sooner by themselves; jobs of the same round took them; {loaded}"
