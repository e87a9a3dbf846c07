"""What the engine remembers of a job: small for the many that wait, more for the few that ran or failed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.failures import FAILURES, FailureCode
from pocket3d.contracts.jobs import Job, Limits, Rejection, RetryPolicy
from pocket3d.contracts.lifecycle import JobState, Priority, ResultWord, StatusWord
from pocket3d.contracts.messages import AttemptError, JobError, Result, Status, Timings
from pocket3d.contracts.variants import RaisedNeed, Wish

from ..auction.expected import UNMEASURED, Expected
from ..auction.fair_share import Charge
from .lifecycle import check_transition


class JobClass(NamedTuple):
    """What many jobs have in common; interned, so that a waiting job costs a pointer."""

    feature: str
    canonical: str
    priority: Priority
    tenant: str
    preferred: tuple[str, ...] | None
    vram_mb: int | None
    limits: Limits
    retry: RetryPolicy
    #: Adapters that refuse its parameters.
    unfit: tuple[str, ...] = ()
    #: For adapters alone that may be used commercially.
    commercial_only: bool = False
    #: In which variant of the adapter it must run; None for any.
    variant: str | None = None
    #: How large its files are; None without files, and where that is not known.
    size_class: str | None = None

    @staticmethod
    def of(feature: str, canonical: str, priority: Priority, job: Job | None) -> JobClass:
        """The class of a job; of a rejected one (None) with the defaults."""
        if job is None:
            return JobClass(feature, canonical, priority, "default", None, None, Limits(), RetryPolicy())
        return JobClass(
            feature,
            canonical,
            priority,
            job.tenant,
            job.preferred,
            job.vram_mb,
            job.limits,
            job.retry,
            commercial_only=job.commercial_only is True,
            variant=job.wanted_variant,
        )


class GroupKey(NamedTuple):
    """Jobs with the same key bid alike and form one job group."""

    priority: Priority
    canonical: str
    preferred: tuple[str, ...] | None
    vram_mb: int | None
    #: Agents that are to be left out while others can take it.
    excluded: frozenset[str]
    #: Adapters that refuse the parameters.
    unfit: tuple[str, ...] = ()
    #: To be tried on a worker that runs nothing else.
    apart: bool = False
    #: Devices, each with its agent, that are to be left out while others bid.
    failed_on: frozenset[tuple[str, str]] = frozenset()
    #: For adapters alone that may be used commercially.
    commercial_only: bool = False
    #: The only variant in which they may run; None for any.
    variant: str | None = None
    #: Variants in which they ran out of memory.
    raised: tuple[RaisedNeed, ...] = ()
    #: How large their files are; None without files, and where that is not known.
    size_class: str | None = None

    @property
    def wish(self) -> Wish:
        """What they say of variants and of memory."""
        return Wish(self.variant, self.vram_mb, self.raised)


class Attempt:
    """One award of a job, from the moment it is sent."""

    __slots__ = (
        "adapter_id",
        "agent_id",
        "answer_seq",
        "apart",
        "awarded_at",
        "cancel_by",
        "charge",
        "claim_mb",
        "device",
        "expected",
        "incarnation",
        "number",
        "passed_over",
        "pending_verification",
        "token",
        "unanswered",
        "variant",
    )

    def __init__(
        self,
        *,
        number: int,
        token: str,
        agent_id: str,
        incarnation: str,
        device: str,
        adapter_id: str,
        claim_mb: int,
        awarded_at: float,
        charge: Charge | None = None,
        apart: bool = False,
        variant: str | None = None,
        passed_over: str | None = None,
        expected: Expected = UNMEASURED,
    ) -> None:
        self.number = number
        #: What it is expected to take there.
        self.expected = expected
        #: Of the adapter, None if it has none; and why it is no better one, where that is known.
        self.variant = variant
        self.passed_over = passed_over
        #: What its tenant was charged for it; None for an attempt that is only told of.
        self.charge = charge
        #: Nothing else may run on its worker meanwhile.
        self.apart = apart
        self.token = token
        self.agent_id = agent_id
        self.incarnation = incarnation
        self.device = device
        self.adapter_id = adapter_id
        self.claim_mb = claim_mb
        self.awarded_at = awarded_at
        #: `seq` of the agent's acceptance; None while it is unknown whether the award arrived.
        self.answer_seq: int | None = None
        #: The award got no answer: it may or may not have arrived, and its agent is asked until it says.
        self.unanswered = False
        #: The agent no longer lists it; the results stream is being read.
        self.pending_verification = False
        #: When a cancel stops waiting for the agent, monotonic seconds.
        self.cancel_by = math.inf


#: Codes that count towards a bench.
_SUSPICIOUS = frozenset(code.value for code, facts in FAILURES.items() if facts.benches)


class RetryState:
    """What only some jobs have: failures, exclusions, a cancel."""

    __slots__ = (
        "attempts",
        "cancel",
        "ended",
        "excluded",
        "raised",
        "raised_mb",
        "refusal",
        "rejection",
        "removed",
        "spent",
    )

    def __init__(self) -> None:
        self.attempts: list[AttemptError] = []
        #: Attempts that count towards `max_attempts`.
        self.spent = 0
        self.excluded: frozenset[str] = frozenset()
        #: Tokens whose failure was reported: said again, or still listed, they are not news.
        self.ended: set[str] = set()
        #: Requirement after an out-of-memory, MB.
        self.raised_mb: int | None = None
        #: The same of variants, for a job that names none.
        self.raised: tuple[RaisedNeed, ...] = ()
        #: Why it is to be cancelled; None if it is not.
        self.cancel: str | None = None
        #: It is no job: its first event says so, before its result.
        self.rejection: Rejection | None = None
        #: No adapter takes its parameters, or its tenant has too many jobs that wait. Another leader may know other
        #: adapters and other jobs, so its first event is `queued`.
        self.refusal: Rejection | None = None
        #: The jobs stream no longer holds its message, which somebody removed. It may run on, and waits no more.
        self.removed = False

    @property
    def suspect(self) -> bool:
        """True once an attempt failed by its adapter's fault, or its own: others have the first try after it."""
        return any(error.code in _SUSPICIOUS for error in self.attempts)

    @property
    def failed_on(self) -> frozenset[tuple[str, str]]:
        """(agent, device) of the attempts that failed by its adapter's fault, its own, or the device's."""
        places = ((error.agent_id, error.device) for error in self.attempts if error.code in _SUSPICIOUS)
        return frozenset((agent, device) for agent, device in places if agent is not None and device is not None)

    @property
    def apart(self) -> bool:
        """True once its worker crashed: until it succeeds it runs where nothing else does."""
        return any(error.code == FailureCode.WORKER_CRASHED.value for error in self.attempts)


