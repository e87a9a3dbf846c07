"""What this agent has learned: load time, run time and peak memory per adapter, device and variant.

Times are the median of the last `history` ones: one slow load from a cold disk does not spoil the bids. Memory is the
greatest of the last `history` peaks: a claim must hold for the worst, and an outlier leaves with time. A requirement
that an adapter declares too high is lowered once enough runs were measured.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

#: Adapter id, device id, variant (None for an adapter without any): what a worker is known by.
Key = tuple[str, str, str | None]
#: A requirement is lowered to the greatest measured peak and a tenth more, for a job a little larger than any so far;
#: but to no less than half of what is declared: all of the jobs so far may have been small.
_MARGIN = 1.1
_LEAST = 0.5


class Estimates:
    """Learned figures by adapter id, device id and variant.

    Args:
        history: how many observations of each kind are remembered.
        lower_after: a declared requirement is lowered after so many measured runs; None for never.
    """

    def __init__(self, history: int, lower_after: int | None = None) -> None:
        self._lower_after = lower_after
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

    def requirement_mb(
        self, adapter_id: str, device: str, declared_mb: int, capacity_mb: int, variant: str | None = None
    ) -> int:
        """What a job of an adapter is promised on a device, MB: what is declared, or was measured.

        A peak above what the device can ever promise counts as just that: the job did run there.
        """
        peaks = self.peaks[adapter_id, device, variant]
        learned = min(self.peak_mb(adapter_id, device, variant) or 0, capacity_mb)
        if learned >= declared_mb or self._lower_after is None or len(peaks) < self._lower_after:
            return max(declared_mb, learned)
        return min(declared_mb, max(round(learned * _MARGIN), round(declared_mb * _LEAST)))

    def peak_mb(self, adapter_id: str, device: str, variant: str | None = None) -> int | None:
        """Memory that a job may need at its peak, or None without a history."""
        return max(self.peaks[adapter_id, device, variant], default=None)
