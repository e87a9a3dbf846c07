"""Failure codes: a stable word, whose fault it is, and what a retry may hope for. Also the codes of a decline."""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple


class FailureCode(str, Enum):
    """Why an attempt or a job ended without success."""

    INVALID_INPUT = "invalid_input"
    UNKNOWN_FEATURE = "unknown_feature"
    ARTIFACT_MISSING = "artifact_missing"
    #: A job whose result it names did not succeed.
    INPUT_FAILED = "input_failed"
    TOO_LARGE = "too_large"
    ADAPTER_UNAVAILABLE = "adapter_unavailable"
    LOAD_FAILED = "load_failed"
    ADAPTER_ERROR = "adapter_error"
    INVALID_OUTPUT = "invalid_output"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_CRASHED = "worker_crashed"
    TIMEOUT = "timeout"
    AGENT_LOST = "agent_lost"
    #: The results stream held bytes under the job's id that are no result.
    INVALID_RESULT = "invalid_result"
    NO_CAPACITY = "no_capacity"
    #: Not a failure of the job: somebody asked for its end.
    CANCELLED = "cancelled"
    #: An agent that drains handed the job back; costs no attempt.
    HANDED_BACK = "handed_back"


class RetryVerdict(str, Enum):
    """What a further attempt needs to have a chance."""

    #: The same input fails everywhere.
    NEVER = "never"
    #: Another agent, at once; this one does not get the job again while others are left.
    ELSEWHERE = "elsewhere"
    #: Another agent if there is one, after the back-off.
    ELSEWHERE_BACKOFF = "elsewhere_backoff"
    #: Anywhere, after the back-off.
    BACKOFF = "backoff"
    #: A device with more room than the one that ran out; the requirement is raised.
    MORE_ROOM = "more_room"
    #: At once, elsewhere if possible.
    AT_ONCE = "at_once"


class FailureFacts(NamedTuple):
    """What the system does about a code."""

    fault: Literal["producer", "adapter", "system", "nobody"]
    verdict: RetryVerdict
    #: Counts towards benching the adapter on that agent.
    benches: bool


FAILURES: dict[FailureCode, FailureFacts] = {
    FailureCode.INVALID_INPUT: FailureFacts("producer", RetryVerdict.NEVER, benches=False),
    FailureCode.UNKNOWN_FEATURE: FailureFacts("producer", RetryVerdict.NEVER, benches=False),
    FailureCode.ARTIFACT_MISSING: FailureFacts("producer", RetryVerdict.NEVER, benches=False),
    FailureCode.INPUT_FAILED: FailureFacts("producer", RetryVerdict.NEVER, benches=False),
    FailureCode.TOO_LARGE: FailureFacts("producer", RetryVerdict.NEVER, benches=False),
    FailureCode.ADAPTER_UNAVAILABLE: FailureFacts("adapter", RetryVerdict.ELSEWHERE, benches=True),
    FailureCode.LOAD_FAILED: FailureFacts("adapter", RetryVerdict.ELSEWHERE_BACKOFF, benches=True),
    FailureCode.ADAPTER_ERROR: FailureFacts("adapter", RetryVerdict.BACKOFF, benches=True),
    FailureCode.INVALID_OUTPUT: FailureFacts("adapter", RetryVerdict.NEVER, benches=True),
    FailureCode.OUT_OF_MEMORY: FailureFacts("system", RetryVerdict.MORE_ROOM, benches=False),
    FailureCode.WORKER_CRASHED: FailureFacts("adapter", RetryVerdict.BACKOFF, benches=True),
    FailureCode.TIMEOUT: FailureFacts("adapter", RetryVerdict.BACKOFF, benches=True),
    FailureCode.AGENT_LOST: FailureFacts("system", RetryVerdict.AT_ONCE, benches=False),
    FailureCode.INVALID_RESULT: FailureFacts("system", RetryVerdict.NEVER, benches=False),
    FailureCode.NO_CAPACITY: FailureFacts("system", RetryVerdict.NEVER, benches=False),
    FailureCode.CANCELLED: FailureFacts("nobody", RetryVerdict.NEVER, benches=False),
    FailureCode.HANDED_BACK: FailureFacts("nobody", RetryVerdict.AT_ONCE, benches=False),
}


class DeclineCode(str, Enum):
    """Why an agent did not offer, or did not take, a job. `explain` answers with these."""

    #: Short of VRAM right now: workers that run hold it.
    VRAM_BUSY = "vram_busy"
    #: The device could never hold it, even when empty.
    VRAM_TOTAL = "vram_total"
    #: The worker's `max_concurrent` or the device's `max_running` is used up.
    NO_SLOT = "no_slot"
    #: No adapter of this agent serves the feature (or the preferred adapter).
    NO_ADAPTER = "no_adapter"
    #: The adapter is listed but cannot run here; the message says why.
    ADAPTER_UNAVAILABLE = "adapter_unavailable"
    #: The job is for commercial use, and no adapter there says that it may be used so.
    LICENCE = "licence"
    #: No device of a kind that the adapter runs on.
    NO_DEVICE = "no_device"
    #: The adapter refuses the job's parameters.
    PARAMETERS = "parameters"
    #: The agent leaves.
    DRAINING = "draining"
    #: The coordinator keeps this adapter off this device, or this agent, for a while after failures.
    BENCHED = "benched"
    #: The agent keeps all jobs off this device: its driver says that it is broken, or several adapters failed there.
    QUARANTINED = "quarantined"
    #: An earlier attempt failed here and another agent is to have the next.
    EXCLUDED = "excluded"
    #: The agent has not answered.
    SILENT = "silent"
    #: The award's epoch or incarnation is not the current one.
    STALE = "stale"