class Recovery:
    """How far it is known what became of a job under a former leader."""

    __slots__ = ("result_asked", "status")

    def __init__(self, status: Status | None) -> None:
        #: Its last event, which says that an agent ran it; None if that cannot be read.
        self.status = status
        #: No agent says that it runs it, and the results stream is being read.
        self.result_asked = False


#: Moves until a job waits for the first time, at most.
_BEGINNING = 2


@lru_cache(maxsize=64)
def _one_for_all(history: tuple[str, ...]) -> tuple[str, ...]:
    """The one object for equal histories: it would be a quarter of what a waiting job takes."""
    return history


class JobRecord:
    """One unfinished job."""

    __slots__ = (
        "attempt",
        "attempt_no",
        "end",
        "ending",
        "history",
        "job_class",
        "job_id",
        "label",
        "last_status",
        "not_before",
        "on_move",
        "proposal",
        "queued_at",
        "recovery",
        "rejection_published",
        "result_seq",
        "retry",
        "seq",
        "started_published",
        "state",
        "submitted_at",
    )

    def __init__(self, seq: int, job_id: str, job_class: JobClass, submitted_at: float, now_mono: float) -> None:
        self.seq = seq
        self.job_id = job_id
        self.job_class = job_class
        #: What people know it by.
        self.label: str | None = None
        self.state = JobState.SUBMITTED
        #: Unix seconds.
        self.submitted_at = submitted_at
        #: Monotonic seconds of the latest queueing.
        self.queued_at = now_mono
        self.not_before = 0.0
        #: Number of the latest award that was not declined.
        self.attempt_no = 0
        self.attempt: Attempt | None = None
        self.retry: RetryState | None = None
        self.started_published = False
        #: `rejected` was published as its first and only event.
        self.rejection_published = False
        #: The terminal result that this engine proposed.
        self.proposal: Result | None = None
        #: Not None while an agent or the results stream is asked what became of it under a former leader.
        self.recovery: Recovery | None = None
        #: A terminal decision that waits until the leadership is proven.
        self.ending: tuple[ResultWord, JobError] | None = None
        #: Its last event, waiting for its dead letter.
        self.last_status: Status | None = None
        #: Its last event, from the moment that its result is known.
        self.end: Status | None = None
        self.result_seq: int | None = None
        #: Its latest moves, in words.
        self.history: tuple[str, ...] = ()
        #: Called after each move with the record and its former state.
        self.on_move: Callable[[JobRecord, JobState], None] | None = None

    def move(self, state: JobState, why: str) -> None:
        """Change the state.

        Raises:
            InvalidTransition: the table has no such move.
        """
        check_transition(self.job_id, self.state, state, self.history)
        history = (*self.history[-11:], f"{self.state.value} -> {state.value} ({why})")
        waits = state is JobState.QUEUED and len(history) <= _BEGINNING
        self.history = _one_for_all(history) if waits else history
        former, self.state = self.state, state
        if self.on_move is not None:
            self.on_move(self, former)

    def retry_state(self) -> RetryState:
        """The part that only some jobs have, made when first needed."""
        if self.retry is None:
            self.retry = RetryState()
        return self.retry

    @property
    def cancel_wanted(self) -> bool:
        """True once somebody asked for its end."""
        return self.retry is not None and self.retry.cancel is not None

    @property
    def removed(self) -> bool:
        """True of an unfinished job once its message is known to be gone."""
        over = self.state in (JobState.FINISHING, JobState.FINISHED)
        return self.retry is not None and self.retry.removed and not over

    def group_key(self) -> GroupKey:
        """The job group it belongs to."""
        job_class = self.job_class
        retry = self.retry
        vram = job_class.vram_mb
        excluded: frozenset[str] = frozenset()
        failed_on: frozenset[tuple[str, str]] = frozenset()
        apart = False
        raised: tuple[RaisedNeed, ...] = ()
        if retry is not None:
            excluded, apart, failed_on, raised = retry.excluded, retry.apart, retry.failed_on, retry.raised
            if retry.raised_mb is not None:
                vram = max(retry.raised_mb, vram or 0)
        return GroupKey(
            job_class.priority,
            job_class.canonical,
            job_class.preferred,
            vram,
            excluded,
            job_class.unfit,
            apart,
            failed_on,
            job_class.commercial_only,
            job_class.variant,
            raised,
            job_class.size_class,
        )

    def status(self, word: StatusWord, at: str, *, reason: str | None = None, error: JobError | None = None) -> Status:
        """Its status in the form of the wire."""
        attempt = self.attempt
        return Status(
            job_id=self.job_id,
            feature=self.job_class.feature,
            priority=self.job_class.priority,
            tenant=self.job_class.tenant,
            status=word,
            attempt=self.attempt_no,
            agent_id=attempt.agent_id if attempt else None,
            device=attempt.device if attempt else None,
            adapter_id=attempt.adapter_id if attempt else None,
            variant=attempt.variant if attempt else None,
            reason=reason,
            error=error,
            at=at,
            submitted_at=rfc3339(self.submitted_at),
            label=self.label,
        )


def timings_of(record: JobRecord, submitted_at: str, finished_at: str) -> Timings:
    """What a coordinator can say of a job that did not succeed: only what it saw."""
    return Timings(submitted_at=submitted_at, finished_at=finished_at)
