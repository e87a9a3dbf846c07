"""All unfinished jobs and the latest ended ones, in pages: the newest first, by status, feature, tenant and time. Pure.

A page costs what it holds, not what there is: each filter has a list of its own, and the shortest of them is walked.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import msgspec

from pocket3d.contracts.clock import parse_rfc3339, rfc3339
from pocket3d.contracts.lifecycle import TERMINAL, JobState, StatusWord
from pocket3d.contracts.messages import Status

from .job import JobRecord
from .sorted_jobs import SortedJobs

#: Ended jobs that are kept.
ENDED_KEPT = 100_000
#: A server's clock may have stepped back by so much between two jobs, seconds.
_CLOCK_STEP_S = 60.0
#: Words of ended jobs that are kept once for all, e.g. agents' ids.
_WORDS_KEPT = 10_000

S = JobState
#: Where an unfinished job of a status may stand; `queued` is looked for among all.
_STATES: dict[str, tuple[JobState, ...]] = {
    "submitted": (S.SUBMITTED,),
    "awarded": (S.AWARDED,),
    "running": (S.RUNNING, S.FINISHING, S.FINISHED, S.RECOVERING),
}


class JobFilter(NamedTuple):
    """Which jobs are wanted; None: any."""

    status: str | None = None
    feature: str | None = None
    tenant: str | None = None
    #: Submitted then or later, Unix seconds.
    since: float | None = None

    def takes(self, status: Status) -> bool:
        """Judge a status as it is stored."""
        return (
            (self.status is None or status.status == self.status)
            and (self.feature is None or status.feature == self.feature)
            and (self.tenant is None or status.tenant == self.tenant)
            and (self.since is None or _submitted_at(status) >= self.since)
        )


class EndedJob(NamedTuple):
    """A job that has its result, by its last event."""

    seq: int
    status: Status


T = TypeVar("T", JobRecord, EndedJob)


class _Lists(Generic[T]):
    """Jobs in one list for all of them and one for each value of each filter."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], SortedJobs[T]] = {("all", ""): SortedJobs()}

    @property
    def all(self) -> SortedJobs[T]:
        return self.of["all", ""]

    def add(self, job: T, keys: Iterable[tuple[str, str]]) -> None:
        if self.all.get(job.seq) is not None:
            # Of two jobs with one sequence, where somebody made the jobs stream anew by hand, one is listed.
            return
        self.all.add(job)
        for key in keys:
            self.of.setdefault(key, SortedJobs()).add(job)

    def remove(self, job: T, keys: Iterable[tuple[str, str]]) -> None:
        if self.all.get(job.seq) is not job:
            return
        self.all.remove(job.seq)
        for key in keys:
            jobs = self.of[key]
            jobs.remove(job.seq)
            if not len(jobs):
                del self.of[key]

    def shortest(self, keys: Iterable[tuple[str, str]]) -> SortedJobs[T] | None:
        """The list to walk; None if one of the filters takes nothing."""
        shortest = self.all
        for key in keys:
            jobs = self.of.get(key)
            if jobs is None:
                return None
            if len(jobs) < len(shortest):
                shortest = jobs
        return shortest


