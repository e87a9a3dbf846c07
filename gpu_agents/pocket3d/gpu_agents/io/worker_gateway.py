"""Between the engine's worker effects and the worker processes: what to launch, and what their frames mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from pocket3d.contracts import worker_frames as frames
from pocket3d.contracts.failures import FailureCode

from ..devices.spec import DeviceSpec
from ..engine import events
from ..engine.effects import CancelOnWorker, RunOnWorker, StartWorker, StopWorker
from ..workers.environment import NamespaceError
from ..workers.launch import WorkerExit, WorkerLaunch
from ..workers.process import OnExit, OnFrame
from .describe import DeclaredAdapter
from .job_folders import WorkFolder

log = structlog.get_logger(__name__)

#: Longest text of a progress message, characters.
_LONGEST_TEXT = 1000
#: What a worker may give as the reason of a failure. The others are the agent's or the coordinator's to say:
#: `handed_back` from an adapter would cost its job no attempt, for ever.
_CODES_OF_WORKERS = {code.value for code in FailureCode} - {
    FailureCode.HANDED_BACK.value,
    FailureCode.AGENT_LOST.value,
    FailureCode.NO_CAPACITY.value,
    FailureCode.UNKNOWN_FEATURE.value,
}


class WorkerProcesses(Protocol):
    """`workers.WorkerHost`, or something in a test that behaves like it."""

    async def start(self, worker_id: str, launch: WorkerLaunch, on_frame: OnFrame, on_exit: OnExit) -> int | None:
        """Start a worker; a failure is told as its exit."""

    def begin(self, worker_id: str, frame: frames.Frame) -> object:
        """Give it a frame, without waiting for what comes of it."""

    async def stop(self, worker_id: str, kill: bool = False) -> None:
        """SIGTERM or SIGKILL to its process group."""

    async def aclose(self, grace_s: float = 5.0) -> None:
        """End all workers."""


@dataclass(frozen=True)
class WorkerGateway:
    """Runs worker effects on a host of processes and reports the outcomes as events."""

    host: WorkerProcesses
    devices: Mapping[str, DeviceSpec]
    #: How each adapter is started, by id; looked at anew with every start.
    declared: Mapping[str, DeclaredAdapter]
    #: Where workers have their working directories.
    folder: WorkFolder
    #: Takes events; does not block.
    emit: Callable[[events.Event], None]
    #: MB of the host's memory that a worker may hold; None for no limit.
    memory_limit_mb: int | None = None
    #: Workers' frameworks are to hold no more on their devices than was promised.
    capped: bool = False

    async def start(self, effect: StartWorker) -> None:
        """Start a process; what is wrong with it is told as its exit."""
        declared = self.declared[effect.adapter_id]
        launch = WorkerLaunch(
            spec=declared.spec,
            device=self.devices[effect.device],
            vram_mb=effect.vram_mb,
            variant=effect.variant,
            capped=self.capped,
            python=declared.python,
            env=declared.env,
            work_dir=str(self.folder.worker(effect.worker_id)),
            memory_limit_mb=self.memory_limit_mb,
        )
        try:
            await self.host.start(effect.worker_id, launch, self._on_frame, self._on_exit)
        except (NamespaceError, RuntimeError, OSError, ValueError) as error:
            code = FailureCode.ADAPTER_UNAVAILABLE.value
            self.emit(events.WorkerExited(effect.worker_id, code, f"it could not be started: {error}"))

    def run(self, effect: RunOnWorker) -> None:
        """Hand a job to a worker. If the worker is gone, its exit speaks for the job."""
        try:
            self.host.begin(effect.worker_id, effect.job)
        except frames.FrameError as error:
            self.emit(events.RunFailed(effect.job.run_id, FailureCode.INVALID_INPUT.value, f"the job {error}"))

    def cancel(self, effect: CancelOnWorker) -> None:
        """Set a run's cooperative flag."""
        self.host.begin(effect.worker_id, frames.CancelRun(run_id=effect.token))

    async def stop(self, effect: StopWorker) -> None:
        """Ask a worker to end, or signal it."""
        if effect.how == "shutdown":
            self.host.begin(effect.worker_id, frames.Shutdown())
        else:
            await self.host.stop(effect.worker_id, kill=effect.how == "kill")

    def _on_frame(self, worker_id: str, frame: Any) -> None:
        event = event_of(worker_id, frame)
        if event is not None:
            self.emit(event)

    def _on_exit(self, told: WorkerExit) -> None:
        self.emit(events.WorkerExited(told.worker_id, told.code, told.message))


def event_of(worker_id: str, frame: Any) -> events.Event | None:
    """The event that a worker's frame is. What a worker says may be anything."""
    if isinstance(frame, frames.RunProgress):
        return events.RunProgressed(frame.run_id, _fraction(frame.fraction), _cut(frame.stage), _cut(frame.message))
    if isinstance(frame, frames.RunFinished):
        files, unhealthy = tuple(frame.files), _cut(frame.unhealthy)
        memory = frame.host_peak_mb, frame.host_held_mb
        return events.RunFinished(
            frame.run_id, frame.outputs, files, frame.run_s, frame.vram_peak_mb, unhealthy, *memory
        )
    if isinstance(frame, frames.RunFailed):
        if frame.traceback:
            log.info("a run failed", token=frame.run_id, code=frame.code, traceback=frame.traceback)
        code = frame.code if frame.code in _CODES_OF_WORKERS else FailureCode.ADAPTER_ERROR.value
        return events.RunFailed(
            frame.run_id,
            code,
            frame.message,
            _cut(frame.field),
            frame.run_s,
            frame.vram_peak_mb,
            _cut(frame.unhealthy),
            frame.shortage,
            frame.host_peak_mb,
            frame.host_held_mb,
        )
    if isinstance(frame, frames.Hello):
        return events.WorkerReady(worker_id, frame.pid)
    if isinstance(frame, frames.ModelLoaded):
        return events.ModelLoaded(worker_id, frame.load_s, frame.vram_mb)
    if isinstance(frame, frames.MemoryHeld):
        return events.WorkerHolds(worker_id, frame.vram_mb)
    if isinstance(frame, frames.LoadFailed):
        log.warning(
            "a model could not be loaded",
            worker_id=worker_id,
            code=frame.code,
            error=frame.message,
            traceback=frame.traceback,
        )
        code = frame.code if frame.code in _CODES_OF_WORKERS else FailureCode.LOAD_FAILED.value
        return events.LoadFailed(worker_id, code, frame.message, frame.shortage)
    log.warning("a worker sent an unexpected frame", worker_id=worker_id, frame=type(frame).__name__)
    return None


def _fraction(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else min(max(value, 0.0), 1.0)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."
