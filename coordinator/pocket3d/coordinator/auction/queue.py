"""The queue: one job group for each kind of job, and in it one line for each tenant."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count, islice

from pocket3d.contracts.commands import Reason
from pocket3d.contracts.lifecycle import PRIORITIES

from ..engine.job import GroupKey, JobRecord
from ..settings import TenantSettings
from .expected import UNMEASURED
from .fair_share import FairShare, Flow, Rank
from .turns import Turn, Urgency, in_turn

_LEVEL = {priority: level for level, priority in enumerate(PRIORITIES)}
#: Entries of a group's heap that are out of date, beyond its lines, before it is built anew.
_STALE = 64
#: Lines of a group that are looked at for its oldest job: those that have stood longest.
_OLDEST_OF = 64


class Line:
    """Jobs of one tenant that bid alike, first come first served; those that come back from an attempt come first."""

    __slots__ = ("entry", "flow", "fresh", "group", "number", "returned")

    def __init__(self, group: JobGroup, flow: Flow, number: int) -> None:
        self.group = group
        self.flow = flow
        self.number = number
        self.returned: dict[str, JobRecord] = {}
        self.fresh: dict[str, JobRecord] = {}
        #: What stands for it in its group's heap; any other entry there is out of date.
        self.entry: tuple[Rank, int, Line] | None = None

    def __len__(self) -> int:
        return len(self.returned) + len(self.fresh)

    def __iter__(self) -> Iterator[JobRecord]:
        return chain(self.returned.values(), self.fresh.values())

    def head(self) -> JobRecord:
        """The job of the line that is next."""
        return next(iter(self))


class JobGroup:
    """Jobs that bid alike, of all tenants."""

    __slots__ = (
        "_asleep_at",
        "_heap",
        "_until",
        "count",
        "declined",
        "expected",
        "key",
        "level",
        "lines",
        "plan",
        "reasons",
        "unschedulable",
    )

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        #: Of its priority, 0 the most urgent.
        self.level = _LEVEL[key.priority]
        #: By tenant; that first which has stood longest.
        self.lines: dict[str, Line] = {}
        self.count = 0
        #: Lines in the order of their turns. Ranks rise whenever their tenants start jobs, of other groups too, so an
        #: entry is compared with its line's present rank when it comes up; a line that came nearer is filed at once.
        self._heap: list[tuple[Rank, int, Line]] = []
        #: Version of the fleet's picture at which nothing could be done; None when a round may be tried.
        self._asleep_at: int | None = None
        #: It sleeps no longer than that, monotonic seconds.
        self._until: float
        #: Agent -> version of its picture when it declined.
        self.declined: dict[str, int] = {}
        #: Agent -> why it declined, for `explain`.
        self.reasons: dict[str, list[Reason]] = {}
        #: What the last round planned for it, in words.
        self.plan: str | None = None
        #: What the job is expected to take where the plan has it wait.
        self.expected = UNMEASURED
        #: No agent of the present fleet could ever take it.
        self.unschedulable = False

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[JobRecord]:
        return chain.from_iterable(self.lines.values())

    # -- turns

    def file(self, line: Line) -> None:
        """Put a line where its tenant's rank says."""
        line.entry = (line.flow.rank, line.number, line)
        heapq.heappush(self._heap, line.entry)
        if len(self._heap) > 2 * len(self.lines) + _STALE:
            self._heap = [each.entry for each in self.lines.values() if each.entry is not None]
            heapq.heapify(self._heap)

    def take_line(self) -> Line | None:
        """The line whose turn it is, taken out; `file` puts it back."""
        while self._heap:
            entry = heapq.heappop(self._heap)
            line = entry[2]
            if line.entry is not entry:
                continue
            if line.flow.rank is not entry[0]:
                self.file(line)
                continue
            line.entry = None
            return line
        return None

    def first_line(self) -> Line | None:
        """The line whose turn it is, of those whose tenants may start more; None if there is none."""
        if len(self.lines) == 1:
            (only,) = self.lines.values()
            return None if only.flow.account.at_limit else only
        taken: list[Line] = []
        found = None
        while found is None and (line := self.take_line()) is not None:
            taken.append(line)
            found = None if line.flow.account.at_limit else line
        for line in taken:
            self.file(line)
        return found

    def oldest(self, but: Collection[str]) -> JobRecord | None:
        """The job that has waited longest, of those that may start and are not among `but` (job ids)."""
        lines = (line for line in islice(self.lines.values(), _OLDEST_OF) if not line.flow.account.at_limit)
        firsts = (next((record for record in line if record.job_id not in but), None) for line in lines)
        found = [record for record in firsts if record is not None]
        return min(found, key=lambda record: (record.queued_at, record.seq)) if found else None

    def filed(self, line: Line) -> bool:
        """True if a line comes up in the heap, and no later than at its turn."""
        entry = line.entry
        in_time = entry is not None and (len(self.lines) == 1 or entry[0] <= line.flow.rank)
        return in_time and any(each is entry for each in self._heap)

    # -- rest

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

    Args:
        ageing_s: a waiting job rises one priority after each such time.
        tenants: what is set for them, by name; `*` for all others.
    """

    def __init__(self, ageing_s: float, tenants: Mapping[str, TenantSettings] | None = None) -> None:
        self._ageing_s = ageing_s
        self.share = FairShare(tenants or {}, len(PRIORITIES), self._sooner)
        self.active: dict[GroupKey, JobGroup] = {}
        self.unschedulable: dict[GroupKey, JobGroup] = {}
        #: Lines of groups in which several tenants wait: only there does a rank order anything.
        self._shared: dict[Flow, dict[Line, None]] = {}
        #: Of lines, and of jobs that pause.
        self._numbers = count()
        self._later: list[tuple[float, int, JobRecord]] = []
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
        self.share.queued(record.job_class.tenant)
        if record.not_before > now_mono:
            heapq.heappush(self._later, (record.not_before, next(self._numbers), record))
            return
        self._join(record, returned=returned)

    def _join(self, record: JobRecord, *, returned: bool) -> None:
        key = record.group_key()
        group = self.group_of(key)
        if group is None:
            group = self.active[key] = JobGroup(key)
        tenant = record.job_class.tenant
        flow = self.share.waits(tenant, group.level)
        line = group.lines.get(tenant)
        if line is None:
            line = group.lines[tenant] = Line(group, flow, next(self._numbers))
            if len(group.lines) > 1:
                for each in (line,) if len(group.lines) > 2 else group.lines.values():
                    self._shared.setdefault(each.flow, {})[each] = None
                    group.file(each)
            else:
                group.file(line)
        waiting = line.returned if returned else line.fresh
        waiting[record.job_id] = record
        group.count += 1

    def remove(self, record: JobRecord) -> None:
        """Take a job out, wherever it waits."""
        group = self.group_of(record.group_key())
        line = group.lines.get(record.job_class.tenant) if group is not None else None
        if (
            group is not None
            and line is not None
            and (line.returned.pop(record.job_id, None) is not None or line.fresh.pop(record.job_id, None) is not None)
        ):
            self._left(group, line)
        elif not self._end_pause(record):
            return
        self.count -= 1
        self.share.unqueued(record.job_class.tenant)

    def _left(self, group: JobGroup, line: Line) -> None:
        flow = line.flow
        group.count -= 1
        if not len(line):
            if len(group.lines) > 1:
                for each in (line,) if len(group.lines) > 2 else group.lines.values():
                    self._share_no_more(each)
            line.entry = None
            del group.lines[flow.account.tenant]
        if not group.count:
            self.active.pop(group.key, None)
            self.unschedulable.pop(group.key, None)
        self.share.waits_no_more(flow)

    def _share_no_more(self, line: Line) -> None:
        lines = self._shared[line.flow]
        del lines[line]
        if not lines:
            del self._shared[line.flow]

    def _end_pause(self, record: JobRecord) -> bool:
        for index, (_, _, waiting) in enumerate(self._later):
            if waiting is record:
                self._later[index] = self._later[-1]
                self._later.pop()
                heapq.heapify(self._later)
                return True
        return False

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

    # -- turns

    def _sooner(self, flow: Flow) -> None:
        """A tenant's next start came nearer."""
        for line in self._shared.get(flow, ()):
            line.group.file(line)

    def urgency(self, line: Line, now_mono: float) -> Urgency:
        """The priority of a line's next job less one level per `ageing_s` waited, then its age."""
        head = line.head()
        queued_at = head.queued_at
        return line.flow.clock.level - int((now_mono - queued_at) / self._ageing_s), queued_at, head.seq

    def in_order(self, now_mono: float, version: int) -> list[JobGroup]:
        """Active groups that do not rest at that version of the fleet's picture, that first whose turn it is; those of
        tenants that may start nothing more are left out.
        """
        awake = [group for group in self.active.values() if not group.sleeps(version, now_mono)]
        lines = [line for group in awake if (line := group.first_line()) is not None]
        if len(self.share.accounts) == 1:
            return [line.group for line in sorted(lines, key=lambda line: self.urgency(line, now_mono))]
        turns = [Turn(line.flow, self.urgency(line, now_mono), number) for number, line in enumerate(lines)]
        return [lines[turn.number].group for turn in in_turn(turns, self.share)]
