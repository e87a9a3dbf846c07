"""The agent service: feeds one engine with events and runs its effects."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from pocket3d.bus.port import Bus, BusError, Closable, Msg
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.commands import AnyCommand
from pocket3d.contracts.subjects import AGENT_ID_PATTERN, Subjects
from pocket3d.contracts.system_clock import system_clock
from pocket3d.contracts.version import VERSION
from pocket3d.contracts.worker_frames import AdapterDescription

from .devices.probes.cpu import memory_mb
from .devices.probes.port import Probe
from .devices.spec import DeviceSpec
from .engine import effects, events
from .engine.engine import AgentEngine
from .engine.lifecycle import Step
from .engine.records import Run
from .engine.state import Identity
from .io.control_api import control_service
from .io.describe import DeclaredAdapter, describe_adapters
from .io.effect_runner import EffectRunner
from .io.job_files import JobFiles
from .io.job_folders import JobFolders, WorkFolder
from .io.step_log import log_moves
from .io.storage_check import StorageCheck
from .io.worker_gateway import WorkerGateway, WorkerProcesses
from .placement.territory import allowed_here
from .settings import AgentSettings

log = structlog.get_logger(__name__)

#: Between two tries to subscribe while there is no connection, in seconds.
_PAUSE_S = 0.25
#: Share of the host's memory that one worker may hold where nothing is set: past it the kernel would soon choose whom
#: it kills, and it might be another one.
_WORKER_SHARE = 0.9
#: The engine is not called for its deadlines more often than this, in seconds.
_SHORTEST_S = 0.001

Describe = Callable[[Sequence[DeclaredAdapter]], Awaitable[Sequence[AdapterDescription]]]


class AgentService:
    """Runs one agent.

    Args:
        bus: an open connection of its own.
        subjects: names of the namespace.
        agent_id: one subject token.
        devices: what it owns (`probes.open_devices`).
        probe: measures them; closed by the caller.
        workers: the worker processes, e.g. `workers.WorkerHost`; ended by `run`.
        declared: the adapters.
        work_dir: folder for jobs' and workers' files; each life of the agent has a folder of its own in it.
        preferred: feature -> adapter ids, best first.
        settings: what can be set.
        version: told in adverts and by the micro service.
        describe: asks what the adapters are.
        clock: reads the time.

    Raises:
        ValueError: the agent id is not one subject token.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        agent_id: str,
        *,
        devices: Sequence[DeviceSpec],
        probe: Probe,
        workers: WorkerProcesses,
        declared: Sequence[DeclaredAdapter],
        work_dir: Path,
        preferred: Mapping[str, Sequence[str]] | None = None,
        settings: AgentSettings | None = None,
        version: str = VERSION,
        describe: Describe = describe_adapters,
        clock: Callable[[], Now] = system_clock,
    ) -> None:
        if not AGENT_ID_PATTERN.fullmatch(agent_id):
            raise ValueError(f"agent id {agent_id!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and -")
        self._bus = bus
        self._subjects = subjects
        self._settings = settings or AgentSettings()
        self._clock = clock
        self._devices = list(devices)
        self._probe = probe
        self._host = workers
        self._declared = {each.spec.adapter_id: each for each in declared}
        self._described: dict[str, AdapterDescription] = {}
        self._preferred = preferred
        self._describe = describe
        # A later life of an agent is told from an earlier one.
        incarnation = f"{int(clock().wall * 1000)}-{secrets.token_hex(4)}"
        self.identity = Identity(agent_id, incarnation, socket.gethostname(), os.getpid(), version)
        self.folder = WorkFolder(work_dir, self.identity.incarnation)
        self.engine = AgentEngine(self._settings, self.identity, self._devices)
        self._events: deque[events.Event] = deque()
        self._awake = asyncio.Event()
        #: Steps of runs that have no line in the log yet.
        self._moves: list[tuple[Run, Step]] = []
        self._left = asyncio.Event()
        self._ready = asyncio.Event()
        self._open: list[Closable] = []

    async def until_ready(self) -> None:
        """Wait until the adapters are described and the agent listens for commands."""
        await self._ready.wait()

    async def declare(self, declared: Sequence[DeclaredAdapter]) -> list[AdapterDescription]:
        """Take further adapters, or others in the place of known ids, while it runs; returns what they are.

        A worker that runs already goes on with the declaration with which it was started.

        Raises:
            NamespaceError: the adapters' package is not installed.
        """
        self._declared.update((each.spec.adapter_id, each) for each in declared)
        return self._know(await self._describe(declared), None)

    def drain(self) -> None:
        """Take nothing new, finish what runs within bounds, hand back the rest; then `run` returns."""
        self._emit(events.DrainRequested(leave=True))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set (the workers are ended, their jobs are lost to others) or the agent has drained.

        Raises:
            OSError: the work folder cannot be made.
            NamespaceError: the adapters' package is not installed.
        """
        await asyncio.to_thread(self.folder.open)
        tasks = TaskPool()
        bucket = self._settings.outputs_bucket or self._subjects.outputs_bucket
        folders = JobFolders(self.folder.path / "jobs")
        await folders.refill()
        files = JobFiles(
            self._bus,
            folders,
            self._subjects.inputs_bucket,
            bucket,
            max_input_bytes=self._settings.max_input_mb * 1024 * 1024,
            max_output_bytes=self._settings.max_output_mb * 1024 * 1024,
        )
        devices = {device.id: device for device in self._devices}
        limit_mb = self._settings.worker_memory_mb
        if limit_mb is None:
            limit_mb = int(await asyncio.to_thread(memory_mb) * _WORKER_SHARE)
        capped = self._settings.cap_gpu_memory
        workers = WorkerGateway(self._host, devices, self._declared, self.folder, self._emit, limit_mb, capped)
        runner = EffectRunner(
            self._bus,
            self._subjects,
            self.identity.agent_id,
            files,
            workers,
            self._probe,
            StorageCheck(self._bus, self._subjects.results_stream, bucket),
            tasks,
            self._emit,
            self._clock,
            self._on_exit,
        )
        tasks.spawn(runner.send_all())
        tasks.spawn(folders.tidy())
        tasks.spawn(self._decide(runner))
        tasks.spawn(self._start())
        endings = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._left.wait())]
        try:
            either: set[asyncio.Future[Any]] = {*endings, tasks.failed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if tasks.failed.done():
                await tasks.failed
            await runner.flush(1.0)
        finally:
            for ending in endings:
                ending.cancel()
            for each in self._open:
                await each.close()
            await self._host.aclose(0.0 if self._left.is_set() else self._settings.stop_grace_s)
            await tasks.close()
            runner.discard()
            await asyncio.to_thread(self.folder.close)
            log.info("agent stopped", agent_id=self.identity.agent_id)

    # -- what comes in

    def _emit(self, event: events.Event) -> None:
        self._events.append(event)
        self._awake.set()

    async def _start(self) -> None:
        described = self._know(await self._describe(list(self._declared.values())), self._preferred)
        await self._listen()
        self._bus.on_connection(self._on_connection)
        if self._bus.connected:
            self._emit(events.Connected(self._bus.max_payload))
        self._ready.set()
        log.info(
            "agent started",
            agent_id=self.identity.agent_id,
            incarnation=self.identity.incarnation,
            devices=[device.id for device in self._devices],
            adapters=[adapter.adapter_id for adapter in described if adapter.available],
        )

    def _know(
        self, found: Sequence[AdapterDescription], preferred: Mapping[str, Sequence[str]] | None
    ) -> list[AdapterDescription]:
        """Take in what the adapters are; returns it with what this host's territory means for them."""
        described = [allowed_here(adapter, self._settings.territory) for adapter in found]
        for adapter in described:
            if not adapter.available:
                log.warning("an adapter is not available", adapter_id=adapter.adapter_id, reason=adapter.reason)
        self._described.update((adapter.adapter_id, adapter) for adapter in described)
        self._emit(events.AdaptersDescribed(tuple(self._described.values()), preferred))
        return described

    async def _listen(self) -> None:
        """Subscribe and serve; tried again while there is no connection."""
        agent_id = self.identity.agent_id
        metadata = {"incarnation": self.identity.incarnation, "host": self.identity.host}
        service = control_service(self._subjects, agent_id, self.identity.version, metadata, self._emit)
        while True:
            try:
                if not self._open:
                    self._open.append(await self._bus.subscribe(self._subjects.command(agent_id), self._on_command))
                self._open.append(await self._bus.serve(service))
            except BusError as error:
                log.info("waiting for the server", error=str(error))
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    async def _on_command(self, msg: Msg) -> None:
        request = msg if msg.reply else None
        try:
            command: AnyCommand = decode(AnyCommand, msg.data)  # type: ignore[arg-type]
        except WireError as error:
            self._emit(events.CommandUnreadable(str(error), request))
        else:
            self._emit(events.CommandReceived(command, request))

    def _on_connection(self, up: bool) -> None:
        self._emit(events.Connected(self._bus.max_payload) if up else events.Disconnected())

    def _on_exit(self, effect: effects.Exit) -> None:
        if effect.unreported:
            log.warning("the agent leaves with jobs whose end it could not report", tokens=effect.unreported)
        self._left.set()

    # -- the one task that owns the engine

    async def _decide(self, runner: EffectRunner) -> None:
        loop = asyncio.get_running_loop()
        engine, waiting = self.engine, self._events
        steps = structlog.get_logger(__name__).bind(agent_id=self.identity.agent_id)
        alarm = loop.call_later(_SHORTEST_S, self._awake.set)
        now = self._clock()
        ticked = now.mono
        self._handle(events.Tick(), now, runner, steps)
        while True:
            now = self._clock()
            if not waiting or now.mono - ticked >= self._settings.tick_s:
                # With events waiting, deadlines other than the tick itself are looked at once they are handled.
                left_s = engine.next_deadline(now) - now.mono
                if left_s <= 0:
                    ticked = now.mono
                    self._handle(events.Tick(), now, runner, steps)
            if waiting:
                self._handle(waiting.popleft(), now, runner, steps)
                continue
            self._awake.clear()
            at = loop.time() + max(left_s, _SHORTEST_S)
            if not loop.time() < alarm.when() <= at:
                # An alarm that comes too early only has the deadlines looked at again.
                alarm.cancel()
                alarm = loop.call_at(at, self._awake.set)
            await self._awake.wait()

    def _handle(self, event: events.Event, now: Now, runner: EffectRunner, steps: FilteringBoundLogger) -> None:
        for effect in self.engine.handle(event, now):
            runner.run(effect)
        if self.engine.moves:
            if not self._moves:
                # Behind what the effects have begun: a job does not wait for its line in the log.
                asyncio.get_running_loop().call_soon(self._log_moves, steps)
            self._moves += self.engine.moves

    def _log_moves(self, steps: FilteringBoundLogger) -> None:
        moves, self._moves = self._moves, []
        log_moves(moves, steps)
