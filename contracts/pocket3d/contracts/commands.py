"""What coordinator and agent say to each other: calls, bids, awards, cancels, outcomes.

All commands to an agent go over one subject (`p3d.agents.<id>.cmd`), so that a cancel cannot overtake its award.
Jobs that bid alike (same feature, requirement and preference) are called as one lot with a count: the cost of a call
follows the number of kinds of jobs, not the number of jobs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .bounds import Count, Duration, Megabytes, MegabytesLeft, ProcessId, Sequence
from .jobs import Job
from .lifecycle import Priority
from .messages import Advert, DeviceState, Message
from .size_classes import SizeClass
from .variants import RaisedNeed

# ---------------------------------------------------------------- coordinator -> agent


class Command(Message, frozen=True, kw_only=True, tag_field="type"):
    """Base of what a coordinator tells an agent. An agent refuses an epoch older than one it has seen."""

    coordinator_id: str
    epoch: Sequence
    #: The life of the agent that is meant; another agent with the same id stays silent. Null: whichever listens.
    incarnation: str | None = None


class ReportState(Command, frozen=True, kw_only=True, tag="report_state"):
    """Asks for a full advert, now. Answered with `StateReported`; from then on the agent refuses older epochs."""


class BenchedVariant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of an adapter that gets no jobs on a device for a while, after failures in a row."""

    adapter_id: str
    variant: str
    device: str


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs up for auction that any bidder would treat alike."""

    #: Number within the call.
    lot: Count
    #: Canonical feature.
    feature: str
    #: Binding adapter ids, best first; null for any that serves the feature.
    adapters: list[str] | None = None
    #: Replaces the adapters' declared requirement.
    vram_mb: Megabytes | None = None
    #: How many such jobs wait.
    jobs: Count = 1
    #: Adapters that must not be used for these jobs on this agent (benched, refused parameters).
    without: list[str] = []
    #: The only variant in which these jobs may run; null for any.
    variant: str | None = None
    #: Variants in which these jobs ran out of memory.
    raised: list[RaisedNeed] = []
    #: On this agent: a bid in another variant is wanted instead.
    benched: list[BenchedVariant] = []
    #: How large their files are; null without files, and where that is not known.
    size_class: SizeClass | None = None


class CallForBids(Command, frozen=True, kw_only=True, tag="call_for_bids"):
    """Asks an agent for bids on lots. Answered with `CallAnswered` on `p3d.bids.<coordinator_id>`."""

    call_id: Sequence
    lots: list[Lot]
    #: A job may wait so much longer for a better variant: starts that differ by no more are equal.
    variant_wait_s: Duration = 0.0


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file lies that a job made."""

    bucket: str
    object: str


