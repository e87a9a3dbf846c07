"""What an agent and its worker process say over their socket pair: msgpack frames, each behind its length.

This module is imported inside every model's own environment, so it needs msgspec and nothing else. A frame with a
number outside of its range is no frame: it ends its worker, and nothing else.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from .bounds import Bytes, Count, Megabytes, ProcessId, RunDuration
from .variants import Quality, Variant

#: Of the handshake. A worker and an agent with different numbers refuse each other.
PROTOCOL = 1
#: Longest frame: a result is at most 512 KiB, a request 256 KiB.
MAX_FRAME_BYTES = 8 * 1024 * 1024
#: Environment variable: the inherited socket's file descriptor.
SOCKET_FD_VARIABLE = "POCKET3D_WORKER_FD"
#: Environment variable: a folder in which each worker appends start and stop records (`<pid>.jsonl`), for audits.
JOURNAL_VARIABLE = "POCKET3D_WORKER_JOURNAL"
_LENGTH = struct.Struct(">I")


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all frames."""


class ConfiguredVariant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as `models.yaml` has it; what is None is as the class declares it."""

    name: str
    vram_mb: Megabytes | None = None
    quality: Quality | None = None
    #: Constructor arguments beside, or instead of, those of the adapter.
    config: dict[str, Any] = {}


class AdapterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which adapter a worker loads: one entry of `models.yaml` (or a built-in), with absolute paths."""

    adapter_id: str
    #: `module.Class`
    class_path: str
    #: Constructor arguments.
    config: dict[str, Any] = {}
    #: Overrides the class's own feature.
    feature: str | None = None
    #: Folders put on `sys.path`.
    path: list[str] = []
    #: Device kinds; None for the class's own.
    devices: list[str] | None = None
    accept_license: bool = False
    #: The variants that are offered; none for those of the class.
    variants: list[ConfiguredVariant] = []


# ---------------------------------------------------------------- agent -> worker


class LoadModel(Frame, frozen=True, kw_only=True, tag="load_model"):
    """Build the adapter and load its model."""

    spec: AdapterSpec
    #: The device's id as in adverts (a GPU's UUID, `fixed-0`, `cpu-0`), for the log and the journal.
    device: str
    #: `cuda` or `cpu`: what the adapter may use. A simulated device is `cuda` for matching, but the worker gets `cpu`.
    device_kind: str
    #: MB promised to this worker.
    vram_mb: Megabytes
    #: Name of the adapter's variant; None for an adapter without any.
    variant: str | None = None
    #: Its framework is to hold no more than that, and what runs claim beyond it.
    capped: bool = False


class RunJob(Frame, frozen=True, kw_only=True, tag="run_job"):
    """Process one request. Several may run at once if the adapter's `max_concurrent` allows."""

    #: The attempt's token.
    run_id: str
    job_id: str
    attempt: Count
    feature: str
    #: `*_path` inputs are absolute paths of local files.
    inputs: dict[str, Any]
    #: The job's own directory (exists); outputs go to `output_dir` inside it.
    job_dir: str
    output_dir: str
    #: MB that this run claims beyond the worker's own.
    extra_vram_mb: Megabytes = 0
    #: The inputs as the producer published them (files are references, not paths), where that differs from `inputs`:
    #: what `echo` gives back.
    published_inputs: dict[str, Any] | None = None


class CancelRun(Frame, frozen=True, kw_only=True, tag="cancel_run"):
    """`check_cancelled()` raises from now on in that run."""

    run_id: str


class Shutdown(Frame, frozen=True, kw_only=True, tag="shutdown"):
    """Unload and exit."""


AgentFrame = LoadModel | RunJob | CancelRun | Shutdown

# ---------------------------------------------------------------- worker -> agent


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """First frame of a worker."""

    protocol: int
    pid: ProcessId
    python: str


class ModelLoaded(Frame, frozen=True, kw_only=True, tag="model_loaded"):
    """The model is loaded. `vram_mb` is what the framework says is allocated; None if it cannot tell."""

    load_s: RunDuration
    vram_mb: Megabytes | None = None


class MemoryHeld(Frame, frozen=True, kw_only=True, tag="memory_held"):
    """What the worker's framework holds on its device now, MB; sent when that has changed. The agent knows it better
    where the driver tells the memory of processes.
    """

    vram_mb: Megabytes


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """What ran out of memory, as the worker saw it right after `out_of_memory`."""

    #: The host's memory, not the device's.
    host: bool = False
    #: MB on the device that the worker's framework held, and MB that nobody held; None if it cannot tell.
    held_mb: Megabytes | None = None
    free_mb: Megabytes | None = None


