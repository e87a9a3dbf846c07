"""Events: what can happen to the agent's engine. Ids, readings and times come in with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pocket3d.contracts.commands import AnyCommand
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.messages import Artifact
from pocket3d.contracts.worker_frames import AdapterDescription, OutputFile, Shortage

from ..devices.probes.port import Reading
from .message_limits import DEFAULT_MAX_PAYLOAD

#: A request that waits for an answer; the engine only hands it back to the service.
Request = object


class Event(msgspec.Struct, frozen=True):
    """Something that happened."""


# ---------------------------------------------------------------- commands and connection


class CommandReceived(Event, frozen=True):
    """A coordinator commands. `request` is None when no answer is wanted (a call for bids)."""

    command: AnyCommand
    request: Request | None = None


class CommandUnreadable(Event, frozen=True):
    """A message on the command subject is no command."""

    message: str
    request: Request | None = None


class Connected(Event, frozen=True):
    """The connection stands (again)."""

    #: Largest message that the server takes, bytes.
    max_payload: int = DEFAULT_MAX_PAYLOAD


class Disconnected(Event, frozen=True):
    """The connection is lost: nothing can be sent, the runs go on."""


class StorageChecked(Event, frozen=True):
    """Answer to `CheckStorage`. `refused`: the server does not let this agent do it. `interrupted`: the connection
    broke, nothing is known.
    """

    #: Why results or outputs cannot be stored by this agent, and what to do; None if they can.
    problem: str | None = None
    refused: bool = False
    interrupted: bool = False


class OutcomesAnswered(Event, frozen=True):
    """The leading coordinator has taken these outcomes, each named `<token>/<type>`; none of them if nobody answered
    `SendOutcomes` (no leader now, no connection, no answer in time).
    """

    noted: tuple[str, ...]


# ---------------------------------------------------------------- operators


class StatusRequested(Event, frozen=True):
    """`ctl.status`."""

    request: Request


class DrainRequested(Event, frozen=True):
    """Take nothing new and finish what runs. `leave`: exit afterwards (SIGTERM), else wait for `UndrainRequested`."""

    leave: bool
    request: Request | None = None


class UndrainRequested(Event, frozen=True):
    """Bid again. Too late for an agent that leaves."""

    request: Request | None = None


class LoadRequested(Event, frozen=True):
    """Keep an adapter warm on a device, in a variant; None: the engine chooses one."""

    adapter_id: str
    device: str | None
    request: Request | None = None
    variant: str | None = None


class UnloadRequested(Event, frozen=True):
    """Free an adapter's idle workers, on one device or (None) all of them, of one variant or (None) any."""

    adapter_id: str
    device: str | None
    request: Request | None = None
    variant: str | None = None


# ---------------------------------------------------------------- devices and adapters


class ProbeRead(Event, frozen=True):
    """Answer to `ProbeNow`: by device id. A device that is missing here could not be measured."""

    readings: Mapping[str, Reading]
    #: `Now.mono` just before the measurement: what ended after it is not yet seen free.
    taken_at: float


class AdaptersDescribed(Event, frozen=True):
    """All adapters that this agent knows, available or not. Replaces what was known."""

    adapters: tuple[AdapterDescription, ...]
    #: Feature -> adapter ids, best first.
    preferred: Mapping[str, Sequence[str]] | None = None


# ---------------------------------------------------------------- workers


class WorkerReady(Event, frozen=True):
    """The process runs and said hello; its model is being loaded."""

    worker_id: str
    pid: int


class ModelLoaded(Event, frozen=True):
    """The worker's model is loaded. `vram_mb`: what its framework has allocated, if it can tell."""

    worker_id: str
    load_s: float
    vram_mb: int | None = None


class WorkerHolds(Event, frozen=True):
    """What the worker's framework has allocated now, MB."""

    worker_id: str
    vram_mb: int