class JobList:
    """What can be listed without reading a stream.

    Args:
        ended_kept: ended jobs that are kept; those that ended first are forgotten first.
    """

    def __init__(self, ended_kept: int = ENDED_KEPT) -> None:
        self._ended_kept = ended_kept
        self._unfinished: _Lists[JobRecord] = _Lists()
        #: Those that do not just wait, by where they stand.
        self._in_state: dict[JobState, dict[str, JobRecord]] = {state: {} for state in S if state is not S.QUEUED}
        self._ended: _Lists[EndedJob] = _Lists()
        #: Those that ended before this leadership, read from the status bucket. They are listed once enough of them are
        #: read, so that the pages of one list do not miss those that come meanwhile.
        self._former: _Lists[EndedJob] = _Lists()
        #: Both, in the order in which they ended.
        self._by_end: deque[EndedJob] = deque()
        self._words: dict[str, str] = {}
        #: When the youngest of those ended that was forgotten, RFC 3339; None if none was.
        self.forgotten_until: str | None = None
        #: Former ones lie below that sequence of the status bucket; None until any were read.
        self.former_below: int | None = None
        #: They are listed from here down to that sequence, 0: all of them; None while they are not.
        self.former_down_to: int | None = None

    # -- jobs come, move, end

    def add(self, record: JobRecord) -> None:
        """A job is held from now on."""
        self._unfinished.add(record, _keys_of(record))
        if record.state is not S.QUEUED:
            self._in_state[record.state][record.job_id] = record

    def moved(self, record: JobRecord, former: JobState) -> None:
        """A job stands elsewhere."""
        if former is not S.QUEUED:
            self._in_state[former].pop(record.job_id, None)
        if record.state is not S.QUEUED:
            self._in_state[record.state][record.job_id] = record

    def remove(self, record: JobRecord) -> None:
        """A job is held no more; what is known of its end stays."""
        self._unfinished.remove(record, _keys_of(record))
        self._in_state.get(record.state, {}).pop(record.job_id, None)
        if record.end is not None and not self._has_ended(record.seq):
            ended = EndedJob(record.seq, self._with_shared_words(record.end))
            self._ended.add(ended, _keys_of_ended(ended.status))
            self._by_end.append(ended)
        while len(self._by_end) > self._ended_kept:
            self._forget(self._by_end.popleft())

    def read(self, ended: Iterable[EndedJob], below: int, down_to: int) -> bool:
        """Ended jobs of earlier leaders were read from the status bucket, the latest first, from below one sequence
        down to another; true if more are wanted.
        """
        if self.former_below is None:
            self.former_below = below
        for each in ended:
            known = self._unfinished.all.get(each.seq) is not None or self._has_ended(each.seq)
            if len(self._by_end) < self._ended_kept and not known:
                job = EndedJob(each.seq, self._with_shared_words(each.status))
                self._former.add(job, _keys_of_ended(job.status))
                self._by_end.appendleft(job)
        if down_to > 0 and len(self._by_end) < self._ended_kept:
            return True
        self.former_down_to = down_to
        return False

    def _with_shared_words(self, status: Status) -> Status:
        """The same with one string for equal ones: each result brings its own."""
        return msgspec.structs.replace(
            status,
            **{field: self._word(getattr(status, field)) for field in ("feature", "tenant", "agent_id", "device")},
            adapter_id=self._word(status.adapter_id),
            variant=self._word(status.variant),
        )

    def _word(self, word: str | None) -> str | None:
        if word is None:
            return None
        if len(self._words) >= _WORDS_KEPT:
            self._words.clear()
        return self._words.setdefault(word, word)

    def _has_ended(self, seq: int) -> bool:
        return self._ended.all.get(seq) is not None or self._former.all.get(seq) is not None

    def _take_out(self, job: EndedJob) -> None:
        jobs = self._ended if self._ended.all.get(job.seq) is job else self._former
        jobs.remove(job, _keys_of_ended(job.status))

    def _forget(self, job: EndedJob) -> None:
        self._take_out(job)
        self.forgotten_until = max(self.forgotten_until or "", job.status.at)

    def forget(self, gone: Iterable[tuple[str, int]]) -> int:
        """The status bucket has these ended jobs, by id and sequence, no more; how many of them were listed."""
        jobs = set(gone)
        left = [job for job in self._by_end if (job.status.job_id, job.seq) in jobs]
        for job in left:
            self._take_out(job)
        if left:
            self._by_end = deque(job for job in self._by_end if (job.status.job_id, job.seq) not in jobs)
        return len(left)

    # -- questions

    @property
    def ended_count(self) -> int:
        """Ended jobs that are listed, or are to be."""
        return len(self._by_end)

    def by_end(self) -> Iterator[EndedJob]:
        """Those, in the order in which they ended."""
        return iter(self._by_end)

    def __len__(self) -> int:
        """Unfinished jobs."""
        return len(self._unfinished.all)

    def files(self, record: JobRecord) -> bool:
        """True if a job that is held is listed, and where it stands."""
        places = [state for state, jobs in self._in_state.items() if jobs.get(record.job_id) is record]
        stands = places == ([] if record.state is S.QUEUED else [record.state])
        return stands and self._unfinished.all.get(record.seq) is record

    def holds(self, seq: int) -> bool:
        """True if a job is listed from here; others may be in the status bucket."""
        if self._unfinished.all.get(seq) is not None or self._ended.all.get(seq) is not None:
            return True
        return self.came_later(seq)

    def came_later(self, seq: int) -> bool:
        """True if a listed job came into the list some time after this leader took over, and had ended before."""
        listed = self.former_down_to is not None and self._former.all.get(seq) is not None
        return listed and self._unfinished.all.get(seq) is None

    def page(self, wanted: JobFilter, after: int | None, limit: int) -> list[JobRecord | EndedJob]:
        """The newest that are wanted, by their submission, below the sequence `after`."""
        unfinished: Iterator[JobRecord | EndedJob] = self._find_unfinished(wanted, after)
        ended: list[Iterator[JobRecord | EndedJob]] = [self._find_ended(self._ended, wanted, after)]
        if self.former_down_to is not None:
            ended.append(self._find_ended(self._former, wanted, after))
        found: list[JobRecord | EndedJob] = []
        for job in heapq.merge(unfinished, *ended, key=_newest_first):
            # One that has ended is held again for a moment where its ack was lost.
            if not found or found[-1].seq != job.seq:
                found.append(job)
            if len(found) == limit:
                break
        return found

    def _find_unfinished(self, wanted: JobFilter, after: int | None) -> Iterator[JobRecord]:
        if wanted.status in _STATES:
            in_state = [each for state in _STATES[wanted.status] for each in self._in_state[state].values()]
            found = (each for each in in_state if after is None or each.seq < after)
            candidates: Iterable[JobRecord] = sorted(found, key=_newest_first)
        elif wanted.status is None or wanted.status == "queued":
            shortest = self._unfinished.shortest(_wanted_keys(wanted._replace(status=None)))
            candidates = shortest.down_from(after) if shortest is not None else ()
        else:
            ending = (each for each in self._in_state[S.FINISHED].values() if after is None or each.seq < after)
            candidates = sorted(ending, key=_newest_first)
        for record in candidates:
            if wanted.since is not None and record.submitted_at < wanted.since:
                if record.submitted_at < wanted.since - _CLOCK_STEP_S:
                    return
                continue
            if (
                (wanted.status is None or word_of(record) == wanted.status)
                and (wanted.feature is None or record.job_class.feature == wanted.feature)
                and (wanted.tenant is None or record.job_class.tenant == wanted.tenant)
            ):
                yield record

    def _find_ended(self, jobs: _Lists[EndedJob], wanted: JobFilter, after: int | None) -> Iterator[EndedJob]:
        if wanted.status is not None and wanted.status not in TERMINAL:
            return
        shortest = jobs.shortest(_wanted_keys(wanted))
        since = rfc3339(wanted.since - _CLOCK_STEP_S) if wanted.since is not None else ""
        for job in shortest.down_from(after) if shortest is not None else ():
            if (job.status.submitted_at or job.status.at) < since:
                return
            if wanted.takes(job.status):
                yield job


