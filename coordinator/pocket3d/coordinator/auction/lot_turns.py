"""In which order the jobs of a round's lots are placed: turn by turn, since each start moves its tenant back."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pocket3d.contracts.lifecycle import PRIORITIES

from ..engine.job import JobRecord
from .fair_share import Charge, Cost, Rank
from .queue import JobGroup, Line, WaitingQueue
from .turns import Turn, Urgency, first_of, level_of


class LotTurn(NamedTuple):
    """A job whose turn it is."""

    #: Number of its lot.
    lot: int
    record: JobRecord
    turn: Turn


class _Begun:
    """A line of which the round has looked at some jobs."""

    __slots__ = ("jobs", "record", "urgency")

    def __init__(self, urgency: Urgency, jobs: Iterator[JobRecord]) -> None:
        #: Of its first job. The jobs of a lot stay together, so that models are not swapped for each.
        self.urgency = urgency
        self.jobs = jobs
        #: Its next job.
        self.record = next(jobs, None)


class _Lot:
    """A lot that still has jobs for this round."""

    __slots__ = ("aside", "begun", "group", "left", "line", "number")

    def __init__(self, number: int, group: JobGroup, jobs: int) -> None:
        self.number = number
        self.group = group
        #: Jobs that the call was for and that were not looked at yet.
        self.left = jobs
        #: Whose turn it is within the lot; None if nobody is left.
        self.line: Line | None = None
        self.begun: dict[Line, _Begun] = {}
        #: Lines that are done with, or whose tenants may start nothing more.
        self.aside: list[Line] = []


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
        #: By level: lots in the order of their lines' turns.
        self._levels: list[list[tuple[Rank, Urgency, int]]] = [[] for _ in PRIORITIES]
        #: The lot whose job was placed last, or could not be: it is filed again when it is known which.
        self._used: _Lot | None = None
        for lot in self._lots.values():
            self._file(lot)

    def next(self) -> LotTurn | None:
        """The next job to place; None if there is none."""
        if self._used is not None:
            self._refile(self._used)
            self._used = None
        firsts = [turn for level in self._levels if (turn := self._first(level)) is not None]
        if not firsts:
            return None
        turn = first_of(firsts, self._queue.share)
        lot = self._lots[turn.number]
        heapq.heappop(self._levels[turn.flow.clock.level])
        line = lot.line
        assert line is not None
        begun = lot.begun[line]
        record = begun.record
        assert record is not None
        begun.record = next(begun.jobs, None)
        lot.left -= 1
        self._used = lot
        return LotTurn(lot.number, record, turn)

    def charge(self, turn: Turn, cost: Cost) -> Charge:
        """Charge the tenant whose job was placed."""
        return self._queue.share.start(turn.flow, level_of(turn), cost)

    def close(self, number: int) -> None:
        """Look at no further job of a lot."""
        self._lots[number].left = 0

    def put_back(self) -> None:
        """Put all lines back into their groups."""
        for lot in self._lots.values():
            for line in lot.aside if lot.line is None else [*lot.aside, lot.line]:
                lot.group.file(line)
            lot.aside, lot.line = [], None

    def _file(self, lot: _Lot) -> None:
        """Find whose turn it is within a lot."""
        lot.line = None
        while lot.left > 0 and (line := lot.group.take_line()) is not None:
            begun = lot.begun.get(line)
            if begun is None:
                begun = lot.begun[line] = _Begun(self._queue.urgency(line, self._now), iter(line))
            if begun.record is None or line.flow.account.at_limit:
                lot.aside.append(line)
                continue
            lot.line = line
            entry = (line.flow.rank, begun.urgency, lot.number)
            heapq.heappush(self._levels[line.flow.clock.level], entry)
            return

    def _refile(self, lot: _Lot) -> None:
        if lot.line is not None:
            lot.group.file(lot.line)
        self._file(lot)

    def _first(self, level: list[tuple[Rank, Urgency, int]]) -> Turn | None:
        """The lot of one priority whose turn it is."""
        while level:
            rank, urgency, number = level[0]
            lot = self._lots[number]
            line = lot.line
            if line is not None and lot.left > 0 and line.flow.rank is rank and not line.flow.account.at_limit:
                return Turn(line.flow, urgency, number)
            # Its tenant has started jobs of another lot meanwhile, or nothing more of this one can be placed.
            heapq.heappop(level)
            if lot.left > 0:
                self._refile(lot)
        return None
