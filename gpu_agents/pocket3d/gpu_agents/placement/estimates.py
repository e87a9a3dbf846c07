"""What this agent has learned: load time, run time and peak memory per adapter, device and variant.

Times are the median of the last `history` ones: one slow load from a cold disk does not spoil the bids. Memory is the
greatest of the last `history` peaks: a claim must hold for the worst, and an outlier leaves with time.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

#: Adapter id, device id, variant (None for an adapter without any): what a worker is known by.
Key = tuple[str, str, str | None]


class Estimates:
    """Learned figures by adapter id, device id and variant.

    Args:
        history: how many observations of each kind are remembered.
    """

    def __init__(self, history: int) -> None:
        #: Seconds from asking for a worker's start until it was ready.
        self.loads: defaultdict[Key, deque[float]] = defaultdict(lambda: deque(maxlen=history))
        #: Seconds that jobs ran which succeeded.
        self.runs: defaultdict[Key, deque[float]] = defaultdict(lambda: deque(maxlen=history))
        #: Most that a worker with one job on it used, MB.
        self.peaks: defaultdict[Key, deque[int]] = defaultdict(lambda: deque(maxlen=history))

    def load_s(self, adapter_id: str, device: str, variant: str | None = None) -> float | None:
        """Expected time from start to ready, or None without a history."""
        return statistics.median(seen) if (seen := self.loads[adapter_id, device, variant]) else None

    def run_s(self, adapter_id: str, device: str, variant: str | None = None) -> float | None:
        """Expected time of a run, or None without a history."""
        return statistics.median(seen) if (seen := self.runs[adapter_id, device, variant]) else None

    def peak_mb(self, adapter_id: str, device: str, variant: str | None = None) -> int | None:
        """Memory that a job may need at its peak, or None without a history."""
        return max(self.peaks[adapter_id, device, variant], default=None)