class Award(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one job, as it is assigned to an agent."""

    job_id: str
    #: As published (the result uses it).
    feature: str
    attempt: Count
    #: `<epoch>-<n>`: unique over all leaders; the fence of everything this attempt writes.
    token: str
    adapter_id: str
    device: str
    job: Job
    submitted_at: str
    queued_s: Duration
    #: After an out-of-memory: the raised requirement. Replaces the job's and the adapter's.
    vram_mb: Megabytes | None = None
    #: Of the job: its files are stored before those of lower priority.
    priority: Priority = "normal"
    #: In which variant of the adapter; null if it has none. Coordinators of earlier versions name none: the best that
    #: can start is meant.
    variant: str | None = None
    #: Of each input that names another job's file, by its place (`inputs.mesh_path`): where that lies.
    objects: dict[str, StoredFile] = {}
    #: Of the lot: what is booked for it goes by that.
    size_class: SizeClass | None = None


class AwardJobs(Command, frozen=True, kw_only=True, tag="award_jobs"):
    """Assigns attempts to the agent. Answered with `AwardsAnswered`, job by job."""

    awards: list[Award]


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Names one attempt to stop, and why."""

    job_id: str
    token: str
    reason: str | None = None


class CancelAttempts(Command, frozen=True, kw_only=True, tag="cancel_attempts"):
    """Stops attempts. Answered with `CancelsNoted`; the end itself is an outcome with code `cancelled`."""

    cancels: list[Cancel]


AnyCommand = ReportState | CallForBids | AwardJobs | CancelAttempts

# ---------------------------------------------------------------- agent -> coordinator


class AgentReply(Message, frozen=True, kw_only=True, tag_field="type"):
    """Base of what an agent answers."""

    agent_id: str
    incarnation: str
    #: From the same counter as the adverts: tells which of two pictures is newer.
    seq: Sequence


class StateReported(AgentReply, frozen=True, kw_only=True, tag="state_reported"):
    """Answer to `ReportState`: a full advert, adapters included."""

    advert: Advert


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why a job is not placed; `explain` answers with a list of these."""

    agent_id: str
    device: str | None = None
    #: A `DeclineCode`.
    code: str
    need_mb: MegabytesLeft | None = None
    have_mb: MegabytesLeft | None = None
    short_mb: MegabytesLeft | None = None
    adapter_id: str | None = None
    message: str | None = None
    #: Dotted path of the input at fault, with the code `parameters`.
    field: str | None = None
    #: Of the adapter, null if it has none.
    variant: str | None = None


class BidPlaced(msgspec.Struct, frozen=True, kw_only=True):
    """An offer for the jobs of one lot on one device. Nothing is reserved by it."""

    lot: Count
    adapter_id: str
    device: str
    #: MB that the first such job would newly claim on the device (0 on a warm worker that needs no more).
    claim_mb: Megabytes
    #: MB that each further job on the same worker would newly claim.
    claim_next_mb: Megabytes = 0
    #: Jobs of this lot that the worker could start at once; 0 when it is busy.
    slots: Count
    #: Jobs that the worker could run at a time.
    max_concurrent: Count = 1
    #: True when a loaded worker would take it.
    warm: bool = False
    #: MB of idle residents that would be evicted for it.
    evict_mb: Megabytes = 0
    #: Until the worker or the room is free (0 when `slots` > 0).
    est_queue_s: Duration
    #: Model load, 0 when warm.
    est_load_s: Duration
    #: The run itself, from this agent's history; null when it has none.
    est_run_s: Duration | None = None
    #: The offer stands: while the agent runs nothing for the coordinator and no agent, device or adapter has come or
    #: gone, jobs that bid alike may be awarded on it without another call. It reserves nothing either: the agent's
    #: ledger has the last word at the award.
    stands: bool = False
    #: Of the adapter, null if it has none. A worker is of one variant.
    variant: str | None = None
    #: Of the lot, where this agent knows the class.
    size_class: SizeClass | None = None
    #: What runs of that adapter, variant and size class took on that device: the median of the last ones' times, and
    #: the most memory, on the CPU lane the host's. Null where none was measured.
    expected_run_s: Duration | None = None
    expected_mb: Megabytes | None = None


class BidDeclined(msgspec.Struct, frozen=True, kw_only=True):
    """Says why the agent makes no offer for a lot."""

    lot: Count
    reasons: list[Reason]


class CallAnswered(AgentReply, frozen=True, kw_only=True, tag="call_answered"):
    """All bids and declines of one agent for one call."""

    call_id: Sequence
    bids: list[BidPlaced] = []
    declines: list[BidDeclined] = []
    #: The ledger's devices at this moment: what the coordinator plans several lots of one round on.
    devices: list[DeviceState] = []


class AwardAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Says whether the agent takes one job, or why it declines it."""

    job_id: str
    token: str
    accepted: bool
    reason: Reason | None = None
    #: The agent works on it already. The outcome `attempt_started` follows only if the attempt has not ended by then.
    started: bool = False


class AwardsAnswered(AgentReply, frozen=True, kw_only=True, tag="awards_answered"):
    """Answer to `AwardJobs`."""

    answers: list[AwardAnswer]


class CancelsNoted(AgentReply, frozen=True, kw_only=True, tag="cancels_noted"):
    """Answer to `CancelAttempts`: which of the tokens the agent holds, and which it does not know."""

    held: list[str] = []
    unknown: list[str] = []


class CommandRefused(AgentReply, frozen=True, kw_only=True, tag="command_refused"):
    """Refuses a command whose epoch is older than `epoch`, or whose shape is wrong."""

    code: str
    message: str
    epoch: Sequence


AnyReply = StateReported | AwardsAnswered | CancelsNoted | CommandRefused


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of the messages that say what became of an attempt."""

    job_id: str
    token: str
    attempt: Count
    device: str
    adapter_id: str
    at: str
    #: Of the adapter, null if it has none.
    variant: str | None = None


class AttemptStarted(Outcome, frozen=True, kw_only=True, tag="attempt_started"):
    """The agent works on the attempt (inputs are fetched or the model is loaded or the run began)."""

    pid: ProcessId | None = None


class AttemptFailed(Outcome, frozen=True, kw_only=True, tag="attempt_failed"):
    """The attempt ended without a result: a failure, a cancel (`cancelled`) or a hand-back (`handed_back`)."""

    code: str
    message: str
    field: str | None = None
    #: Measured peak before it failed, if known: what an out-of-memory retry must exceed.
    vram_peak_mb: Megabytes | None = None
    started_at: str | None = None
    load_s: Duration | None = None
    run_s: Duration | None = None
    #: Runs of other jobs that ended with the same worker: it is not known whose fault it was.
    beside: Count = 0
    #: Of `out_of_memory`: whether a device with more room can help. False where the host's memory ran out, or others
    #: took what the job was promised.
    more_room: bool = True


AnyOutcome = AttemptStarted | AttemptFailed


class OutcomesReported(AgentReply, frozen=True, kw_only=True, tag="outcomes_reported"):
    """Reports outcomes; those without an answer are sent again until they have one."""

    outcomes: list[AnyOutcome]


class OutcomesNoted(Message, frozen=True, kw_only=True):
    """Answer of the leading coordinator: these need not be sent again. Two outcomes may share a token (started and
    failed), so each is named by `<token>/<type>`.
    """

    noted: list[str]


# ---------------------------------------------------------------- records of the coordinator


class LeaderRecord(Message, frozen=True, kw_only=True):
    """Who leads: in the leader bucket (the lease) and as `p3d.events.leader` (the fence)."""

    coordinator_id: str
    #: max(last + 1, unix milliseconds)
    epoch: Sequence
    #: Rises with every renewal: a standby sees that it moves.
    renewal: Sequence = 0
    host: str = ""
    pid: ProcessId = 0
    at: str = ""
    #: It answers on `p3d.coordinators.<coordinator_id>.ping` while it is connected: where the server says twice in a
    #: row that nobody listens there, a standby does not wait for the lease to end.
    answers_pings: bool = False


class AgentRecord(Message, frozen=True, kw_only=True):
    """What the coordinator remembers of an agent, in the agents bucket (for eyes and for the next leader)."""

    agent_id: str
    incarnation: str
    host: str
    version: str
    draining: bool
    devices: list[dict[str, Any]]
    adapters: list[str]
    features: list[str]
    at: str
