"""Ended jobs that somebody removed from the streams: the list of jobs forgets them too. Pure.

`pocket3d purge` and the age of a stream take away what is kept of a job, and the list is held in memory. The status
bucket has one entry for each job, so its entries are counted. Where there are fewer than there must have been a period
before, jobs are looked up, those first that ended first, until it is known which are gone.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from pocket3d.contracts.lifecycle import PRIORITIES

from ..engine.effects import JobMessage
from ..engine.state import Core

#: Jobs that are looked up at once, and how often that may be done in a period.
CHUNK = 256
MOST_CHUNKS = 8


class LookAtEnded(NamedTuple):
    """Count the entries of the status bucket, and look which of these jobs have none, and no result: answered by
    `EndedLooked`.
    """

    jobs: tuple[JobMessage, ...] = ()


class EndedLooked(NamedTuple):
    """So many entries are in the status bucket, and of these jobs none; None: the server did not say."""

    entries: int | None
    gone: tuple[JobMessage, ...] = ()


class EndedSweep:
    """The sweep of one leadership.

    Args:
        core: the engine's state, of which the list of ended jobs alone is changed.
        period_s: from one count to the next, seconds.
    """

    def __init__(self, core: Core, period_s: float) -> None:
        self._core = core
        self._period_s = period_s
        #: None before all ended jobs are listed.
        self._count_at: float | None = None
        #: An answer is awaited, and whether it is that to a count.
        self._asked = self._counting = False
        #: Entries that there were when it was counted last, at least, and at the count before.
        self._held = self._held_before = 0
        #: Entries that are missing still, and such as no looking explained.
        self._missing = self._unexplained = 0
        self._due: deque[JobMessage] = deque()
        self._chunks = 0

    def step(self, now_mono: float) -> list[LookAtEnded]:
        """What is to be asked now."""
        if self._asked or self._core.job_list.former_down_to is None:
            return []
        if self._count_at is None or now_mono >= self._count_at:
            self._count_at = now_mono + self._period_s
            self._chunks = MOST_CHUNKS
            self._held_before, self._held = self._held, self._entries()
            self._asked = self._counting = True
            return [LookAtEnded()]
        if self._missing <= 0 or not self._chunks:
            return []
        self._chunks -= 1
        self._asked = True
        return [LookAtEnded(tuple(self._due.popleft() for _ in range(min(CHUNK, len(self._due)))))]

    def _entries(self) -> int:
        intake = self._core.intake
        unfinished = sum(intake.held(priority) - intake.entering(priority) for priority in PRIORITIES)
        return unfinished + self._core.job_list.ended_count

    def looked(self, event: EndedLooked) -> None:
        """The answer is there."""
        counted, self._asked, self._counting = self._counting, False, False
        if event.entries is None:
            # The next count decides anew.
            self._due.clear()
            self._missing = 0
        elif counted:
            # What was stored since it was asked makes the count larger only.
            behind = self._held_before - event.entries
            # A bucket that was removed is filled again by the server.
            self._unexplained = min(self._unexplained, max(behind, 0))
            self._missing = behind - self._unexplained
            if self._missing > 0 and not self._due:
                self._due.extend(JobMessage(job.status.job_id, job.seq) for job in self._core.job_list.by_end())
        else:
            forgotten = self._core.job_list.forget(event.gone)
            self._missing -= forgotten
            self._held -= forgotten
            if self._missing <= 0:
                self._due.clear()
            elif not self._due:
                self._unexplained, self._missing = self._unexplained + self._missing, 0