class LoadFailed(Frame, frozen=True, kw_only=True, tag="load_failed"):
    """The adapter could not be imported (`adapter_unavailable`), or its load raised (`load_failed`,
    `out_of_memory`). The worker exits after it.
    """

    code: str
    message: str
    traceback: str = ""
    #: With `out_of_memory` only.
    shortage: Shortage | None = None


class RunProgress(Frame, frozen=True, kw_only=True, tag="run_progress"):
    """The adapter reported progress."""

    run_id: str
    fraction: float | None
    stage: str | None = None
    message: str | None = None


class OutputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file the adapter returned, inside the job's output directory."""

    #: Name relative to `output_dir`, with / as separator: also the artifact's name.
    name: str
    path: str
    size: Bytes


class RunFinished(Frame, frozen=True, kw_only=True, tag="run_finished"):
    """The adapter returned. Paths in `outputs` are already names of `files`."""

    run_id: str
    outputs: dict[str, Any]
    files: list[OutputFile]
    run_s: RunDuration
    vram_peak_mb: Megabytes | None = None
    #: As in `RunFailed`; looked at only if the run was cancelled and ended all the same.
    unhealthy: str | None = None
    #: MB of the host's memory that the process held, with the helpers that it waited for: at most during the run, and
    #: after it. Files that are mapped, such as libraries, are not counted. None if the system does not tell.
    host_peak_mb: Megabytes | None = None
    host_held_mb: Megabytes | None = None


class RunFailed(Frame, frozen=True, kw_only=True, tag="run_failed"):
    """The adapter raised, or returned nonsense, or was cancelled. The worker stays."""

    run_id: str
    #: A `FailureCode`.
    code: str
    message: str
    field: str | None = None
    traceback: str = ""
    run_s: RunDuration | None = None
    vram_peak_mb: Megabytes | None = None
    #: Why this process should take no other run: its device failed a proof after this one, or the errors of this one
    #: say that it would. None if it is sound as far as anybody can tell.
    unhealthy: str | None = None
    #: With `out_of_memory` only.
    shortage: Shortage | None = None
    #: As in `RunFinished`.
    host_peak_mb: Megabytes | None = None
    host_held_mb: Megabytes | None = None


WorkerFrame = Hello | ModelLoaded | MemoryHeld | LoadFailed | RunProgress | RunFinished | RunFailed


class AdapterDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What `python -m pocket3d.adapters.worker --describe` answers for one adapter."""

    adapter_id: str
    available: bool
    reason: str | None = None
    feature: str = "unknown"
    vram_mb: Megabytes = 0
    #: MB of these that its worker holds while no request runs; None for all of them.
    idle_vram_mb: Megabytes | None = None
    max_concurrent: Count = 1
    devices: list[str] = []
    #: JSON Schema of its inputs, or None when it takes any keys.
    parameters: dict[str, Any] | None = None
    license: dict[str, Any] | None = None
    #: As in adverts: `yes`, `no` or `unclear`, and codes of ISO 3166-1.
    commercial: str = "unclear"
    excluded_territories: list[str] = []
    #: In which sizes it can be loaded; `vram_mb` is then that of the smallest. Empty for one size only.
    variants: list[Variant] = []
    #: Of its code and its configuration.
    version: str = ""


_encoder = msgspec.msgpack.Encoder()
_agent_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(AgentFrame)
_worker_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(WorkerFrame)


class FrameError(Exception):
    """The other side of the socket does not speak this protocol."""


def pack(frame: Frame) -> bytes:
    """A frame with its 4-byte big-endian length.

    Raises:
        FrameError: longer than `MAX_FRAME_BYTES`, or it holds a value that msgpack cannot carry.
    """
    try:
        body = _encoder.encode(frame)
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise FrameError(f"cannot be sent: {error}") from error
    if len(body) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes; at most {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a byte stream into frames."""

    def __init__(self, *, from_worker: bool) -> None:
        self._decoder = _worker_decoder if from_worker else _agent_decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The frames that `data` completes.

        Raises:
            FrameError: not a frame.
        """
        self._buffer += data
        frames: list[Any] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes; at most {MAX_FRAME_BYTES}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                frames.append(self._decoder.decode(body))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise FrameError(f"not a frame: {error}") from error
        return frames
