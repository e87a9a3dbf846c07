"""In which order the jobs of a round's lots are placed: turn by turn, since each start moves its tenant back."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pocket3d.contracts.lifecycle import PRIORITIES

from ..engine.job import JobRecord
from .fair_share import Charge, Cost, Flow, Rank
from .queue import JobGroup, Line, WaitingQueue
from .turns import Turn, Urgency, first_of, level_of


class LotTurn(NamedTuple):
    """A job whose turn it is."""

    #: Number of its lot.
    lot: int
    record: JobRecord
    turn: Turn


class _Begun:
    """A line of which the round looks at some jobs."""

    __slots__ = ("jobs", "record")

    def __init__(self, jobs: Iterator[JobRecord]) -> None:
        self.jobs = jobs
        #: Its next job; None if it has no more.
        self.record = next(jobs, None)


class _Tenant:
    """A tenant whose turn has come up: its lines in the lots of one priority."""

    __slots__ = ("flow", "lines")

    def __init__(self, flow: Flow, lines: list[tuple[Urgency, int, _Begun]]) -> None:
        self.flow = flow
        #: By the urgency of their first jobs. The jobs of a lot stay together, so that models are not swapped for each.
        self.lines = lines
        heapq.heapify(lines)


class _Lot:
    """A lot of the round."""

    __slots__ = ("group", "left", "number", "taken")

    def __init__(self, number: int, group: JobGroup, jobs: int) -> None:
        self.number = number
        self.group = group
        #: Jobs that the call was for and that were not looked at yet.
        self.left = jobs
        #: Lines that were taken out of the group.
        self.taken: list[Line] = []


class _Priority:
    """The lots of one priority. Lines come up in the order of their turns, the next of each lot at a time, and with the
    first of a tenant's lines that tenant; so what a round costs follows its lots and starts, not the tenants that wait.
    """

    __slots__ = ("coming", "lots", "tenants", "up")

    def __init__(self) -> None:
        self.lots: list[_Lot] = []
        self.coming: list[tuple[Rank, int, Line]] = []
        self.tenants: list[tuple[Rank, _Tenant]] = []
        #: Those that have come up.
        self.up: set[Flow] = set()


class LotTurns:
    """The turns of one round. While it is in use, lines are taken out of their groups: `put_back` ends it.

    Args:
        queue: who waits.
        lots: number, group and jobs of each lot.
        now_mono: for the age of jobs.
    """

    def __init__(self, queue: WaitingQueue, lots: Iterable[tuple[int, JobGroup, int]], now_mono: float) -> None:
        self._queue = queue
        self._now = now_mono
        self._lots = {number: _Lot(number, group, jobs) for number, group, jobs in lots}
        self._priorities = [_Priority() for _ in PRIORITIES]
        for lot in self._lots.values():
            self._priorities[lot.group.level].lots.append(lot)
            self._advance(lot)

    def next(self) -> LotTurn | None:
        """The next job to place; None if there is none."""
        turns = [turn for priority in self._priorities if (turn := self._first(priority)) is not None]
        if not turns:
            return None
        turn = first_of(turns, self._queue.share)
        lines = self._priorities[turn.flow.clock.level].tenants[0][1].lines
        begun = lines[0][2]
        record = begun.record
        assert record is not None
        begun.record = next(begun.jobs, None)
        if begun.record is None:
            heapq.heappop(lines)
        self._lots[turn.number].left -= 1
        return LotTurn(turn.number, record, turn)

    def charge(self, turn: Turn, cost: Cost) -> Charge:
        """Charge the tenant whose job was placed."""
        return self._queue.share.start(turn.flow, level_of(turn), cost)

    def close(self, number: int) -> None:
        """Look at no further job of a lot."""
        self._lots[number].left = 0

    def put_back(self) -> None:
        """Put all lines back into their groups."""
        for lot in self._lots.values():
            for line in lot.taken:
                lot.group.file(line)

    def _first(self, priority: _Priority) -> Turn | None:
        """The next job of a priority."""
        coming, tenants = priority.coming, priority.tenants
        while coming or tenants:
            if coming and (not tenants or coming[0][0] < tenants[0][0]):
                self._come_up(priority, *heapq.heappop(coming))
                continue
            rank, tenant = tenants[0]
            lines = tenant.lines
            while lines and self._lots[lines[0][1]].left <= 0:
                heapq.heappop(lines)
            if not lines or tenant.flow.account.at_limit:
                heapq.heappop(tenants)
            elif tenant.flow.rank is not rank:
                heapq.heapreplace(tenants, (tenant.flow.rank, tenant))
            else:
                return Turn(tenant.flow, lines[0][0], lines[0][1])
        return None

    def _come_up(self, priority: _Priority, rank: Rank, number: int, line: Line) -> None:
        flow = line.flow
        if flow not in priority.up:
            if flow.rank is not rank:
                # It was charged for a job that had risen to this priority.
                heapq.heappush(priority.coming, (flow.rank, number, line))
                return
            priority.up.add(flow)
            found = ((lot, lot.group.lines.get(flow.account.tenant)) for lot in priority.lots if lot.left > 0)
            lines = [
                (self._queue.urgency(each, self._now), lot.number, _Begun(iter(each))) for lot, each in found if each
            ]
            heapq.heappush(priority.tenants, (rank, _Tenant(flow, lines)))
        self._advance(self._lots[number])

    def _advance(self, lot: _Lot) -> None:
        """Let the next line of a lot come."""
        line = lot.group.take_line() if lot.left > 0 else None
        if line is not None:
            lot.taken.append(line)
            heapq.heappush(self._priorities[lot.group.level].coming, (line.flow.rank, lot.number, line))