class LoadFailed(Event, frozen=True):
    """The model cannot be loaded. The process is about to exit; `WorkerExited` follows."""

    worker_id: str
    #: A `FailureCode`: `adapter_unavailable`, `load_failed`, `out_of_memory`.
    code: str
    message: str
    #: What ran out of memory, with `out_of_memory`.
    shortage: Shortage | None = None


class WorkerExited(Event, frozen=True):
    """The process is gone, reaped, or could never be started. The last word on this worker."""

    worker_id: str
    #: What it means for the runs that it held and for a load that was not finished: a `FailureCode`.
    code: str = FailureCode.WORKER_CRASHED.value
    #: For people: exit status or signal, and the last lines that it printed.
    message: str = "the worker exited"


# ---------------------------------------------------------------- runs


class InputsFetched(Event, frozen=True):
    """The job's directory exists and holds its files."""

    token: str
    #: As the adapter gets them: files are absolute local paths.
    inputs: dict[str, Any]
    job_dir: str
    output_dir: str
    #: Of its files together; None if that is not known.
    input_bytes: int | None = None


class InputsFailed(Event, frozen=True):
    """The inputs cannot be had."""

    token: str
    #: A `FailureCode`, e.g. `artifact_missing`.
    code: str
    message: str
    field: str | None = None


class RunProgressed(Event, frozen=True):
    """The adapter reported progress."""

    token: str
    fraction: float | None
    stage: str | None = None
    message: str | None = None


class RunFinished(Event, frozen=True):
    """The adapter returned."""

    token: str
    outputs: dict[str, Any]
    files: tuple[OutputFile, ...]
    run_s: float
    vram_peak_mb: int | None = None
    #: As in `RunFailed`.
    unhealthy: str | None = None
    #: MB of the host's memory that the worker held, at most during the run and after it; None if it cannot tell.
    host_peak_mb: int | None = None
    host_held_mb: int | None = None


class RunFailed(Event, frozen=True):
    """The adapter raised, returned nonsense, or noticed the cancel. Its worker stays."""

    token: str
    #: A `FailureCode`.
    code: str
    message: str
    field: str | None = None
    run_s: float | None = None
    vram_peak_mb: int | None = None
    #: Why its worker can use its device no more; None if it can.
    unhealthy: str | None = None
    #: What ran out of memory, with `out_of_memory`.
    shortage: Shortage | None = None
    #: As in `RunFinished`.
    host_peak_mb: int | None = None
    host_held_mb: int | None = None


class OutputsUploaded(Event, frozen=True):
    """All files of `UploadOutputs` are stored."""

    token: str
    artifacts: tuple[Artifact, ...]


class UploadFailed(Event, frozen=True):
    """The files could not be stored. `permanent`: trying again is no use (a file is not there any more).
    `refused`: the server does not let this agent store anything.
    """

    token: str
    message: str
    permanent: bool = False
    refused: bool = False


class ResultStored(Event, frozen=True):
    """The results stream took the result."""

    token: str


class ResultConflict(Event, frozen=True):
    """The results stream refused it: something stands there, perhaps our own first try."""

    token: str


class ResultUnknown(Event, frozen=True):
    """No answer to `StoreResult`, or it could not be sent, or the read-back failed: nothing is known.
    `refused`: the server does not let this agent do it.
    """

    token: str
    message: str = "no answer"
    refused: bool = False


class ResultRefused(Event, frozen=True):
    """The result can never be stored as it is: it is larger than the server takes."""

    token: str
    message: str


class ResultRead(Event, frozen=True):
    """Answer to `ReadResult`: the token of the stored result, "" if it has none, None if nothing is stored."""

    token: str
    stored_token: str | None


class TaskFailed(Event, frozen=True):
    """Work for one attempt (its inputs, its outputs, its result) ended with an error that nobody foresaw: a bug."""

    token: str
    message: str


class Tick(Event, frozen=True):
    """Time passed. At least every `tick_s`, and at `engine.next_deadline()`."""