def word_of(record: JobRecord) -> StatusWord:
    """What is said of a job that is held."""
    state = record.state
    if state is S.RECOVERING:
        return record.recovery.status.status if record.recovery and record.recovery.status else "queued"
    if state is S.FINISHED and record.end is not None:
        return record.end.status
    if state is S.FINISHING:
        # Its end is proposed, and the results stream may yet decide otherwise.
        return "running" if record.started_published else "queued"
    return _WORDS[state]


_WORDS: dict[JobState, StatusWord] = {
    S.SUBMITTED: "submitted",
    S.QUEUED: "queued",
    S.AWARDED: "awarded",
    S.RUNNING: "running",
    S.FINISHED: "running",
}


def status_of(job: JobRecord | EndedJob, wall_offset_s: float) -> Status:
    """A listed job in the form of the wire; `at` says since when it stands there.

    Args:
        job: from a page.
        wall_offset_s: wall clock less monotonic clock.
    """
    if isinstance(job, EndedJob):
        return job.status
    if job.state is S.FINISHED and job.end is not None:
        return job.end
    since = job.attempt.awarded_at if job.attempt is not None else job.queued_at
    at = job.submitted_at if job.state is S.SUBMITTED else since + wall_offset_s
    failed = job.retry.attempts[-1] if job.retry is not None and job.retry.attempts else None
    return job.status(word_of(job), rfc3339(at), reason=failed.message if failed is not None else None)


def _newest_first(job: JobRecord | EndedJob) -> int:
    return -job.seq


def _submitted_at(status: Status) -> float:
    """Unix seconds; events of earlier versions say only since when the status holds, and anybody's may say nothing."""
    try:
        return parse_rfc3339(status.submitted_at or status.at)
    except ValueError:
        return 0.0


def _keys_of(record: JobRecord) -> tuple[tuple[str, str], ...]:
    return ("feature", record.job_class.feature), ("tenant", record.job_class.tenant)


def _keys_of_ended(status: Status) -> tuple[tuple[str, str], ...]:
    return ("feature", status.feature), ("tenant", status.tenant), ("status", status.status)


def _wanted_keys(wanted: JobFilter) -> list[tuple[str, str]]:
    values = (("feature", wanted.feature), ("tenant", wanted.tenant), ("status", wanted.status))
    return [(name, value) for name, value in values if value is not None]
