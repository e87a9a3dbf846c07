"""Whether a device gets jobs: what its driver says of it, and what failed on it. Pure; times are monotonic seconds.

A device is in quarantine

- while its driver says that it is broken or lost: nothing but the driver ends that;
- after jobs of at least two adapters failed there in a row in a way that a broken device explains, `after` jobs in all:
  for a while, each time twice as long. Then one job at a time tries it: a success ends the count, one more failure
  puts it away again. An adapter that fails so on other devices of the host as well says nothing of this one.
"""

from __future__ import annotations

from collections.abc import Collection


class DeviceHealth:
    """One device's record.

    Args:
        device_id: for what people are told to do.
        after: jobs that fail in a row.
        first_s: the first pause, seconds.
        cap_s: the longest.
    """

    def __init__(self, device_id: str, *, after: int, first_s: float, cap_s: float) -> None:
        self._device_id = device_id
        self._after = after
        self._first_s = first_s
        self._cap_s = cap_s
        #: What the driver says is broken.
        self.faults: tuple[str, ...] = ()
        #: Why the driver does not show it, or does not answer for it; None if it does.
        self.lost: str | None = None
        #: Adapter -> jobs that failed since the last success on the device; at most `after` are remembered.
        self._failed: dict[str, set[str]] = {}
        self._until = float("-inf")
        self._pauses = 0

    def fails(self, adapter_id: str) -> bool:
        """True if an adapter failed here since the last success."""
        return adapter_id in self._failed

    def failed(self, adapter_id: str, job: str, elsewhere: Collection[str], now_mono: float) -> bool:
        """Note a job that failed as on a broken device; true if that puts the device in quarantine.

        Args:
            adapter_id: whose job it was.
            job: its id, or any name for a failure without a job. It counts once.
            elsewhere: adapters that fail on other devices of the host as well.
            now_mono: the time.
        """
        if self._until > now_mono:
            # It began before the pause.
            return False
        jobs = self._failed.setdefault(adapter_id, set())
        if len(jobs) < self._after:
            jobs.add(job)
        if adapter_id in elsewhere:
            return False
        suspicious = [len(each) for name, each in self._failed.items() if name not in elsewhere]
        if not self._pauses and (len(suspicious) < 2 or sum(suspicious) < self._after):
            return False
        self._until = now_mono + min(self._first_s * 2.0 ** min(self._pauses, 30), self._cap_s)
        self._pauses += 1
        return True

    def worked(self) -> bool:
        """Note a job that succeeded; true if that ends a quarantine, or the trial after one."""
        ended = self._pauses > 0
        self._failed.clear()
        self._until, self._pauses = float("-inf"), 0
        return ended

    def postpone(self, pause_s: float) -> None:
        """The process was paused: a pause of the device takes that much longer."""
        self._until += pause_s

    def quarantine(self, running: int, now_mono: float) -> str | None:
        """Why the device gets no job now, and what to do; None if it may get one.

        Args:
            running: jobs that are on it.
            now_mono: the time.
        """
        look = f"look at `nvidia-smi -q -i {self._device_id}` and for Xid in the kernel's log"
        if self.faults or self.lost is not None:
            told = "; ".join(self.faults) or f"it is lost: {self.lost}"
            mend = (
                "it gets jobs again when its driver does not say so any more, after an Xid when the agent is restarted"
            )
            return f"in quarantine, its driver says: {told} ({look}; {mend})"
        names = " and ".join(sorted(self._failed))
        if self._until > now_mono:
            again = f"one job tries it again in {self._until - now_mono:.0f} s"
            return f"in quarantine: {names} failed on it in a row, and nothing succeeded; {again} ({look})"
        if self._pauses and running:
            return f"after its quarantine one job at a time tries it: {names} failed on it in a row"
        return None
