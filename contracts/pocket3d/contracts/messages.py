"""What the system tells the world: results, events, progress, adverts.

The system's own messages ignore unknown fields, so that a fleet can be upgraded one host at a time. Times are RFC 3339
UTC with milliseconds, durations seconds, sizes bytes, VRAM MB (MiB).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec

from .bounds import Bytes, Count, Duration, Megabytes, MegabytesLeft, ProcessId, Sequence
from .codec import WireError, decode
from .lifecycle import Priority, ResultWord, StatusWord
from .variants import Variant

#: How a job ended, as a result says it: one of `ResultWord`, or a word that a later version invented. All end the job.
AnyResultWord = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(get_args(ResultWord))})]

#: Header of a job's events: the sequence of its message in the jobs stream, which tells a job from a second publish.
JOB_SEQ_HEADER = "P3d-Job-Seq"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every message that the system sends."""

    v: int = 1


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended."""

    attempt: Count
    agent_id: str | None
    device: str | None
    code: str
    message: str
    at: str
    #: False where it does not count towards `max_attempts`: its worker crashed under several jobs.
    counted: bool = True
    #: Of the adapter, null if it has none.
    variant: str | None = None


class JobError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job did not succeed."""

    code: str
    message: str
    #: Dotted path of the input at fault, e.g. `inputs.image_path`.
    field: str | None = None
    attempts: list[AttemptError] = []


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a job produced."""

    name: str
    bucket: str
    object: str
    size: Bytes
    sha256: str
    media_type: str


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """When and how long. Null where the job never came so far."""

    submitted_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    queued_s: Duration | None = None
    load_s: Duration | None = None
    run_s: Duration | None = None


class Result(Message, frozen=True, kw_only=True):
    """The one terminal message of a job, on `p3d.results.<feature>.<job_id>`."""

    job_id: str
    feature: str
    status: AnyResultWord
    attempt: Count = 0
    #: `<epoch>-<n>` of the attempt that wrote it, or of the coordinator's decision.
    token: str | None = None
    agent_id: str | None = None
    device: str | None = None
    adapter_id: str | None = None
    outputs: dict[str, Any] | None = None
    artifacts: list[Artifact] = []
    timings: Timings = Timings()
    vram_peak_mb: Megabytes | None = None
    metadata: dict[str, Any] = {}
    tenant: str = "default"
    error: JobError | None = None
    #: In which of the adapter's variants it ran; null if it has none.
    variant: str | None = None
    #: The job that this result was made by; null if it was made for this one.
    cached_from: str | None = None


def read_result(data: bytes, job_id: str) -> Result:
    """What the results stream holds for a job.

    Raises:
        WireError: it is no result, or the result of another job.
    """
    result = decode(Result, data)
    if result.job_id != job_id:
        raise WireError("job_id", f"the subject says {job_id!r}, the message {result.job_id[:80]!r}")
    return result


class Status(Message, frozen=True, kw_only=True):
    """Where a job stands: the body of its events and its value in the status bucket."""

    job_id: str
    feature: str
    priority: Priority
    tenant: str
    status: StatusWord
    attempt: Count
    agent_id: str | None = None
    device: str | None = None
    adapter_id: str | None = None
    reason: str | None = None
    error: JobError | None = None
    #: Since when it stands there.
    at: str
    submitted_at: str | None = None
    #: Of the adapter, null if it has none.
    variant: str | None = None
    #: What people know the job by: `label` of its metadata, else its prompt or its files' names; null if there is none.
    label: str | None = None


class Progress(Message, frozen=True, kw_only=True):
    """How far a running job is, on `p3d.progress.<feature>.<job_id>`."""

    job_id: str
    feature: str
    attempt: Count
    agent_id: str
    #: 0..1, or null when the adapter cannot tell.
    fraction: float | None
    stage: str | None = None
    message: str | None = None
    at: str


class DeviceState(msgspec.Struct, frozen=True, kw_only=True):
    """One device in an advert."""

    id: str
    kind: Literal["cuda", "cpu"]
    name: str
    total_mb: Megabytes
    #: Measured.
    free_mb: MegabytesLeft
    #: Promised but not yet visible in `free_mb`.
    reserved_mb: Megabytes
    buffer_mb: Megabytes
    max_running: Count | None = None
    #: Why no job is placed on it now, whatever room it has, and what to do; null if jobs are.
    quarantine: str | None = None


class Resident(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that has an adapter loaded. `idle_s` is 0 while it runs a job."""

    adapter_id: str
    device: str
    pid: ProcessId
    vram_mb: Megabytes
    idle_s: Duration
    #: Of the adapter, null if it has none.
    variant: str | None = None


