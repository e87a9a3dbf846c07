"""One device's memory: who was promised what, and what may be promised still.

Every claim has a key: a worker's id, or a run's token while the run waits for memory of its own. A claim that waits
stands *behind* the claims of evicted workers whose memory it will take: of such a group the greater of the two sides
counts, so the claims together never pass `total_mb - buffer_mb`, before, during and after an eviction.

What a claim of a GPU worker adds to the measured use is what the measurement does not show yet: claim less visible use.
Visible is, in this order: what the probe says of the worker's process; what its framework reported after the load (a
lower bound, and the fallback where the driver does not tell processes apart, as in containers and WSL); nothing. Too
low a figure counts memory twice, which errs on the safe side. On budgeted devices (simulated ones and the CPU lane)
nothing of a worker is visible, and claims alone fill the device.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from pocket3d.contracts.fit import Room

from ..devices.probes.port import Reading
from ..devices.spec import DeviceSpec

#: How much less than expected may have become free, MB: drivers round.
_SLACK_MB = 64


class LedgerError(AssertionError):
    """The ledger's own rules do not hold: a bug."""


@dataclass(slots=True, eq=False)
class Claim:
    """What one worker, or one waiting run, was promised."""

    key: str
    #: The worker's own, or the waiting run's.
    base_mb: int
    #: Keys whose memory this one waits for.
    waits_for: set[str]
    #: Token -> MB that a run claims beyond the worker's own.
    extras: dict[str, int] = field(default_factory=dict)
    pid: int | None = None
    #: Allocated after the load, as the worker's framework says.
    reported_mb: int | None = None
    #: What the probe last saw of the process; None if it never saw it.
    seen_mb: int | None = None
    #: Its worker was told to end: the memory will be free without anybody's doing.
    ending: bool = False
    #: When the process was gone, monotonic seconds.
    exited_at: float | None = None
    #: Free memory of the device in the last reading before it was gone.
    free_before: int = 0

    @property
    def mb(self) -> int:
        """The whole claim, MB."""
        return self.base_mb + sum(self.extras.values())

    @property
    def visible_mb(self) -> int:
        """What the measured free memory already lacks because of it."""
        if self.seen_mb is not None:
            return self.seen_mb
        return self.reported_mb or 0


