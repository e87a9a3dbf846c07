"""Whose fault it is that a job ran out of memory: its own, that of others on its device, or the host's. Pure.

Only against its own a device with more room can help. A job on a worker that was far from what it had been promised,
while the device could not give that any more, paid for somebody else: another model that took more than its claim, or a
program that is none of ours. It is tried again as it is.
"""

from __future__ import annotations

from pocket3d.contracts.worker_frames import Shortage

from .records import Run
from .state import Core

#: A worker near its claim, or one that could have had nearly all of it, needs more than it was promised: this share.
#: Less than all, for what its framework does not count: the CUDA context, a few hundred MB.
_NEAR = 0.9
HOST = "the host's memory ran out, not the device's: a larger device does not help"


def blame_others(
    claim_mb: int, held_mb: int | None, could_hold_mb: int | None, shortage: Shortage | None
) -> str | None:
    """Why more room on its device would not help a job that ran out of memory; None if it would, as far as is known.

    Args:
        claim_mb: what its worker was promised.
        held_mb: the most that the worker is known to have held; None if nobody measured it.
        could_hold_mb: what it held and what was free at the last measurement; None without one.
        shortage: what the worker saw.
    """
    if shortage is not None:
        if shortage.host:
            return HOST
        if shortage.held_mb is not None and shortage.free_mb is not None:
            # Seen when it happened, and together.
            held_mb = max(held_mb or 0, shortage.held_mb)
            could_hold_mb = shortage.held_mb + shortage.free_mb
    if held_mb is None or could_hold_mb is None or max(held_mb, could_hold_mb) >= _NEAR * claim_mb:
        return None
    return (
        f"its worker held {held_mb} of the {claim_mb} MB that it was promised, and others on the device had left it "
        f"{could_hold_mb} MB"
    )


def judge_shortage(core: Core, run: Run, shortage: Shortage | None) -> str | None:
    """`blame_others` for a run on its worker, before it leaves the device."""
    ledger = core.device_of(run.worker).ledger
    key = run.worker.worker_id
    held_mb = max(run.vram_peak_mb or 0, run.worker.peak_mb) or None
    return blame_others(ledger.claim_mb(key), held_mb, ledger.could_hold_mb(key), shortage)