class RunningJob(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that the agent holds, from its award until its result or outcome is answered."""

    job_id: str
    attempt: Count
    token: str
    adapter_id: str
    device: str
    #: Of the worker; null while the worker is being started.
    pid: ProcessId | None = None
    #: False once the run has ended and only its result is still being stored: it holds no slot any more.
    on_device: bool = True
    #: Of the adapter, null if it has none.
    variant: str | None = None


class AdapterOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter that an agent knows. `vram_mb` is the declared requirement, of its smallest variant if it has any."""

    adapter_id: str
    feature: str
    vram_mb: Megabytes
    max_concurrent: Count
    #: Device kinds it runs on: `cuda`, `cpu`.
    devices: list[str]
    available: bool
    #: Why it is not available.
    reason: str | None = None
    #: JSON Schema of its inputs, or null when it takes any keys.
    parameters: dict[str, Any] | None = None
    #: Whether its licence allows commercial use: `yes`, `no` or `unclear`. A former version does not say.
    commercial: str = "unclear"
    #: Where its licence does not apply: codes of ISO 3166-1.
    excluded_territories: list[str] = []
    #: The sizes in which it can be loaded; empty for one size only.
    variants: list[Variant] = []
    #: Of its code and its configuration: as long as it stays, the same inputs make the same. Empty where a former
    #: version does not say.
    version: str = ""


class Advert(Message, frozen=True, kw_only=True):
    """What an agent has and does, on `p3d.agents.<agent_id>.advert`; also its lease.

    `adapters` is null in most adverts: it is sent on change and every 10 s.
    """

    agent_id: str
    #: One life of the agent process; new at each start: `<unix milliseconds>-<random>`, so that a later life is
    #: told from an earlier one.
    incarnation: str
    #: Rises with every message of this incarnation (adverts, bids and outcomes alike).
    seq: Sequence
    host: str
    pid: ProcessId
    version: str
    #: It takes no jobs: on request, or because it cannot store results.
    draining: bool
    #: Why it takes no job now, whatever room it has; null if it takes jobs.
    reason: str | None = None
    labels: dict[str, str] = {}
    devices: list[DeviceState] = []
    residents: list[Resident] = []
    running: list[RunningJob] = []
    #: Attempts that it holds and that are not in `running`, for the message's size: their runs have ended, and their
    #: results are being stored. It takes no jobs until all are listed again.
    unlisted: Count = 0
    #: Tokens whose outcome is not yet answered.
    outcomes: list[str] = []
    adapters: list[AdapterOffer] | None = None
    #: Feature -> adapter ids, best first: the order of equals.
    preferred_adapters: dict[str, list[str]] | None = None
    #: It can store results where the stream takes proposals. A former version cannot.
    proposes: bool = False


class DeadLetter(Message, frozen=True, kw_only=True):
    """A job that will not be tried again, on `p3d.dead.<feature>.<job_id>`; `request` can be submitted anew."""

    job_id: str
    feature: str
    priority: str
    #: The request as it was published, or null when it was not JSON.
    request: dict[str, Any] | None
    #: Base64 of a request that was not a JSON object.
    request_raw: str | None = None
    #: The final error, with all attempts.
    error: JobError | None = None
    at: str
