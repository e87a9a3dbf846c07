"""One device's memory: who was promised what, and what may be promised still.

Every claim has a key: a worker's id, or a run's token while the run waits for memory of its own. A claim that waits
stands *behind* the claims of evicted workers whose memory it will take: of such a group the greater of the two sides
counts, so the claims together never pass `total_mb - buffer_mb`, before, during and after an eviction.

What a claim of a GPU worker adds to the measured use is what the measurement does not show yet: claim less visible use.
Visible is, in this order: what the probe says of the worker's process and those that it started; what its framework
last reported (a lower bound, and the fallback where the driver does not tell processes apart, as in containers and
WSL); nothing. Too low a figure counts memory twice, which errs on the safe side. On budgeted devices (simulated ones
and the CPU lane) nothing of a worker is visible, and claims alone fill the device.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from pocket3d.contracts.fit import Room

from ..devices.probes.port import Reading
from ..devices.spec import DeviceSpec

#: How much less than expected may have become free, MB: drivers round.
_SLACK_MB = 64


class LedgerError(AssertionError):
    """The ledger's own rules do not hold: a bug."""


class _Before(NamedTuple):
    """A device before a worker's end, MB."""

    free_mb: int
    #: What was visible of the worker, and of all others together.
    visible_mb: int
    others_mb: int


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
    #: Allocated, as the worker's framework last said.
    reported_mb: int | None = None
    #: What the probe last saw of the process and those that it started; None if it never saw any, or cannot tell.
    seen_mb: int | None = None
    #: Those that it last saw.
    pids: frozenset[int] = frozenset()
    #: Its worker was told to end: the memory will be free without anybody's doing.
    ending: bool = False
    #: When the process was gone, monotonic seconds.
    exited_at: float | None = None
    #: Noted when its end was ordered, or else when it was gone: memory is freed while a worker shuts down.
    before: _Before | None = None

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


def _see(claim: Claim, reading: Reading) -> None:
    """Take in what a reading says of a worker's processes; of one that is gone what was seen last stands."""
    if claim.pid is None or claim.exited_at is not None:
        return
    if reading.used_by_pid is None:
        claim.seen_mb = None
        return
    own = frozenset(pid for pid in reading.used_by_pid if _descends(pid, claim.pid, reading))
    if own:
        claim.pids = own
    if own or claim.seen_mb is not None:
        # Processes that were seen and are not listed any more hold nothing.
        claim.seen_mb = sum(reading.used_by_pid[pid] for pid in own)


def _descends(pid: int, ancestor: int, reading: Reading) -> bool:
    """True if a process is this one, or was started by it, or by one that it started."""
    current: int | None = pid
    while current is not None and current != ancestor:
        current = reading.parents.get(current)
    return current is not None


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

    def could_hold_mb(self, key: str) -> int | None:
        """What a worker held and what was free in the last reading; None without one, or where workers do not show."""
        claim = self._claims.get(key)
        if claim is None or self.reading is None or self.reading.unavailable is not None or self.device.budgeted:
            return None
        return self.reading.free_mb + claim.visible_mb

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

    def promise(self, key: str, mb: int) -> None:
        """Promise a worker less than before, or more."""
        self._claims[key].base_mb = mb
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
        claim = self._claims.get(key)
        if claim is not None:
            claim.ending = True
            self._note_before(claim)

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
        self._note_before(claim)

    def _note_before(self, claim: Claim) -> None:
        if claim.before is None:
            free = self.reading.free_mb if self.reading else 0
            claim.before = _Before(free, claim.visible_mb, self._others_mb(claim))

    def _others_mb(self, claim: Claim) -> int:
        return sum(each.visible_mb for each in self._claims.values() if each is not claim)

    def read(self, reading: Reading, taken_at: float) -> list[str]:
        """Take in a measurement; the keys whose claims it released."""
        self.reading = reading
        self.taken_at = taken_at
        if reading.unavailable is not None:
            return []
        for claim in self._claims.values():
            _see(claim, reading)
        gone = [c for c in self._claims.values() if c.exited_at is not None and taken_at >= c.exited_at]
        released = [claim.key for claim in gone if self._seen_free(claim, reading)]
        for key in released:
            self.drop(key)
        return released

    def _seen_free(self, claim: Claim, reading: Reading) -> bool:
        if claim.pids and reading.used_by_pid is not None:
            # The probe knew its processes: it is free when none of them is there any more.
            return claim.pids.isdisjoint(reading.used_by_pid)
        assert claim.before is not None
        # What others took or gave back meanwhile is not its doing.
        taken = self._others_mb(claim) - claim.before.others_mb
        expected = claim.before.free_mb + claim.before.visible_mb - taken
        return reading.free_mb >= min(expected, self.capacity_mb) - _SLACK_MB

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
