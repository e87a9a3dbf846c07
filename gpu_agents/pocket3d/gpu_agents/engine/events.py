"""Events: what can happen to the agent's engine. Ids, readings and times come in with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pocket3d.contracts.commands import AnyCommand
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.messages import Artifact
from pocket3d.contracts.worker_frames import AdapterDescription, OutputFile

from ..devices.probes.port import Reading
from .message_limits import DEFAULT_MAX_PAYLOAD

#: An opaque handle on a request that waits for an answer; the service knows whose it is.
RequestId = int


# ---------------------------------------------------------------- commands and connection


class CommandReceived(NamedTuple):
    """A coordinator commands. `request` is None when no answer is wanted (a call for bids)."""

    command: AnyCommand
    request: RequestId | None = None


class CommandUnreadable(NamedTuple):
    """A message on the command subject is no command."""

    message: str
    request: RequestId | None = None


class Connected(NamedTuple):
    """The connection stands (again)."""

    #: Largest message that the server takes, bytes.
    max_payload: int = DEFAULT_MAX_PAYLOAD


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
    """Answer to `ProbeNow`: by device id. A device that is missing here could not be read."""

    readings: Mapping[str, Reading]
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
    """The process is gone, reaped, or could never be started. The last word on this worker."""

    worker_id: str
    #: What it means for the runs that it held and for a load that was not finished: a `FailureCode`.
    code: str = FailureCode.WORKER_CRASHED.value
    #: For people: exit status or signal, and the last lines that it printed.
    message: str = "the worker exited"


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


class ResultRefused(NamedTuple):
    """The result can never be stored as it is: it is larger than the server takes."""

    token: str
    message: str


class ResultRead(NamedTuple):
    """Answer to `ReadResult`: the token of the stored result, "" if it has none, None if nothing is stored."""

    token: str
    stored_token: str | None


class TaskFailed(NamedTuple):
    """Work for one attempt (its inputs, its outputs, its result) ended with an error that nobody foresaw: a bug."""

    token: str
    message: str


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
    | ResultRefused
    | TaskFailed
    | Tick
)
