"""What can happen to the agent's engine. Facts, in the past tense; ids, readings and times come in with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pocket3d.contracts.commands import AnyCommand
from pocket3d.contracts.messages import Artifact
from pocket3d.contracts.worker_frames import AdapterDescription, OutputFile

#: An opaque handle on a request that waits for an answer; the service knows whose it is.
RequestId = int


class DeviceFacts(NamedTuple):
    """What is fixed about a device for the life of the agent."""

    #: UUID of a GPU, `fixed-0`, `cpu-0`.
    id: str
    #: What adapters are matched by. A simulated device is `cuda`.
    kind: Literal["cuda", "cpu"]
    name: str
    total_mb: int
    #: MB kept free.
    buffer_mb: int = 0
    #: Jobs at a time, all adapters together; None for no cap.
    max_running: int | None = None
    #: True: a probe measures it, and memory counts as free only when the probe has seen it free. False (simulated
    #: devices, the CPU lane): the ledger's own claims are the measurement, and memory is free once its worker is gone.
    measured: bool = False


class DeviceReading(NamedTuple):
    """What the probe measured on one device."""

    device: str
    free_mb: int
    #: MB by process id, for every process on the device; None when the driver does not tell (WSL, some containers).
    used_mb_by_pid: Mapping[int, int] | None = None


# ---------------------------------------------------------------- commands and connection


class CommandReceived(NamedTuple):
    """A coordinator commands. `request` is None when no answer is wanted (a call for bids)."""

    command: AnyCommand
    request: RequestId | None = None


class CommandUnreadable(NamedTuple):
    """Something that is no command came on the command subject."""

    message: str
    request: RequestId | None = None


class Connected(NamedTuple):
    """The connection stands (again)."""


class Disconnected(NamedTuple):
    """The connection is lost: nothing can be sent, the runs go on."""


class OutcomesAnswered(NamedTuple):
    """The leading coordinator has taken these outcomes, each named `<token>/<type>`."""

    noted: tuple[str, ...]


class OutcomesUnanswered(NamedTuple):
    """Nobody answered `SendOutcomes` (no leader now, no connection, no answer in time)."""


# ---------------------------------------------------------------- operators


class StatusRequested(NamedTuple):
    """`ctl.status`."""

    request: RequestId


class DrainRequested(NamedTuple):
    """Take nothing new and finish what runs. `leave`: exit afterwards (SIGTERM), else wait for `UndrainRequested`."""

    leave: bool
    request: RequestId | None = None


class UndrainRequested(NamedTuple):
    """Bid again. Too late for an agent that leaves."""

    request: RequestId | None = None


class LoadRequested(NamedTuple):
    """Keep an adapter warm on a device; None: the engine chooses one."""

    adapter_id: str
    device: str | None
    request: RequestId | None = None


class UnloadRequested(NamedTuple):
    """Free an adapter's idle workers, on one device or (None) all of them."""

    adapter_id: str
    device: str | None
    request: RequestId | None = None


# ---------------------------------------------------------------- devices and adapters


class ProbeRead(NamedTuple):
    """Answer to `ProbeNow`. A device that is missing here could not be read."""

    readings: tuple[DeviceReading, ...]
    #: `Now.mono` just before the measurement: what ended after it is not yet seen free.
    taken_at: float


class ProbeFailed(NamedTuple):
    """Answer to `ProbeNow` when nothing could be measured."""

    message: str


class AdaptersDescribed(NamedTuple):
    """All adapters that this agent knows, available or not. Replaces what was known."""

    adapters: tuple[AdapterDescription, ...]
    #: Feature -> adapter ids, best first.
    preferred: Mapping[str, Sequence[str]] | None = None


# ---------------------------------------------------------------- workers


class WorkerReady(NamedTuple):
    """The process runs and said hello; its model is being loaded."""

    worker_id: str
    pid: int


class WorkerStartFailed(NamedTuple):
    """There is no process: the interpreter is missing, the handshake failed. The last word on this worker."""

    worker_id: str
    message: str


class ModelLoaded(NamedTuple):
    """The worker's model is loaded. `vram_mb`: what its framework has allocated, if it can tell."""

    worker_id: str
    load_s: float
    vram_mb: int | None = None


class LoadFailed(NamedTuple):
    """The model cannot be loaded. The process is about to exit; `WorkerExited` follows."""

    worker_id: str
    #: A `FailureCode`: `adapter_unavailable`, `load_failed`, `out_of_memory`.
    code: str
    message: str


class WorkerExited(NamedTuple):
    """The process is gone, reaped. The last word on this worker."""

    worker_id: str
    #: Exit status; None when a signal ended it.
    exit_code: int | None
    #: Signal number.
    signal: int | None = None
    #: Last lines of its log.
    log_tail: str = ""


# ---------------------------------------------------------------- runs


class InputsFetched(NamedTuple):
    """The job's directory exists and holds its files."""

    token: str
    #: As the adapter gets them: files are absolute local paths.
    inputs: dict[str, Any]
    job_dir: str
    output_dir: str


class InputsFailed(NamedTuple):
    """The inputs cannot be had."""

    token: str
    #: A `FailureCode`, e.g. `artifact_missing`.
    code: str
    message: str
    field: str | None = None


class RunProgressed(NamedTuple):
    """The adapter reported progress."""

    token: str
    fraction: float | None
    stage: str | None = None
    message: str | None = None


class RunFinished(NamedTuple):
    """The adapter returned."""

    token: str
    outputs: dict[str, Any]
    files: tuple[OutputFile, ...]
    run_s: float
    vram_peak_mb: int | None = None


class RunFailed(NamedTuple):
    """The adapter raised, returned nonsense, or noticed the cancel. Its worker stays."""

    token: str
    #: A `FailureCode`.
    code: str
    message: str
    field: str | None = None
    run_s: float | None = None
    vram_peak_mb: int | None = None


class OutputsUploaded(NamedTuple):
    """All files of `UploadOutputs` are stored."""

    token: str
    artifacts: tuple[Artifact, ...]


class UploadFailed(NamedTuple):
    """The files could not be stored. `permanent`: trying again is no use (a file is not there any more)."""

    token: str
    message: str
    permanent: bool = False


class ResultStored(NamedTuple):
    """The results stream took the result."""

    token: str


class ResultConflict(NamedTuple):
    """The results stream refused it: something stands there, perhaps our own first try."""

    token: str


class ResultUnknown(NamedTuple):
    """No answer to `StoreResult`, or it could not be sent, or the read-back failed: nothing is known."""

    token: str
    message: str = ""


class ResultRead(NamedTuple):
    """Answer to `ReadResult`: the token of the stored result, "" if it has none, None if nothing is stored."""

    token: str
    stored_token: str | None


class Tick(NamedTuple):
    """Time passed. At least every `tick_s`, and at `engine.next_deadline()`."""


Event = (
    CommandReceived
    | CommandUnreadable
    | Connected
    | Disconnected
    | OutcomesAnswered
    | OutcomesUnanswered
    | StatusRequested
    | DrainRequested
    | UndrainRequested
    | LoadRequested
    | UnloadRequested
    | ProbeRead
    | ProbeFailed
    | AdaptersDescribed
    | WorkerReady
    | WorkerStartFailed
    | ModelLoaded
    | LoadFailed
    | WorkerExited
    | InputsFetched
    | InputsFailed
    | RunProgressed
    | RunFinished
    | RunFailed
    | OutputsUploaded
    | UploadFailed
    | ResultStored
    | ResultConflict
    | ResultUnknown
    | ResultRead
    | Tick
)
