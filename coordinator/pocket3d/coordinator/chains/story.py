"""From a record to the status that is stored and told, and back: a record is what its events say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pocket3d.contracts.chain_messages import (
    CHAIN_TERMINAL,
    ChainStatus,
    ChainWord,
    GroupJobStatus,
    GroupStatus,
    StepError,
    StepStatus,
    StepWord,
)
from pocket3d.contracts.chains import (
    MAX_ROUNDS,
    AnyChainRequest,
    ChainRequest,
    GroupRequest,
    check_plan,
    job_id_of,
    plan,
)
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.messages import Result
from pocket3d.contracts.subjects import Subjects

from .record import ENDED, ChainKey, ChainRecord, Failure, StepRecord, StepState

_WORDS: dict[StepState, StepWord] = {
    StepState.WAITING: "waiting",
    StepState.STARTING: "queued",
    StepState.STARTED: "queued",
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
    StepState.CANCELLED: "cancelled",
}
_ENDINGS = {state.value: state for state in ENDED}


class StoryEvent(NamedTuple):
    """One message of the chains stream."""

    event: str
    data: bytes
    seq: int
    #: When it was stored, RFC 3339.
    at: str

    @property
    def ends(self) -> bool:
        """True if it ends a round."""
        return self.event in CHAIN_TERMINAL


def end_of(result: Result) -> tuple[StepState, Failure | None]:
    """How a step ends whose job has this result."""
    error = result.error
    failure = Failure(error.code, error.message, error.field) if error is not None else None
    if result.status == "succeeded":
        return StepState.SUCCEEDED, None
    if result.status == "cancelled":
        return StepState.CANCELLED, failure
    return StepState.FAILED, failure or Failure(result.status, f"its job {result.status}")


def read_request(key: ChainKey, data: bytes) -> AnyChainRequest:
    """The body of a `submitted` event.

    Raises:
        WireError: it is none, it is that of another, or its steps cannot be planned.
    """
    request: AnyChainRequest = decode(ChainRequest, data) if key.kind == "chain" else decode(GroupRequest, data)
    name = request.chain_id if isinstance(request, ChainRequest) else request.group_id
    _check_name(key, name)
    wrong = check_plan(request)
    if wrong is not None:
        raise WireError(wrong.field, wrong.message)
    return request


def read_status(key: ChainKey, data: bytes) -> ChainStatus | GroupStatus:
    """The body of any other event.

    Raises:
        WireError: it is none, or that of another.
    """
    status: ChainStatus | GroupStatus
    status = decode(ChainStatus, data) if key.kind == "chain" else decode(GroupStatus, data)
    _check_name(key, status.chain_id if isinstance(status, ChainStatus) else status.group_id)
    return status


def _check_name(key: ChainKey, name: str | None) -> None:
    if name != key.name:
        raise WireError(f"{key.kind}_id", f"the subject says {key.name[:80]!r}, the message {(name or '')[:80]!r}")


def record_of(key: ChainKey, request: AnyChainRequest, seq: int, at: str) -> ChainRecord:
    """One that was just submitted."""
    priority = request.priority if isinstance(request, ChainRequest) else ""
    tenant = request.tenant
    return ChainRecord(key, plan(request), tenant=tenant, priority=priority, submitted_at=at, seq=seq, last_seq=seq)


def record_from(key: ChainKey, first: StoryEvent, last: StoryEvent) -> ChainRecord:
    """One as its first and its last event tell it, ended or not.

    Raises:
        WireError: they are no such events.
    """
    record = record_of(key, read_request(key, first.data), first.seq, first.at)
    record.last_seq = last.seq
    record.restored = True
    if last.event != "submitted":
        _restore(record, read_status(key, last.data), ended=last.ends)
    return record


def unfinished(counts: Mapping[str, int], subjects: Subjects) -> list[ChainKey]:
    """Which chains and groups have not ended: each round of one has one terminal event.

    Args:
        counts: the subjects of the chains stream, and how many messages each has.
        subjects: names of the namespace.
    """
    open_rounds: Counter[ChainKey] = Counter()
    for subject, count in counts.items():
        kind, name, event = subjects.parse_chain(subject)
        if event in ("submitted", "retried"):
            open_rounds[ChainKey(kind, name)] += count
        elif event in CHAIN_TERMINAL:
            open_rounds[ChainKey(kind, name)] -= count
    return sorted(key for key, rounds in open_rounds.items() if rounds > 0)


def _restore(record: ChainRecord, status: ChainStatus | GroupStatus, *, ended: bool) -> None:
    if not 1 <= status.round <= MAX_ROUNDS:
        raise WireError("round", f"{status.round}: want 1 to {MAX_ROUNDS}")
    record.round_no = status.round
    record.cancel_reason = (status.reason or "cancelled on request") if status.cancelling else None
    told: Sequence[StepStatus | GroupJobStatus] = status.steps if isinstance(status, ChainStatus) else status.jobs
    if len(told) != len(record.steps):
        raise WireError("steps", f"{len(told)}, of {len(record.steps)} that were asked for")
    for step, said in zip(record.steps, told, strict=True):
        # Its job is published and cancelled by that id.
        if said.job_id not in [job_id_of(step.plan.first_id, round_no + 1) for round_no in range(status.round)]:
            told_id = f"{said.job_id[:80]!r} is no job of the step {step.plan.name}, {step.plan.first_id!r}"
            raise WireError("job_id", told_id)
        step.job_id = said.job_id
        # A result never changes; all else is looked up again. So is a step that was cancelled before it had a job,
        # until the end of the chain says the same: another leader that did not know of it may have begun it.
        state = _ENDINGS.get(said.status)
        if state is not None and (ended or state is not StepState.CANCELLED):
            step.state = state
            step.failure = _failure_of(said)


def _failure_of(said: StepStatus | GroupJobStatus) -> Failure | None:
    if isinstance(said, GroupJobStatus):
        return Failure(said.code, "") if said.code is not None else None
    return Failure(said.error.code, said.error.message, said.error.field) if said.error is not None else None


def status_of(record: ChainRecord, at: str) -> ChainStatus | GroupStatus:
    """Where it stands, as far as the engine of chains knows: a job that was published is `queued`."""
    done = sum(step.ended for step in record.steps) / len(record.steps)
    if record.key.kind == "chain":
        return ChainStatus(
            chain_id=record.key.name,
            status=_word(record),
            round=record.round_no,
            tenant=record.tenant,
            priority=record.priority,
            fraction=round(done, 4),
            cancelling=record.cancel_reason is not None,
            reason=record.cancel_reason,
            steps=[_step_status(record, step) for step in record.steps],
            at=at,
            submitted_at=record.submitted_at,
        )
    jobs = [
        GroupJobStatus(
            job_id=step.job_id,
            feature=step.plan.feature,
            status=word_of(step),
            code=step.failure.code if step.failure is not None else None,
        )
        for step in record.steps
    ]
    return GroupStatus(
        group_id=record.key.name,
        status=_word(record),
        round=record.round_no,
        tenant=record.tenant,
        fraction=round(done, 4),
        cancelling=record.cancel_reason is not None,
        reason=record.cancel_reason,
        counts=dict(Counter(job.status for job in jobs)),
        jobs=jobs,
        at=at,
        submitted_at=record.submitted_at,
    )


def word_of(step: StepRecord) -> StepWord:
    """What is said of a step, as far as the engine of chains knows."""
    return _WORDS[step.state]


def _word(record: ChainRecord) -> ChainWord:
    if record.ended:
        outcome = record.outcome
        return "succeeded" if outcome == "succeeded" else "failed" if outcome == "failed" else "cancelled"
    return "running" if any(step.ended for step in record.steps) else "queued"


def _step_status(record: ChainRecord, step: StepRecord) -> StepStatus:
    failure = step.failure
    reason = None
    if step.state is StepState.WAITING:
        open_sources = [source.plan.name for source in record.sources(step) if source.state is not StepState.SUCCEEDED]
        reason = f"waits for {', '.join(open_sources)}" if open_sources else None
    return StepStatus(
        name=step.plan.name,
        feature=step.plan.feature,
        job_id=step.job_id,
        status=word_of(step),
        reason=reason,
        error=None if failure is None else StepError(code=failure.code, message=failure.message, field=failure.field),
    )
