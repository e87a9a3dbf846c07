"""Which ended job made what a request asks for. Pure; bounded, and empty at the beginning of each leadership."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from pocket3d.contracts.messages import Result

from .content import Content

#: Ended jobs that are remembered; the earliest leave first.
_MOST = 10_000


class Made(NamedTuple):
    """What is asked for (by its key), and the adapter that makes it, in its version."""

    content: bytes
    adapter_id: str
    version: str


class _Attempt(NamedTuple):
    token: str
    made: Made


class _Ended(NamedTuple):
    job_id: str
    #: Monotonic seconds.
    at: float


class ResultCache:
    """Ended jobs by what they made.

    Args:
        age_s: those that ended longer ago answer for nobody, seconds.
        most: jobs that are remembered.
    """

    def __init__(self, age_s: float, most: int = _MOST) -> None:
        self._age_s = age_s
        self._most = most
        self._ended: OrderedDict[Made, _Ended] = OrderedDict()
        #: Of each job that was awarded, its latest attempt.
        self._attempts: dict[str, _Attempt] = {}
        #: Jobs that ask for a cached result and have not been queued yet.
        self._wishes: dict[str, Content] = {}

    def __len__(self) -> int:
        """Ended jobs that are remembered."""
        return len(self._ended)

    # -- jobs that ask

    def wish(self, job_id: str, content: Content | None) -> None:
        """A job was read that asks for a cached result; None: nobody can know what it asks for."""
        if content is not None:
            self._wishes[job_id] = content

    def take_wish(self, job_id: str) -> Content | None:
        """What a job asks for; once, for it is asked only before its first attempt."""
        return self._wishes.pop(job_id, None)

    def find(self, made: Made, now_mono: float) -> str | None:
        """The job that made it, if one is remembered."""
        ended = self._ended.get(made)
        return ended.job_id if ended is not None and now_mono - ended.at <= self._age_s else None

    # -- jobs that answer

    def awarded(self, job_id: str, token: str, made: Made) -> None:
        """An attempt goes out. Of an adapter that says no version nothing is remembered."""
        if made.version:
            self._attempts[job_id] = _Attempt(token, made)

    def ended(self, result: Result, now_mono: float) -> None:
        """A job has its result."""
        attempt = self._attempts.pop(result.job_id, None)
        if attempt is None or result.status != "succeeded" or result.token != attempt.token:
            return
        self._ended.pop(attempt.made, None)
        self._ended[attempt.made] = _Ended(result.job_id, now_mono)
        if len(self._ended) > self._most:
            self._ended.popitem(last=False)

    def gone(self, made: Made) -> None:
        """What was made is kept no longer."""
        self._ended.pop(made, None)

    def forget(self, job_id: str) -> None:
        """The job is unfinished no more."""
        self._attempts.pop(job_id, None)
        self._wishes.pop(job_id, None)
