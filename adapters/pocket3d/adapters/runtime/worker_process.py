"""The worker: one adapter on one device, driven by the agent's frames.

The main thread runs the loop in which the adapter lives. Frames are read and written by threads of their own (see
`agent_channel`), so that a model which blocks the loop can still be cancelled and dies with its agent.
"""

from __future__ import annotations

import asyncio
import copy
import os
import platform
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.worker_frames import (
    PROTOCOL,
    CancelRun,
    FrameError,
    Hello,
    LoadFailed,
    LoadModel,
    MemoryHeld,
    ModelLoaded,
    RunFailed,
    RunFinished,
    RunJob,
    RunProgress,
    Shortage,
    Shutdown,
)

from ..authoring.run_context import RunContext, current_run
from ..base import BaseModel, set_process_device
from ..catalogue.class_loading import from_spec
from ..errors import AdapterUnavailable, JobCancelled
from .agent_channel import AgentChannel
from .device_proof import device_problem
from .failure_mapping import Failure, clear_locals, judge_load, judge_run, shortened, spoiling_text
from .gpu_kernels import kernel_problem
from .memory_limit import counted_run
from .memory_reports import MemoryReports
from .outputs import clean_outputs, is_small
from .process_device import cap_memory, free_mb, give_memory_back, peak_mb, reserved_mb, reset_peak
from .process_memory import host_held_mb, host_peak_mb, reset_host_peak

#: How long the last frames may take to leave, seconds. They fit into the socket unless the agent has stopped reading.
FLUSH_S = 5.0
#: What foreign code can throw at us. SystemExit: a model's script that ends in `sys.exit()` must not end the worker.
_FOREIGN = (Exception, SystemExit, JobCancelled, asyncio.CancelledError)

_log = structlog.get_logger()


class AnsweredFailure(Exception):
    """The adapter returned `success: false`; the message is what it said."""


