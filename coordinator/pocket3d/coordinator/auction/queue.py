"""The queue: one job group for each kind of job, groups ordered by priority with ageing."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from pocket3d.contracts.commands import Reason
from pocket3d.contracts.lifecycle import PRIORITIES

from ..engine.job import GroupKey, JobRecord

_LEVEL = {priority: level for level, priority in enumerate(PRIORITIES)}


class JobGroup:
    """Jobs that bid alike, first come first served; those that come back from an attempt come first."""

    __slots__ = ("_asleep_at", "_until", "declined", "fresh", "key", "plan", "reasons", "returned", "unschedulable")

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.returned: dict[str, JobRecord] = {}
        self.fresh: dict[str, JobRecord] = {}
        #: Version of the fleet's picture at which nothing could be done; None when a round may be tried.
        self._asleep_at: int | None = None
        self._until = math.inf
        #: Agent -> version of its picture when it declined.
        self.declined: dict[str, int] = {}
        #: Agent -> why it declined, for `explain`.
        self.reasons: dict[str, list[Reason]] = {}
        #: What the last round planned for it, in words.
        self.plan: str | None = None
        #: No agent of the present fleet could ever take it.
        self.unschedulable = False

    def __len__(self) -> int:
        return len(self.returned) + len(self.fresh)

    def __iter__(self) -> Iterator[JobRecord]:
        yield from self.returned.values()
        yield from self.fresh.values()

    def head(self) -> JobRecord:
        """The job of the group that is next."""
        return next(iter(self))

    def sleep(self, version: int, until: float = math.inf) -> None:
        """Rest as long as the fleet stays as it is at `version`, or until `until` (monotonic seconds)."""
        self._asleep_at = version
        self._until = until

    def sleeps(self, version: int, now_mono: float) -> bool:
        """True while another round could not place any of its jobs."""
        return self._asleep_at == version and now_mono < self._until

    def wake(self) -> None:
        """Let the next round try it again."""
        self._asleep_at = None


class WaitingQueue:
    """All waiting jobs.

    Groups that no agent of the present fleet could ever serve are parked apart, so that fifty thousand of them cost
    the others nothing; they return when the fleet's composition changes.
    """

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self.active: dict[GroupKey, JobGroup] = {}
        self.unschedulable: dict[GroupKey, JobGroup] = {}
        self._later: list[tuple[float, int, JobRecord]] = []
        self._order = 0
        self.count = 0

    def __iter__(self) -> Iterator[JobRecord]:
        """All waiting jobs, those with a retry pause included, in no order."""
        for group in (*self.active.values(), *self.unschedulable.values()):
            yield from group
        for _, _, record in self._later:
            yield record

    def group_of(self, key: GroupKey) -> JobGroup | None:
        """The group with that key, unschedulable or not."""
        return self.active.get(key) or self.unschedulable.get(key)

    def add(self, record: JobRecord, now_mono: float, *, returned: bool = False) -> None:
        """Add a job; one with a `not_before` in the future joins its group then."""
        self.count += 1
        if record.not_before > now_mono:
            self._order += 1
            heapq.heappush(self._later, (record.not_before, self._order, record))
            return
        self._join(record, returned=returned)

    def _join(self, record: JobRecord, *, returned: bool) -> None:
        key = record.group_key()
        group = self.group_of(key)
        if group is None:
            group = self.active[key] = JobGroup(key)
        waiting = group.returned if returned else group.fresh
        waiting[record.job_id] = record
        if len(group) == 1:
            group.wake()

    def remove(self, record: JobRecord) -> None:
        """Take a job out, wherever it waits."""
        key = record.group_key()
        group = self.group_of(key)
        if group is not None and (
            group.returned.pop(record.job_id, None) is not None or group.fresh.pop(record.job_id, None) is not None
        ):
            self.count -= 1
            if not len(group):
                self.active.pop(key, None)
                self.unschedulable.pop(key, None)
            return
        for index, (_, _, waiting) in enumerate(self._later):
            if waiting is record:
                self._later[index] = self._later[-1]
                self._later.pop()
                heapq.heapify(self._later)
                self.count -= 1
                return

    def release_due(self, now_mono: float) -> bool:
        """Let jobs whose pause is over join their groups; true if any did."""
        released = False
        while self._later and self._later[0][0] <= now_mono:
            _, _, record = heapq.heappop(self._later)
            # Others have the first try before one that failed.
            self._join(record, returned=record.retry is None or not record.retry.suspect)
            released = True
        return released

    def park(self, group: JobGroup) -> None:
        """Mark a group as unschedulable until the fleet's composition changes."""
        group.unschedulable = True
        self.active.pop(group.key, None)
        self.unschedulable[group.key] = group

    def unpark_all(self) -> None:
        """Let every group be tried again: the fleet's composition changed."""
        for group in self.unschedulable.values():
            group.unschedulable = False
            group.wake()
        self.active.update(self.unschedulable)
        self.unschedulable = {}

    def in_order(self, now_mono: float) -> list[JobGroup]:
        """Active groups, most urgent first: by priority less one level per `ageing_s` waited, then by age."""

        def urgency(group: JobGroup) -> tuple[float, float, int]:
            head = group.head()
            waited = now_mono - head.queued_at
            return (_LEVEL[group.key.priority] - int(waited / self._ageing_s), head.queued_at, head.seq)

        return sorted(self.active.values(), key=urgency)
