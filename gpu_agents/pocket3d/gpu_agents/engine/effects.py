"""Effects: what the agent's engine wants the service to do. The service decides nothing about them.

Effects with the same token are performed one after the other. Of those that answer, the engine keeps a bounded number
in flight (`AgentSettings.max_fetches`, `max_uploads`, `max_stores`; one `SendOutcomes`, one `ProbeNow`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pocket3d.contracts.api import ControlAnswer
from pocket3d.contracts.commands import AnyReply, CallAnswered, OutcomesReported, StoredFile
from pocket3d.contracts.messages import Advert, Progress, Result
from pocket3d.contracts.worker_frames import OutputFile, RunJob

from .events import Request

#: `shutdown`: the frame that asks it to unload and exit. `terminate`, `kill`: the signals, to its whole process group.
HowToStop = Literal["shutdown", "terminate", "kill"]


class Effect(msgspec.Struct, frozen=True):
    """Something that the service is to do."""


class PublishAdvert(Effect, frozen=True):
    """Publish an advert: what this agent has and does; it also renews the agent's lease."""

    advert: Advert
    #: Adapters whose schema had to be left out for the server's max_payload.
    without_schema: tuple[str, ...] = ()


class Reply(Effect, frozen=True):
    """Answer a command (`AnyReply`) or an operator (`ControlAnswer`, `Advert`)."""

    request: Request
    message: AnyReply | ControlAnswer | Advert


class RefuseRequest(Effect, frozen=True):
    """Answer an operator with an error, as HTTP would number it."""

    request: Request
    code: int
    message: str


class SendBids(Effect, frozen=True):
    """Answer a call on `p3d.bids.<coordinator_id>`."""

    coordinator_id: str
    answer: CallAnswered


class SendOutcomes(Effect, frozen=True):
    """Report outcomes: answered by `OutcomesAnswered`."""

    report: OutcomesReported


class PublishProgress(Effect, frozen=True):
    """Publish how far a run is."""

    progress: Progress


class FetchInputs(Effect, frozen=True):
    """Make the job's directory and put its files there: answered by `InputsFetched` or `InputsFailed`."""

    token: str
    job_id: str
    #: As published.
    inputs: dict[str, Any]
    #: Of each input that names another job's file, by its place: where that lies.
    objects: dict[str, StoredFile] = {}


class StartWorker(Effect, frozen=True):
    """Start a process and have it load the adapter: `WorkerReady`, then `ModelLoaded` or `LoadFailed`. Its last
    word is `WorkerExited`, whatever ended it, and also when it could not be started.
    """

    worker_id: str
    adapter_id: str
    device: str
    #: Of the adapter, None if it has none.
    variant: str | None
    #: MB promised to it.
    vram_mb: int


class RunOnWorker(Effect, frozen=True):
    """Hand a job to a loaded worker: `RunProgressed`, then `RunFinished` or `RunFailed`, unless the worker exits."""

    worker_id: str
    job: RunJob


class CancelOnWorker(Effect, frozen=True):
    """Set the cooperative flag of one run. No answer but the run's end."""

    worker_id: str
    token: str


class StopWorker(Effect, frozen=True):
    """End a process: answered by `WorkerExited`."""

    worker_id: str
    how: HowToStop


class UploadOutputs(Effect, frozen=True):
    """Store files as `<job_id>/<token>/<name>`: answered by `OutputsUploaded` or `UploadFailed`."""

    token: str
    job_id: str
    files: tuple[OutputFile, ...]


class StoreResult(Effect, frozen=True):
    """Propose the job's one result, which is stored if there is none yet: answered by `ResultStored`, `ResultConflict`,
    `ResultUnknown` or `ResultRefused`.
    """

    token: str
    result: Result
    #: The result, encoded.
    body: bytes


class ReadResult(Effect, frozen=True):
    """Read the result back from the stream's leader: answered by `ResultRead` or `ResultUnknown`."""

    token: str
    job_id: str


class DropArtifacts(Effect, frozen=True):
    """Delete what this attempt uploaded, or may have uploaded, under its own `<job_id>/<token>/`. No answer."""

    token: str
    job_id: str
    names: tuple[str, ...]


class CleanUp(Effect, frozen=True):
    """Give up what is in flight for the token and remove its job directory. No answer."""

    token: str


class CheckStorage(Effect, frozen=True):
    """Look whether results and outputs can be stored: answered by `StorageChecked`."""


class LogLine(Effect, frozen=True):
    """Write a line to the log. No answer."""

    level: Literal["info", "warning"]
    text: str
    fields: dict[str, Any]


class ProbeNow(Effect, frozen=True):
    """Measure the devices: answered by `ProbeRead`."""


class Exit(Effect, frozen=True):
    """The agent has left: stop the service."""

    #: Tokens whose end could not be reported in time; the coordinator finds out by their silence.
    unreported: tuple[str, ...] = ()
