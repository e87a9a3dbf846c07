"""What can happen to the coordinator's engine. Facts, in the past tense."""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.commands import AgentRecord, AwardsAnswered, CallAnswered, OutcomesReported
from pocket3d.contracts.jobs import Admission
from pocket3d.contracts.lifecycle import Priority
from pocket3d.contracts.messages import Advert, Result, Status

from ..leadership.message_limits import MAX_PAYLOAD
from .effects import JobMessage, RequestId
from .job_list import EndedJob
from .result_cache import Made


class Led(NamedTuple):
    """This coordinator leads from now on. `known` are the agents that the former leader knew."""

    epoch: int
    known: tuple[AgentRecord, ...]
    #: Largest message that the server takes, bytes.
    max_payload: int = MAX_PAYLOAD


class ResultsDrained(NamedTuple):
    """All results stored before the leadership was taken have been handed over."""


class LeadershipProven(NamedTuple):
    """The lease was renewed after `ProveLeadership`."""


class ProposalsWanted(NamedTuple):
    """The results stream takes proposals alone: an agent of a former version cannot store results there."""


class JobRead(NamedTuple):
    """A message of the jobs stream."""

    seq: int
    priority: Priority
    feature: str
    admission: Admission
    #: When the stream stored it, Unix seconds.
    published_at: float
    #: The message as published.
    data: bytes = b""
    #: It was taken in before its turn, to be cancelled: others before it are not read.
    early: bool = False
    #: Size of its artifacts, as its producer said; None if it did not.
    artifact_bytes: int | None = None


class QueuedStored(NamedTuple):
    """The `queued` event was admitted: the id is new."""

    job_id: str


class QueuedConflict(NamedTuple):
    """The `queued` event was refused: the events stream may know the id, or hold our own first try."""

    job_id: str


class QueuedUnknown(NamedTuple):
    """No answer: the `queued` event may be stored, or not."""

    job_id: str


#: What comes of one first event.
FirstEventOutcome = QueuedStored | QueuedConflict | QueuedUnknown


class LastEventRead(NamedTuple):
    """The last event of a job, or None; `job_seq` is the jobs-stream sequence of the message it belongs to.
    `unreadable`: there is one, but it cannot be decoded. `asked_for`: the message for which it was read, 0 for none.
    """

    job_id: str
    status: Status | None
    job_seq: int | None
    unreadable: bool = False
    asked_for: int | None = None


class AdvertReceived(NamedTuple):
    """An agent advertised, or answered `ReportState` (which came behind every award sent to it before)."""

    advert: Advert
    answers_question: bool = False


class AgentSilent(NamedTuple):
    """`AskState` got no answer. `no_responders`: the server says that nobody listens there."""

    agent_id: str
    no_responders: bool


class CallReturned(NamedTuple):
    """An agent answered a call for bids."""

    answer: CallAnswered


class AwardsReturned(NamedTuple):
    """An agent answered an award, job by job."""

    answer: AwardsAnswered


class AwardsRefused(NamedTuple):
    """An agent refused the command: it has seen a younger epoch, or could not read it."""

    agent_id: str
    tokens: tuple[str, ...]
    code: str


class AwardsUnanswered(NamedTuple):
    """No answer came: the award may or may not have arrived. `sent` is false if it certainly did not."""

    agent_id: str
    tokens: tuple[str, ...]
    sent: bool = True


class BodyGone(NamedTuple):
    """The jobs stream no longer holds the body of an awarded job. `seq`: where it was looked for."""

    job_id: str
    token: str
    seq: int


class AwardTooLarge(NamedTuple):
    """The server takes no message of the award's size: it was not sent, and never can be."""

    job_id: str
    token: str
    size: int
    limit: int


class CallTooLarge(NamedTuple):
    """The server takes no message of the call's size, although it was for one lot only."""

    call_id: int
    size: int
    limit: int


