"""The members of a simulated system: coordinator and agent processes, each running the real service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pocket3d.contracts.clock import Now
from pocket3d.contracts.subjects import Subjects
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec
from pocket3d.coordinator.engine.job import JobRecord
from pocket3d.coordinator.service import CoordinatorService
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.engine.effects import Effect
from pocket3d.gpu_agents.engine.engine import AgentEngine
from pocket3d.gpu_agents.engine.events import Event
from pocket3d.gpu_agents.io.describe import DeclaredAdapter
from pocket3d.gpu_agents.service import AgentService
from pocket3d.gpu_agents.settings import AgentSettings

from .bus import SimulatedBus
from .network import Network
from .process import Process
from .workers import Device, SimulatedProbe, SimulatedWorkers


class Coordinator:
    """One coordinator process through all its lives.

    Args:
        process: its process.
        subjects: names of the namespace.
        settings: of the service.
    """

    def __init__(self, process: Process, subjects: Subjects, settings: CoordinatorSettings) -> None:
        self.process = process
        self._subjects = subjects
        self._settings = settings
        self.service: CoordinatorService | None = None

    def start(self) -> None:
        """Begin a life."""
        self.process.start(self._main, lambda: None)

    async def _main(self, bus: SimulatedBus) -> None:
        self.service = service = CoordinatorService(
            bus,
            self._subjects,
            self._settings,
            coordinator_id=f"{self.process.name}-{self.process.lives}",
            clock=self.process.now,
        )
        await service.run(asyncio.Event())

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.service = None

    @property
    def leading(self) -> bool:
        """True while it believes that it leads."""
        return self.process.alive and self.service is not None and self.service.leading

    @property
    def jobs(self) -> Iterable[JobRecord]:
        """The jobs in its engine, for reports; empty on standby."""
        term = self.service.term if self.service is not None else None
        return list(term.engine.core.jobs.values()) if term is not None else []

    def check(self) -> None:
        """Verify what must hold between any two events of its engine.

        Raises:
            AssertionError: it does not.
        """
        term = self.service.term if self.service is not None else None
        if term is not None:
            term.engine.check()

    @property
    def epoch(self) -> int:
        """Of its present leadership, for reports."""
        term = self.service.term if self.service is not None else None
        return term.engine.core.epoch if term is not None else 0


class CheckedEngine(AgentEngine):
    """An agent's engine that checks after every event what must always hold."""

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """As the engine's own.

        Raises:
            AssertionError: something does not hold.
        """
        wanted = super().handle(event, now)
        self.check()
        return wanted


class Agent:
    """One agent process through all its lives.

    Args:
        process: its process.
        agent_id: may be that of another process too (two agents with one id).
        network: virtual time, chance and faults.
        subjects: names of the namespace.
        settings: of the service.
        devices: what it owns, for all its lives.
        adapters: what it knows.
        attempts: runs of each job so far, over all agents.
        pids: gives process ids.
        work_dir: folder for its files.
        checks: whether its engine checks itself after every event.
    """

    def __init__(
        self,
        process: Process,
        agent_id: str,
        network: Network,
        subjects: Subjects,
        settings: AgentSettings,
        devices: Sequence[DeviceSpec],
        adapters: Sequence[AdapterDescription],
        attempts: dict[str, int],
        pids: Callable[[], int],
        work_dir: Path,
        *,
        checks: bool,
    ) -> None:
        self.process = process
        self.agent_id = agent_id
        self._network = network
        self._subjects = subjects
        self._settings = settings
        self._specs = list(devices)
        self._adapters = {adapter.adapter_id: adapter for adapter in adapters}
        self._attempts = attempts
        self._pids = pids
        self._work_dir = work_dir
        self._checks = checks
        self.devices: Mapping[str, Device] = {spec.id: Device(spec, network) for spec in devices}
        self.service: AgentService | None = None
        self.workers: SimulatedWorkers | None = None
        #: Called when it has left by its own doing.
        self.on_exit: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin a life."""
        self.process.start(self._main, self._left)

    async def _main(self, bus: SimulatedBus) -> None:
        self.workers = SimulatedWorkers(
            self.process, self._network, self._adapters, self.devices, self._attempts, self._pids
        )
        self.service = service = AgentService(
            bus,
            self._subjects,
            self.agent_id,
            devices=self._specs,
            probe=SimulatedProbe(self.devices),
            workers=self.workers,
            declared=[DeclaredAdapter(spec=AdapterSpec(adapter_id=each, class_path="-")) for each in self._adapters],
            work_dir=self._work_dir,
            settings=self._settings,
            describe=self._describe,
            clock=self.process.now,
        )
        if self._checks:
            service.engine = CheckedEngine(self._settings, service.identity, self._specs)
        await service.run(asyncio.Event())

    async def _describe(self, declared: Sequence[DeclaredAdapter]) -> list[AdapterDescription]:
        return [self._adapters[each.spec.adapter_id] for each in declared]

    def kill(self) -> None:
        """End it at once: its workers die with it."""
        self.process.kill()
        self._after()

    def _left(self) -> None:
        self._after()
        self.on_exit()

    def _after(self) -> None:
        if self.service is not None:
            self.service.folder.unlock()
        self.service = None
        if self.workers is not None:
            self.workers.die()

    @property
    def engine(self) -> AgentEngine | None:
        """Of its present life."""
        return self.service.engine if self.service is not None and self.process.alive else None
