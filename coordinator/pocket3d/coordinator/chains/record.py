"""One unfinished chain or group as the engine holds it. What its steps ask for is not here: it is read when needed."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from pocket3d.contracts.chain_messages import ChainEventWord
from pocket3d.contracts.chains import PlannedStep, job_id_of
from pocket3d.contracts.lifecycle import InvalidTransition
from pocket3d.contracts.subjects import ChainKind

#: Of the words of a failure, which may be long, so much is held.
MESSAGE_CHARS = 300
#: Begins the reason of a step whose job's id is another's.
ANOTHER_REQUEST = "its job's id is known with another request"


class StepState(str, Enum):
    """Where a step stands."""

    #: For the files of others, or for the retry of its chain to be stored.
    WAITING = "waiting"
    #: It is being published, or found to be published already.
    STARTING = "starting"
    #: Its job is in the jobs stream and has no result.
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = StepState

ENDED = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED})

#: (from, to) -> what makes it happen.
TRANSITIONS: dict[tuple[StepState, StepState], str] = {
    (S.WAITING, S.STARTING): "all steps whose files it takes succeeded",
    (S.WAITING, S.CANCELLED): "one of them did not, or the chain was cancelled",
    (S.STARTING, S.STARTED): "its job is stored",
    (S.STARTING, S.SUCCEEDED): "its job had a result already",
    (S.STARTING, S.FAILED): "its job had a result already, or cannot be stored",
    (S.STARTING, S.CANCELLED): "its job had a result already",
    (S.STARTED, S.SUCCEEDED): "its job has a result",
    (S.STARTED, S.FAILED): "its job has a result",
    (S.STARTED, S.CANCELLED): "its job has a result",
    (S.FAILED, S.WAITING): "the chain is tried again",
    (S.CANCELLED, S.WAITING): "the chain is tried again",
}


class ChainKey(NamedTuple):
    """Which chain or group."""

    kind: ChainKind
    name: str


class Failure(NamedTuple):
    """Why a step did not succeed."""

    code: str
    message: str
    field: str | None = None


class StepRecord:
    """One step, or one job of a group."""

    __slots__ = ("failure", "job_id", "plan", "state")

    def __init__(self, plan: PlannedStep) -> None:
        self.plan = plan
        self.job_id = plan.first_id
        self.state = StepState.WAITING
        self.failure: Failure | None = None

    @property
    def ended(self) -> bool:
        """True once it can change no more in this round."""
        return self.state in ENDED

    def move(self, state: StepState, failure: Failure | None = None) -> None:
        """Make a move.

        Raises:
            InvalidTransition: the table lacks it.
        """
        if (self.state, state) not in TRANSITIONS:
            raise InvalidTransition(f"the step of job {self.job_id}", self.state, state, [self.state.value])
        self.state = state
        self.failure = failure._replace(message=failure.message[:MESSAGE_CHARS]) if failure is not None else None


class ChainRecord:
    """A chain or a group in its present round.

    Args:
        key: which.
        steps: as planned from its request, all waiting.
        seq: of its `submitted` event in the chains stream, where its request is read.
        last_seq: of its last event.
    """

    def __init__(
        self,
        key: ChainKey,
        steps: tuple[PlannedStep, ...],
        *,
        tenant: str,
        priority: str,
        submitted_at: str,
        seq: int,
        last_seq: int,
    ) -> None:
        self.key = key
        self.steps = [StepRecord(step) for step in steps]
        self.tenant = tenant
        self.priority = priority
        self.submitted_at = submitted_at
        self.seq = seq
        self.last_seq = last_seq
        self.round_no = 1
        #: Somebody asked for its end; why, in words.
        self.cancel_reason: str | None = None
        #: Read from the stream: what it is to start may have been started by a former leader.
        self.restored = False
        #: The event that its last change wants, None where all is stored.
        self.wanted: ChainEventWord | None = None
        #: An event is being stored, or read back.
        self.storing = False
        #: No step starts before the event of its retry is stored.
        self.held = False
        #: Those who wait until what they asked for is stored.
        self.asks: list[int] = []

    @property
    def ended(self) -> bool:
        """True once every step has ended."""
        return all(step.ended for step in self.steps)

    @property
    def outcome(self) -> ChainEventWord:
        """How it ended, by its steps."""
        states = {step.state for step in self.steps}
        if S.FAILED not in states and S.CANCELLED not in states:
            return "succeeded"
        if self.cancel_reason is not None or S.FAILED not in states:
            return "cancelled"
        return "failed"

    def sources(self, step: StepRecord) -> list[StepRecord]:
        """The steps whose files a step takes."""
        return [self.steps[place] for place in step.plan.needs]

    def retry(self) -> None:
        """Begin the next round: what did not succeed waits again, under new job ids."""
        self.round_no += 1
        self.restored = False
        self.cancel_reason = None
        for step in self.steps:
            if step.state in (S.FAILED, S.CANCELLED):
                step.move(S.WAITING)
                step.job_id = job_id_of(step.plan.first_id, self.round_no)
