"""What the coordinator's engine wants done. Imperatives: one call on the bus each, answered by one event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.commands import AgentRecord, Award, Cancel, Lot, StoredFile
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import EventWord, Priority
from pocket3d.contracts.messages import DeadLetter, JobError, Result, Status

from .result_cache import Made

#: An opaque handle on something that waits for an answer; the service knows what it is.
RequestId = int
#: A consumer of the coordinator's: of results, or of the jobs of one priority.
ConsumerKey = Literal["results", "high", "normal", "low"]


class PublishQueued(NamedTuple):
    """Store the `queued` event, expecting none of this id: answered by `QueuedStored`, `QueuedConflict` or
    `QueuedUnknown`.
    """

    status: Status
    job_seq: int
    #: Of the request, so that a second submit of another request is recognised; empty where it is not at hand.
    digest: str = ""
    #: In no batch with others: it was in one that failed, or its id may be known.
    alone: bool = False


class PublishQueuedBatch(NamedTuple):
    """Store these first events, all or none: answered by `QueuedBatchStored`, `QueuedBatchConflict` or
    `QueuedBatchUnknown`.
    """

    priority: Priority
    first_events: tuple[PublishQueued, ...]


class PublishEvent(NamedTuple):
    """Store an event, in order, in a batch fenced by the leader record. `answer`: say `EventsStored`."""

    event: EventWord
    status: Status
    job_seq: int
    answer: bool = False


class PublishDead(NamedTuple):
    """Store the original request as a dead letter: answered by `DeadStored`."""

    job_id: str
    feature: str
    priority: Priority
    job_seq: int
    error: JobError | None


class ReadLastEvent(NamedTuple):
    """Read the last event of a job: answered by `LastEventRead`. `priority` is None where only its result is known."""

    job_id: str
    priority: Priority | None = None
    #: The message for which it is asked; 0 where none is known.
    seq: int = 0


class StoreResult(NamedTuple):
    """Propose a terminal result, expecting none of this job. What is stored comes back as `ResultSeen`; otherwise it is
    answered by `ResultConflict` or `ResultUnknown`. The job's metadata is filled in from its request.
    """

    result: Result
    job_seq: int
    priority: Priority = "normal"


class ReadResult(NamedTuple):
    """Read the results stream for one job: answered by `ResultRead`."""

    job_id: str
    priority: Priority = "normal"


class ReadCached(NamedTuple):
    """Read the result of an ended job that may answer another one, and look for its files: answered by `CachedRead`."""

    job_id: str
    source: str
    made: Made


class DeleteResult(NamedTuple):
    """Take bytes that are no result out of the results stream: answered by `ResultDeleted`."""

    job_id: str
    subject: str
    seq: int
    error: str


class AckJob(NamedTuple):
    """Take a message off the jobs stream, confirmed. `answer`: say `JobAcked`."""

    priority: Priority
    seq: int
    job_id: str = ""
    answer: bool = False
    #: The known job whose id the message has, too. If it asks for something else its producer is to be told.
    second_of: str = ""


class DeleteJob(NamedTuple):
    """Take a message off the jobs stream by its sequence, for an ack that is not confirmed: answered by `JobAcked`."""

    seq: int
    job_id: str


class AckResult(NamedTuple):
    """The result has been taken into account."""

    seq: int


class SendCall(NamedTuple):
    """Call one agent for bids."""

    agent_id: str
    call_id: int
    lots: tuple[Lot, ...]
    variant_wait_s: float


class AwardItem(NamedTuple):
    """One job of an award; its body is read from the jobs stream by `seq`."""

    job_id: str
    seq: int
    feature: str
    attempt: int
    token: str
    adapter_id: str
    device: str
    vram_mb: int | None
    #: Unix seconds.
    submitted_at: float
    queued_s: float
    priority: Priority = "normal"
    #: Of the adapter, None if it has none.
    variant: str | None = None
    #: Of each input that names another job's file, by its place: where that lies.
    objects: Mapping[str, StoredFile] = {}
    #: Of the adapter, as its agent advertises it.
    version: str = ""
    size_class: str | None = None

    def award(self, job: Job) -> Award:
        """What the agent gets."""
        return Award(
            job_id=self.job_id,
            feature=self.feature,
            attempt=self.attempt,
            token=self.token,
            adapter_id=self.adapter_id,
            device=self.device,
            job=job,
            submitted_at=rfc3339(self.submitted_at),
            queued_s=round(self.queued_s, 6),
            vram_mb=self.vram_mb,
            priority=self.priority,
            size_class=self.size_class,
            variant=self.variant,
            objects=dict(self.objects),
        )


class SendAwards(NamedTuple):
    """Award jobs to one agent; answered by `AwardsReturned`, `AwardsRefused` or `AwardsUnanswered`."""

    agent_id: str
    incarnation: str
    awards: tuple[AwardItem, ...]


class SendCancels(NamedTuple):
    """Ask an agent to stop attempts."""

    agent_id: str
    cancels: tuple[Cancel, ...]


class AskState(NamedTuple):
    """Ask an agent what it runs: answered by `AdvertReceived` or `AgentSilent`."""

    agent_id: str


class NoteOutcomes(NamedTuple):
    """Answer a report of outcomes."""

    request: RequestId
    noted: tuple[str, ...]


class RecordAgent(NamedTuple):
    """Write what is known of an agent into the agents bucket."""

    record: AgentRecord


class ForgetAgent(NamedTuple):
    """Remove an agent from the agents bucket."""

    agent_id: str


class ProveLeadership(NamedTuple):
    """Renew the lease now: answered by `LeadershipProven`. Until then nothing is awarded or ended."""


class ReadJobs(NamedTuple):
    """Read the jobs of a priority (`more` true) or pause reading them (enough of them are held)."""

    more: bool
    priority: Priority


class ReadEnded(NamedTuple):
    """Read some ended jobs from the status bucket, downward: answered by `EndedJobsRead`."""

    #: Below this sequence; None: from the newest on.
    before: int | None


class Again(NamedTuple):
    """Carry out that effect after a pause."""

    effect: Any


class ReadRequest(NamedTuple):
    """Read a message of the jobs stream: answered by `RequestRead`."""

    seq: int
    #: Of the job whose end needs it; None for an award.
    ends: Priority | None = None


class JobMessage(NamedTuple):
    """A job, and the message of the jobs stream that it is."""

    job_id: str
    seq: int


class FindMessages(NamedTuple):
    """Look whether the jobs stream still holds these messages: answered by `MessagesLooked`. `sweep`: nobody asked."""

    messages: tuple[JobMessage, ...]
    sweep: bool = False


class CountMessages(NamedTuple):
    """Count what the jobs stream holds: answered by `MessagesCounted`."""


class ListStories(NamedTuple):
    """Look through a part of the status bucket for jobs that have not ended: answered by `StoriesListed`."""

    #: The part ends before this place; None for the newest part.
    before: int | None


class SendAwardMessage(NamedTuple):
    """Send one message of awards: answered by `AwardsReturned`, `AwardsRefused` or `AwardsUnanswered`."""

    agent_id: str
    incarnation: str
    awards: tuple[Award, ...]


class StoreDeadLetter(NamedTuple):
    """Store a dead letter, unless it is stored already: answered by `DeadStored`."""

    letter: DeadLetter


class ResetConsumer(NamedTuple):
    """Have all that is not acked delivered again."""

    consumer: ConsumerKey


class CountBacklog(NamedTuple):
    """Count what one of the coordinator's consumers has not acked: answered by `BacklogCounted` or
    `BacklogUncounted`.
    """

    consumer: ConsumerKey


class NoteStep(NamedTuple):
    """A job made a step: for the log."""

    step: SendAwards | PublishEvent


#: What the engine asks for.
Effect = (
    PublishQueued
    | PublishEvent
    | PublishDead
    | ReadLastEvent
    | StoreResult
    | ReadResult
    | ReadCached
    | DeleteResult
    | DeleteJob
    | AckJob
    | AckResult
    | SendCall
    | SendAwards
    | SendCancels
    | AskState
    | NoteOutcomes
    | RecordAgent
    | ForgetAgent
    | ProveLeadership
    | ReadJobs
    | ReadEnded
    | FindMessages
    | Again
)
#: What is made of that for the bus: with requests read, sizes kept and events in batches.
BusEffect = (
    Effect
    | PublishQueuedBatch
    | ReadRequest
    | SendAwardMessage
    | StoreDeadLetter
    | CountBacklog
    | ResetConsumer
    | CountMessages
    | ListStories
    | NoteStep
)
