"""What this agent has learned: load time, run time and peak memory per adapter and device.

Times are the median of the last `history` ones: one slow load from a cold disk does not spoil the bids. Memory is the
greatest of the last `history` peaks: a claim must hold for the worst, and an outlier leaves with time.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

Pair = tuple[str, str]


class Estimates:
    """Learned figures by (adapter id, device id).

    Args:
        history: how many observations of each kind are remembered.
    """

    def __init__(self, history: int) -> None:
        self._loads: defaultdict[Pair, deque[float]] = defaultdict(lambda: deque(maxlen=history))
        self._runs: defaultdict[Pair, deque[float]] = defaultdict(lambda: deque(maxlen=history))
        self._peaks: defaultdict[Pair, deque[int]] = defaultdict(lambda: deque(maxlen=history))

    def note_load(self, adapter_id: str, device: str, load_s: float) -> None:
        """A worker was ready `load_s` seconds after its start was asked for."""
        self._loads[adapter_id, device].append(load_s)

    def note_run(self, adapter_id: str, device: str, run_s: float) -> None:
        """A job ran for `run_s` seconds and succeeded."""
        self._runs[adapter_id, device].append(run_s)

    def note_peak(self, adapter_id: str, device: str, peak_mb: int) -> None:
        """A worker with one job on it used up to `peak_mb`."""
        self._peaks[adapter_id, device].append(peak_mb)

    def load_s(self, adapter_id: str, device: str) -> float | None:
        """Expected time from start to ready, or None without a history."""
        return statistics.median(seen) if (seen := self._loads[adapter_id, device]) else None

    def run_s(self, adapter_id: str, device: str) -> float | None:
        """Expected time of a run, or None without a history."""
        return statistics.median(seen) if (seen := self._runs[adapter_id, device]) else None

    def peak_mb(self, adapter_id: str, device: str) -> int | None:
        """Memory that a job may need at its peak, or None without a history."""
        return max(self._peaks[adapter_id, device], default=None)