class OutcomesReturned(NamedTuple):
    """An agent reported what became of attempts; `request` wants an answer."""

    report: OutcomesReported
    request: RequestId


class ResultSeen(NamedTuple):
    """The results consumer handed over a stored result."""

    result: Result
    seq: int


class ResultRead(NamedTuple):
    """The results stream was read for one job: what it holds, or None."""

    job_id: str
    result: Result | None


class CachedRead(NamedTuple):
    """The result of an ended job that may answer this one; None where it or one of its files is gone."""

    job_id: str
    source: str
    made: Made
    result: Result | None


class ResultConflict(NamedTuple):
    """Our proposal was refused: a result is stored there, perhaps our own first try, or a rival was in process."""

    job_id: str


class ResultUnknown(NamedTuple):
    """No answer to our proposal, or it was not sent."""

    job_id: str


class ResultUnreadable(NamedTuple):
    """Under the job's id the results stream holds bytes that are no result, as its consumer or a read found."""

    job_id: str
    subject: str
    seq: int
    #: What is wrong with them, for people.
    error: str


class ResultDeleted(NamedTuple):
    """Those bytes are gone."""

    job_id: str
    seq: int


class EventsStored(NamedTuple):
    """The terminal events of these jobs are stored."""

    job_ids: tuple[str, ...]


class DeadStored(NamedTuple):
    """The job's dead letter is stored."""

    job_id: str


class JobsIndexed(NamedTuple):
    """Every job that lay in the jobs stream when the leadership was taken has been read."""


class EndedJobsRead(NamedTuple):
    """Ended jobs of the status bucket, the latest first, read from below one sequence down to another (0: its end)."""

    jobs: tuple[EndedJob, ...]
    below: int
    down_to: int
    #: Jobs that have not ended by this part. The bucket is a hint: their last events decide.
    unfinished: tuple[str, ...] = ()


class JobAcked(NamedTuple):
    """A message has left the jobs stream; `job_id` is empty for a second publish."""

    job_id: str
    seq: int = 0


class MessagesLooked(NamedTuple):
    """The jobs stream was asked for these messages: it holds some, and others are gone."""

    present: tuple[JobMessage, ...]
    missing: tuple[JobMessage, ...]
    sweep: bool = False


class StoriesListed(NamedTuple):
    """By a part of the status bucket these jobs have not ended. The bucket is a hint: their last events decide."""

    unfinished: tuple[str, ...]
    #: Where the part began, 0 for the beginning of the bucket.
    start: int


class CancelAsked(NamedTuple):
    """Somebody wants a job ended."""

    job_id: str
    reason: str | None


class Connected(NamedTuple):
    """The connection is back: consumers were reset, leases begin again."""

    #: Of the server of now; None: as before.
    max_payload: int | None = None


class Disconnected(NamedTuple):
    """The connection is lost: nothing can be awarded."""


class RoundDue(NamedTuple):
    """The open round's deadline has come."""


class Tick(NamedTuple):
    """Time passed."""


#: What the engine takes in.
Event = (
    Led
    | ResultsDrained
    | LeadershipProven
    | ProposalsWanted
    | JobRead
    | QueuedStored
    | QueuedConflict
    | QueuedUnknown
    | LastEventRead
    | AdvertReceived
    | AgentSilent
    | CallReturned
    | AwardsReturned
    | AwardsRefused
    | AwardsUnanswered
    | BodyGone
    | AwardTooLarge
    | CallTooLarge
    | OutcomesReturned
    | ResultSeen
    | ResultRead
    | CachedRead
    | ResultConflict
    | ResultUnknown
    | ResultUnreadable
    | ResultDeleted
    | EventsStored
    | DeadStored
    | JobsIndexed
    | EndedJobsRead
    | JobAcked
    | MessagesLooked
    | StoriesListed
    | CancelAsked
    | Connected
    | Disconnected
    | RoundDue
    | Tick
)
