"""When it is looked whether the jobs stream still holds the messages of unfinished jobs. Pure.

To read each message of a long queue again and again would cost more than the queue. So the stream's messages are
counted: where there are fewer than there must be, all jobs are looked up, otherwise some, a few more each time.
"""

from __future__ import annotations

import math
from collections import deque

from pocket3d.contracts.lifecycle import JobState

from ..engine.effects import CountMessages, FindMessages, JobMessage, ListStories
from ..engine.events import StoriesListed
from ..engine.job_list import JobList
from ..engine.state import Core

#: Messages that were published and not read yet may make up for removed ones in the count: some jobs are always looked
#: up.
SAMPLE = 500
#: Messages that are looked up at once.
CHUNK = 256
#: How long after the list of ended jobs was filled the newest stories are looked through again, seconds.
AGAIN_S = 30.0
_LOOKED_UP = (JobState.QUEUED, JobState.AWARDED, JobState.RUNNING)


class StoryList:
    """The stories that a new leader looks through, the newest first: those without an end and without a job are to be
    ended. What is read for the list of ended jobs is looked through with it; here is what lies below that, a part at
    each step, and what came later: a first event that a former leader sent may be stored, and projected, after the
    takeover.

    Args:
        job_list: which is filled from the same bucket.
    """

    def __init__(self, job_list: JobList) -> None:
        self._job_list = job_list
        #: Below which sequence, None for the newest, and down to which one is looked through; None: nothing now.
        self._part: tuple[int | None, int] | None = None
        #: When the newest are looked through, monotonic seconds; None before the list is filled.
        self._again_at: float | None = None
        self._asked = False

    def step(self, now_mono: float) -> list[ListStories]:
        """What is to be looked through now."""
        below, down_to = self._job_list.former_below, self._job_list.former_down_to
        if below is None or down_to is None:
            return []
        if self._again_at is None:
            self._again_at = now_mono + AGAIN_S
            self._part = (down_to, 1) if down_to > 1 else None
        elif self._part is None and now_mono >= self._again_at:
            self._part, self._again_at = (None, below), math.inf
        if self._part is None or self._asked:
            return []
        self._asked = True
        return [ListStories(self._part[0])]

    def listed(self, event: StoriesListed) -> None:
        """A part has been looked through."""
        self._asked = False
        down_to = self._part[1] if self._part is not None else 0
        self._part = (event.start, down_to) if event.start > down_to else None


class RemovalSweep:
    """The sweep of one leadership.

    Args:
        core: the engine's state, which is only read.
        period_s: from one count to the next, seconds.
        sample: jobs that are looked up in each period although nothing seems to be missing.
    """

    def __init__(self, core: Core, period_s: float, sample: int = SAMPLE) -> None:
        self._core = core
        self._sample = sample
        self._period_s = period_s
        #: None before this coordinator leads.
        self._count_at: float | None = None
        #: An answer is awaited.
        self._asked = False
        #: Jobs still to be looked up now, and in this and further periods.
        self._due: deque[str] = deque()
        self._round: deque[str] = deque()
        #: Acks of ended jobs that went out, and that were confirmed.
        self._acks_sent = 0
        self._acks_confirmed = 0
        #: As the count was asked for: jobs, less those whose acks may have been carried out already.
        self._held = 0
        self._stories = StoryList(core.job_list)

    def step(self, now_mono: float) -> list[CountMessages | FindMessages | ListStories]:
        """What is to be asked now."""
        if not self._core.leading:
            return []
        if self._count_at is None:
            self._count_at = now_mono + self._period_s
        # A story may have a job that was not read yet.
        stories = self._stories.step(now_mono) if self._core.jobs_indexed else []
        return [*stories, *self._look(now_mono)]

    def listed(self, event: StoriesListed) -> None:
        """A part of the stories has been looked through."""
        self._stories.listed(event)

    def _look(self, now_mono: float) -> list[CountMessages | FindMessages]:
        if self._asked or self._count_at is None:
            return []
        if self._due:
            wanted = self._messages([self._due.popleft() for _ in range(min(CHUNK, len(self._due)))])
            self._asked = bool(wanted)
            return [FindMessages(wanted, sweep=True)] if wanted else []
        if now_mono < self._count_at:
            return []
        self._count_at = now_mono + self._period_s
        self._asked = True
        self._held = len(self._core.jobs) + self._acks_confirmed
        return [CountMessages()]

    def _messages(self, job_ids: list[str]) -> tuple[JobMessage, ...]:
        found = (self._core.jobs.get(job_id) for job_id in job_ids)
        return tuple(
            JobMessage(record.job_id, record.seq)
            for record in found
            if record is not None and record.state in _LOOKED_UP and not record.removed
        )

    def ack_sent(self) -> None:
        """An ended job's ack went out: from now on its message may be gone."""
        self._acks_sent += 1

    def ack_confirmed(self) -> None:
        """An ended job's message is gone."""
        self._acks_confirmed += 1

    def counted(self, messages: int | None) -> None:
        """The stream holds so many; None if it did not answer."""
        self._asked = False
        if messages is None:
            return
        # What was published since it was asked makes the count larger only.
        certain = self._held - self._acks_sent - len(self._core.index.removed)
        if messages < certain:
            self._due.extend(self._core.jobs)
            return
        for _ in range(self._sample):
            if not self._round:
                self._round.extend(self._core.jobs)
                if len(self._round) <= self._sample - len(self._due):
                    self._due.extend(self._round)
                    self._round.clear()
                    return
            self._due.append(self._round.popleft())

    def looked(self) -> None:
        """The messages that were asked for have been looked up."""
        self._asked = False
