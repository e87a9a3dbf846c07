"""What this agent has learned: load time, run time and peak memory per adapter, device and variant; of run time and
memory also per size class of the inputs.

Times are the median of the last `history` ones: one slow load from a cold disk does not spoil the bids. Memory is the
greatest of the last `history` peaks: a claim must hold for the worst, and an outlier leaves with time. A requirement
that an adapter declares too high is lowered once enough runs were measured.

On the CPU lane memory follows the files far more than on a GPU, where it is mostly the model's. There a job is promised
what jobs of its size took, and never less than is declared, for libraries and what the allocator keeps.
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

from pocket3d.contracts.size_classes import known_class

#: Adapter id, device id, variant (None for an adapter without any): what a worker is known by.
Key = tuple[str, str, str | None]
#: The same and a size class, None for runs whose size is not known. There are few classes, so all of it is bounded.
SizedKey = tuple[Key, str | None]
#: A requirement is lowered to the greatest measured peak and a tenth more, for a job a little larger than any so far;
#: but to no less than half of what is declared: all of the jobs so far may have been small. On the CPU lane it is
#: raised to that, too.
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
        self._sized_runs: defaultdict[SizedKey, deque[float]] = defaultdict(lambda: deque(maxlen=history))
        self._sized_peaks: defaultdict[SizedKey, deque[int]] = defaultdict(lambda: deque(maxlen=history))

    # -- what was measured

    def note_run(self, key: Key, size_class: str | None, run_s: float) -> None:
        """A job ran so many seconds, and succeeded."""
        self.runs[key].append(run_s)
        self._sized_runs[key, known_class(size_class)].append(run_s)

    def note_peak(self, key: Key, size_class: str | None, mb: int) -> None:
        """A worker with one job on it used so many MB."""
        self.peaks[key].append(mb)
        self._sized_peaks[key, known_class(size_class)].append(mb)

    # -- what is expected

    def load_s(self, adapter_id: str, device: str, variant: str | None = None) -> float | None:
        """Expected time from start to ready, or None without a history."""
        return statistics.median(seen) if (seen := self.loads[adapter_id, device, variant]) else None

    def run_s(self, adapter_id: str, device: str, variant: str | None = None) -> float | None:
        """Expected time of a run, or None without a history."""
        return statistics.median(seen) if (seen := self.runs[adapter_id, device, variant]) else None

    def sized_run_s(self, key: Key, size_class: str | None) -> float | None:
        """The median time of runs of that size, or None where there was none."""
        seen = self._sized_runs[key, known_class(size_class)]
        return statistics.median(seen) if seen else None

    def sized_peak_mb(self, key: Key, size_class: str | None) -> int | None:
        """The most memory that a run of that size used, or None where none was measured."""
        return max(self._sized_peaks[key, known_class(size_class)], default=None)

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

    def cpu_requirement_mb(self, key: Key, size_class: str | None, declared_mb: int, capacity_mb: int) -> int:
        """What a job of that size is promised on the CPU lane, MB. One whose size is not known may be as large as any;
        as above, a peak beyond the lane counts as the whole lane.
        """
        of_size = known_class(size_class)
        peak_mb = self.peak_mb(*key) if of_size is None else self.sized_peak_mb(key, of_size)
        return max(declared_mb, min(round((peak_mb or 0) * _MARGIN), capacity_mb))

    def peak_mb(self, adapter_id: str, device: str, variant: str | None = None) -> int | None:
        """Memory that a job may need at its peak, or None without a history."""
        return max(self.peaks[adapter_id, device, variant], default=None)