class DeviceLedger:
    """The claims on one device.

    Args:
        device: the device.
        reading_s: a reading older than this counts as none.
        release_wait_s: a gone worker's claim is kept at most so long.
    """

    def __init__(self, device: DeviceSpec, reading_s: float, release_wait_s: float) -> None:
        self.device = device
        self._reading_s = reading_s
        self._release_wait_s = release_wait_s
        self._claims: dict[str, Claim] = {}
        self.reading: Reading | None = None
        #: When the reading was taken, monotonic seconds.
        self.taken_at = float("-inf")

    # -- questions

    @property
    def capacity_mb(self) -> int:
        """Memory that may be promised in all, MB."""
        return self.device.total_mb - self.device.buffer_mb

    def claim_mb(self, key: str) -> int:
        """MB that a key has claimed; 0 if it has no claim."""
        claim = self._claims.get(key)
        return claim.mb if claim else 0

    def seen_mb(self, key: str) -> int | None:
        """What the probe last saw of a worker's process, or None."""
        claim = self._claims.get(key)
        return claim.seen_mb if claim else None

    def waits_for(self, key: str) -> frozenset[str]:
        """Keys of the claims whose memory a claim still waits for."""
        claim = self._claims.get(key)
        return frozenset(claim.waits_for) if claim else frozenset()

    def ending(self) -> list[str]:
        """Claims whose workers were told to end, or are gone and not yet seen free."""
        return [claim.key for claim in self._claims.values() if claim.ending]

    def unreleased(self) -> bool:
        """True while a gone worker's memory was not seen free."""
        return any(claim.exited_at is not None for claim in self._claims.values())

    def waited_for(self) -> set[str]:
        """Keys of the claims whose memory some other claim waits for."""
        return {key for claim in self._claims.values() for key in claim.waits_for}

    def committed_mb(self, without: Collection[str] = ()) -> int:
        """All claims together, as if those of `without` were not there."""
        return sum(mb for mb, _ in self._groups(without))

    def unavailable(self, now_mono: float) -> str | None:
        """Why the device cannot be used now, or None."""
        if self.reading is None:
            return None if self.device.simulated else "the device has not been measured yet"
        if self.reading.unavailable is not None:
            return self.reading.unavailable
        age = now_mono - self.taken_at
        if age > self._reading_s and not self.device.simulated:
            return f"the device was last measured {age:.0f} s ago"
        return None

    def room(self, now_mono: float, running: int = 0, without: Collection[str] = ()) -> Room:
        """What `contracts.fit.fits` is asked about, as if the claims of `without` were gone and their memory free.

        Available is bounded twice: by the measured free memory less what is promised but not visible, and by the
        capacity less all claims. The tighter of the two is expressed as `reserved_mb`.
        """
        # Measured; 0 while there is no reading to go by.
        free = min(self.reading.free_mb, self.device.total_mb) if self.reading else self.device.total_mb
        if self.unavailable(now_mono) is not None:
            free = 0
        elif not self.device.budgeted:
            free += sum(self._claims[key].visible_mb for key in without if key in self._claims)
        free = min(free, self.device.total_mb)
        groups = self._groups(without)
        unseen = sum(max(0, mb - visible) for mb, visible in groups)
        claimed = sum(mb for mb, _ in groups)
        return Room(
            kind=self.device.kind,
            total_mb=self.device.total_mb,
            free_mb=free,
            reserved_mb=max(unseen, free - (self.device.total_mb - claimed)),
            buffer_mb=self.device.buffer_mb,
            running=running,
            max_running=self.device.max_running,
        )

    def _groups(self, without: Collection[str]) -> list[tuple[int, int]]:
        """(claimed, visible) of every claim or, where one waits behind others, of the group."""
        waited_for = self.waited_for()
        groups: list[tuple[int, int]] = []
        for claim in self._claims.values():
            if claim.key in without or claim.key in waited_for:
                continue
            inner = [self._claims[key] for key in claim.waits_for if key not in without]
            mb = max(claim.mb, sum(each.mb for each in inner))
            visible = claim.visible_mb + sum(each.visible_mb for each in inner)
            groups.append((mb, 0 if self.device.budgeted else visible))
        return groups

    # -- changes

    def add(self, key: str, mb: int, waits_for: Collection[str] = ()) -> None:
        """Promise memory to a worker, or to a run that waits behind others."""
        if key in self._claims:
            raise LedgerError(f"{self.device.id}: {key} has a claim already")
        self._claims[key] = Claim(key, mb, set(waits_for))
        self.check()

    def add_extra(self, key: str, token: str, mb: int) -> None:
        """Promise memory to a run beyond its worker's own."""
        self._claims[key].extras[token] = mb
        self.check()

    def drop_extra(self, key: str, token: str) -> None:
        """Release what a run claimed beyond its worker's own."""
        claim = self._claims.get(key)
        if claim is not None:
            claim.extras.pop(token, None)

    def drop(self, key: str) -> None:
        """Release a claim whose memory was never used."""
        if self._claims.pop(key, None) is not None:
            for claim in self._claims.values():
                claim.waits_for.discard(key)

    def hold_process(self, key: str, pid: int) -> None:
        """Note the process id of a worker."""
        self._claims[key].pid = pid

    def hold_reported(self, key: str, mb: int | None) -> None:
        """Note what a worker's framework has allocated, MB."""
        self._claims[key].reported_mb = mb

    def end(self, key: str) -> None:
        """Note that a worker was told to end."""
        if key in self._claims:
            self._claims[key].ending = True

    def exited(self, key: str, now_mono: float) -> None:
        """A worker's process has exited; on budgeted devices its claim is released at once."""
        claim = self._claims.get(key)
        if claim is None:
            return
        claim.extras.clear()
        claim.ending = True
        if self.device.budgeted or claim.pid is None:
            # Simulated memory, or no process ever was.
            self.drop(key)
            return
        claim.exited_at = now_mono
        claim.free_before = self.reading.free_mb if self.reading else 0

    def read(self, reading: Reading, taken_at: float) -> list[str]:
        """Take in a measurement; the keys whose claims it released."""
        self.reading = reading
        self.taken_at = taken_at
        by_pid = reading.used_by_pid
        released: list[str] = []
        for claim in list(self._claims.values()):
            if by_pid is not None and claim.pid is not None:
                if claim.pid in by_pid:
                    claim.seen_mb = by_pid[claim.pid]
                elif claim.seen_mb is not None and claim.exited_at is None:
                    claim.seen_mb = 0
            if claim.exited_at is None or taken_at < claim.exited_at or reading.unavailable is not None:
                continue
            if self._seen_free(claim, reading):
                released.append(claim.key)
        for key in released:
            self.drop(key)
        return released

    def _seen_free(self, claim: Claim, reading: Reading) -> bool:
        if claim.seen_mb is not None and reading.used_by_pid is not None:
            # The probe knew the process: it is free when the process is not there any more.
            return claim.pid not in reading.used_by_pid
        return reading.free_mb >= min(claim.free_before + claim.visible_mb - _SLACK_MB, self.capacity_mb)

    def release_overdue(self, now_mono: float) -> list[str]:
        """Give up waiting for memory that is not seen free: from here on the measurement alone speaks of it."""
        overdue = [
            claim.key
            for claim in self._claims.values()
            if claim.exited_at is not None and now_mono - claim.exited_at >= self._release_wait_s
        ]
        for key in overdue:
            self.drop(key)
        return overdue

    def postpone(self, pause_s: float) -> None:
        """The process was paused: what was being waited for may take that much longer."""
        for claim in self._claims.values():
            if claim.exited_at is not None:
                claim.exited_at += pause_s

    # -- its own rules

    def check(self) -> None:
        """Raises `LedgerError` if more is promised than may be, or claims stand behind nothing."""
        committed = self.committed_mb()
        if committed > self.capacity_mb:
            raise LedgerError(f"{self.device.id}: {committed} MB promised of {self.capacity_mb}")
        waiting: set[str] = set()
        for claim in self._claims.values():
            if claim.waits_for & waiting:
                raise LedgerError(f"{self.device.id}: two claims wait for {sorted(claim.waits_for & waiting)}")
            waiting |= claim.waits_for
            if claim.waits_for - set(self._claims):
                raise LedgerError(f"{self.device.id}: {claim.key} waits for unknown claims")
        physical = sum(claim.mb for claim in self._claims.values() if not claim.waits_for)
        if physical > self.capacity_mb:
            raise LedgerError(f"{self.device.id}: {physical} MB held of {self.capacity_mb}")