class Journal:
    """Start and stop records of a worker, for audits that trust neither the agent's ledger nor its messages: JSON lines
    `{"event", "pid", "monotonic_ns", ...}` in `<folder>/<pid>.jsonl`.

    The clock is CLOCK_MONOTONIC, one for all processes of a host. The folder is made if missing; None is for no
    journal.
    """

    def __init__(self, folder: str | None) -> None:
        self._descriptor: int | None = None
        self._pid = os.getpid()
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(Path(folder) / f"{self._pid}.jsonl", flags, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Append one record; it is in the file when this returns."""
        if self._descriptor is None:
            return
        record = {"event": event, "pid": self._pid, "monotonic_ns": time.monotonic_ns(), **fields}
        os.write(self._descriptor, msgspec.json.encode(record) + b"\n")


class Worker:
    """Loads one adapter and runs its requests, as the agent's frames say."""

    def __init__(self, connection: socket.socket, journal: Journal) -> None:
        self._journal = journal
        self._channel = AgentChannel(connection, self._on_frame, self._on_closed)
        self._adapter: BaseModel | None = None
        self._runs: dict[str, RunContext] = {}
        self._runs_lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._memory = MemoryReports(lambda mb: self._channel.send(MemoryHeld(vram_mb=mb)))
        #: What the worker was promised, MB, if it is to hold no more, and what its runs were promised beyond it.
        self._cap_mb: int | None = None
        self._extras: dict[str, int] = {}

    async def serve(self) -> int:
        """Serve the agent until it says `Shutdown` or the load fails; the exit status. Does not return when the agent
        is gone: the process ends there and then.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.current_thread()
        self._loaded = asyncio.Event()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._journal.write("worker_start")
        self._channel.start(self._loop)
        self._channel.send(Hello(protocol=PROTOCOL, pid=os.getpid(), python=platform.python_version()))
        status = await self._exit
        self._journal.write("worker_stop")
        self._memory.stop()
        self._channel.close(FLUSH_S)
        return status

    # ------------------------------------------------------------ in the reading thread, or the loop

    def _on_frame(self, frame: Any) -> None:
        if isinstance(frame, CancelRun):
            with self._runs_lock:
                run = self._runs.get(frame.run_id)
            if run is not None:
                run.cancel()
        elif isinstance(frame, RunJob):
            self._accept(frame)
        elif isinstance(frame, LoadModel):
            self._spawn(self._load, frame)
        elif isinstance(frame, Shutdown):
            with self._runs_lock:
                runs = list(self._runs.values())
            for run in runs:
                run.cancel()
            self._spawn(self._shut_down)

    def _accept(self, frame: RunJob) -> None:
        def on_progress(fraction: float | None, stage: str | None, message: str | None) -> None:
            texts = {name: text and shortened(text) for name, text in (("stage", stage), ("message", message))}
            self._channel.send_progress(RunProgress(run_id=frame.run_id, fraction=fraction, **texts))

        run = RunContext(
            output_dir=Path(frame.output_dir),
            on_progress=on_progress,
            job_id=frame.job_id,
            published_inputs=frame.published_inputs,
        )
        # Known before the loop hears of it: a cancel may be the next frame, while the model blocks the loop.
        with self._runs_lock:
            if frame.run_id in self._runs:
                _log.error("a run was given twice; the second is ignored", run_id=frame.run_id)
                return
            self._runs[frame.run_id] = run
        self._spawn(self._run, frame, run)

    def _spawn(self, coroutine_function: Any, *arguments: Any) -> None:
        def start() -> None:
            task = self._loop.create_task(coroutine_function(*arguments))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

        if threading.current_thread() is self._thread:
            start()
        else:
            self._loop.call_soon_threadsafe(start)

    def _on_closed(self, reason: str) -> None:
        self._journal.write("worker_stop", reason=reason)
        # Not sys.exit: the model's threads may hang, and nobody is left who could use their work.
        os._exit(0)

    # ------------------------------------------------------------ in the loop

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._exit.done():
            # A fault of the worker itself; a worker in an unknown state serves nobody.
            self._exit.set_exception(error)

    async def _load(self, frame: LoadModel) -> None:
        set_process_device(frame.device_kind)
        if frame.device_kind == "cuda":
            self._memory.start()
        began = time.monotonic()
        try:
            adapter = from_spec(frame.spec, frame.variant)
            lacking = adapter.check_available()
            if lacking is not None:
                raise AdapterUnavailable(lacking)
            await adapter.load(gpu_id=0)
            unfit = kernel_problem()
            if unfit is not None:
                raise AdapterUnavailable(unfit)
        except _FOREIGN as error:
            # Whatever came of it, a torch without kernels for the GPU is why.
            unfit = kernel_problem()
            failure = judge_load(error if unfit is None else AdapterUnavailable(unfit))
            _log.error("load failed", adapter_id=frame.spec.adapter_id, code=failure.code.value, error=failure.message)
            self._channel.send(
                LoadFailed(
                    code=failure.code.value,
                    message=failure.message,
                    traceback=failure.traceback,
                    shortage=_shortage(failure),
                )
            )
            self._leave(1)
            return
        self._adapter = adapter
        which = {"adapter_id": frame.spec.adapter_id, "variant": frame.variant, "device": frame.device}
        self._journal.write("loaded", **which, vram_mb=frame.vram_mb)
        self._channel.send(ModelLoaded(load_s=time.monotonic() - began, vram_mb=reserved_mb()))
        self._cap_mb = frame.vram_mb if frame.capped else None
        self._loaded.set()

    async def _run(self, frame: RunJob, run: RunContext) -> None:
        await self._loaded.wait()
        which = {"run_id": frame.run_id, "job_id": frame.job_id, "attempt": frame.attempt}
        self._journal.write("run_start", **which, extra_vram_mb=frame.extra_vram_mb)
        if len(self._runs) == 1:
            reset_peak()
            reset_host_peak()
        self._extras[frame.run_id] = frame.extra_vram_mb
        self._keep_cap()
        current_run.set(run)
        began = time.monotonic()
        with counted_run():
            end = await self._answer(frame, run, began)
        peak, held = host_peak_mb(), host_held_mb()
        end = msgspec.structs.replace(end, host_peak_mb=peak, host_held_mb=held)
        if isinstance(end, RunFailed) or run.cancelled:
            end = await _judged(end, others=len(self._runs) > 1)
        if isinstance(end, RunFailed) and end.unhealthy is None:
            # Before the next run, whose peak would begin at what this one left.
            await asyncio.to_thread(give_memory_back)
        self._journal.write("run_end", **which, extra_vram_mb=frame.extra_vram_mb, ok=isinstance(end, RunFinished))
        del self._extras[frame.run_id]
        self._keep_cap()
        with self._runs_lock:
            del self._runs[frame.run_id]
        try:
            self._channel.send_end(frame.run_id, end)
        except FrameError as error:
            self._channel.send_end(
                frame.run_id,
                RunFailed(run_id=frame.run_id, code=FailureCode.INVALID_OUTPUT.value, message=f"the outputs: {error}"),
            )

    async def _answer(self, frame: RunJob, run: RunContext, began: float) -> RunFinished | RunFailed:
        adapter = self._adapter
        assert adapter is not None
        started_ns = time.time_ns()
        try:
            # Coming late to a cancelled run must not start it.
            run.check()
            if not os.path.isdir(frame.output_dir):  # noqa: ASYNC240, PTH112  # one look; the agent has made it
                await asyncio.to_thread(Path(frame.output_dir).mkdir, parents=True, exist_ok=True)
            # A copy: adapters write into their inputs, and what they return is compared with the original.
            returned = await adapter.process(copy.deepcopy(frame.inputs))
            run_s = time.monotonic() - began
            if isinstance(returned, dict) and returned.get("success") is False:
                said = returned.get("error") or returned.get("message") or "it did not say why"
                raise AnsweredFailure(f"the adapter answered success: false: {said}")
            clean = partial(
                clean_outputs,
                returned,
                output_dir=Path(frame.output_dir),
                inputs=frame.inputs,
                published=frame.published_inputs,
                started_ns=started_ns,
            )
            # A thread costs more than looking at a few short values; files and much data must not hold up the loop.
            outputs, files = clean() if is_small(returned) else await asyncio.to_thread(clean)
        except _FOREIGN as error:
            clear_locals(error)
            failure = judge_run(error, cancelled=run.cancelled)
            return RunFailed(
                run_id=frame.run_id,
                code=failure.code.value,
                message=failure.message,
                field=failure.field,
                traceback=failure.traceback,
                run_s=time.monotonic() - began,
                vram_peak_mb=_peak(run),
                unhealthy=spoiling_text(error),
                shortage=_shortage(failure),
            )
        return RunFinished(run_id=frame.run_id, outputs=outputs, files=files, run_s=run_s, vram_peak_mb=_peak(run))

    def _keep_cap(self) -> None:
        if self._cap_mb is not None:
            cap_memory(self._cap_mb + sum(self._extras.values()))

    async def _shut_down(self) -> None:
        me = asyncio.current_task()
        others = [task for task in self._tasks if task is not me]
        if others:
            # Their runs were cancelled; the agent's patience is the limit.
            await asyncio.wait(others)
        if self._adapter is not None:
            try:
                await self._adapter.unload()
            except _FOREIGN as error:
                _log.warning("unload failed; the process ends anyway", error=str(error))
        self._leave(0)

    def _leave(self, status: int) -> None:
        if not self._exit.done():
            self._exit.set_result(status)


async def _judged(end: RunFinished | RunFailed, *, others: bool) -> RunFinished | RunFailed:
    """The end of a run that failed or was cancelled, with what the device says after it. `others`: runs go on here."""
    problem = await device_problem(busy=others)
    if problem is None:
        return end
    _log.warning("the device does not work for this process any more", run_id=end.run_id, error=problem)
    return msgspec.structs.replace(end, unhealthy=problem)


def _shortage(failure: Failure) -> Shortage | None:
    """What ran out, before anything else is allocated or freed."""
    if failure.memory is None:
        return None
    return Shortage(host=failure.memory == "host", held_mb=reserved_mb(), free_mb=free_mb())


def _peak(run: RunContext) -> int | None:
    return run.vram_peak_mb if run.vram_peak_mb is not None else peak_mb()


def flush_prints() -> None:
    """Write what the model printed last into the log."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            # Closed or replaced by the model.
            continue
