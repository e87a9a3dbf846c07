"""The members of a simulated system: coordinators and agents, which run the real services, and people."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path

from pocket3d.bus.port import Append, BusError
from pocket3d.contracts.api import CancelRequest
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import encode
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec
from pocket3d.coordinator.chains.record import ChainKey, ChainRecord
from pocket3d.coordinator.engine.job import JobRecord
from pocket3d.coordinator.io.leader_term import LeaderTerm
from pocket3d.coordinator.service import CoordinatorService
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.engine.effects import Effect
from pocket3d.gpu_agents.engine.engine import AgentEngine
from pocket3d.gpu_agents.engine.events import Event
from pocket3d.gpu_agents.io.describe import DeclaredAdapter
from pocket3d.gpu_agents.service import AgentService

from .bus import SimulatedBus
from .process import Process
from .surroundings import Surroundings
from .workers import Device, SimulatedProbe, SimulatedWorkers
from .workload import Cancellation, Publication
from .workload_chains import ChainAsk

#: A client that got no answer asks again after so long, seconds; a cancel is given up after so many tries.
_AGAIN_S = 0.5
_CANCEL_TRIES = 20


class Coordinator(Process):
    """One coordinator process through all its lives."""

    service: CoordinatorService | None

    async def main(self, bus: SimulatedBus) -> None:
        """Run the service."""
        name = f"{self.name}-{self.lives}"
        settings = self.world.shape.coordinator
        self.service = CoordinatorService(bus, self.world.subjects, settings, coordinator_id=name, clock=self.now)
        await self.service.run(asyncio.Event())

    @property
    def leading(self) -> bool:
        """True while it believes that it leads."""
        return self.service is not None and self.service.leading

    @property
    def term(self) -> LeaderTerm | None:
        """Its present leadership."""
        return self.service.term if self.service is not None else None

    @property
    def jobs(self) -> list[JobRecord]:
        """The jobs in its engine, for reports; empty on standby."""
        return list(self.term.engine.core.jobs.values()) if self.term is not None else []

    @property
    def chains(self) -> dict[ChainKey, ChainRecord]:
        """The chains and groups that it holds; empty on standby."""
        return self.term.chains.engine.chains if self.term is not None else {}

    @property
    def epoch(self) -> int:
        """Of its present leadership, for reports."""
        return self.term.engine.core.epoch if self.term is not None else 0


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


class Agent(Process):
    """One agent process through all its lives. Two of them may have one `agent_id`."""

    service: AgentService | None

    def __init__(
        self, world: Surroundings, name: str, agent_id: str, specs: Sequence[DeviceSpec], work_dir: Path
    ) -> None:
        super().__init__(world, name)
        self.agent_id = agent_id
        self._specs = specs
        self._work_dir = work_dir
        self.devices = {spec.id: Device(spec, world.network) for spec in specs}
        self.workers: SimulatedWorkers | None = None

    async def main(self, bus: SimulatedBus) -> None:
        """Run the service."""
        settings = self.world.shape.agent
        self.workers = SimulatedWorkers(self, self.devices)
        self.service = service = AgentService(
            bus,
            self.world.subjects,
            self.agent_id,
            devices=self._specs,
            probe=SimulatedProbe(self.devices),
            workers=self.workers,
            declared=[
                DeclaredAdapter(spec=AdapterSpec(adapter_id=each, class_path="-")) for each in self.world.adapters
            ],
            work_dir=self._work_dir,
            settings=settings,
            describe=self._describe,
            clock=self.now,
        )
        if self.world.shape.check:
            service.engine = CheckedEngine(settings, service.identity, self._specs)
        await service.run(asyncio.Event())

    async def _describe(self, declared: Sequence[DeclaredAdapter]) -> list[AdapterDescription]:
        return [self.world.adapters[each.spec.adapter_id] for each in declared]

    def kill(self) -> None:
        """End it at once: its workers die with it."""
        service = self.service
        super().kill()
        if service is not None:
            service.folder.unlock()
        if self.workers is not None:
            self.workers.die()

    @property
    def engine(self) -> AgentEngine | None:
        """Of its present life."""
        return self.service.engine if self.service is not None else None


class People(Process):
    """Producers and operators."""

    #: Their connection.
    desk: SimulatedBus
    #: Publications and cancels that are not settled yet.
    left = 0

    async def main(self, bus: SimulatedBus) -> None:
        """Publish and cancel what the workload says."""
        self.desk = bus
        publications, cancellations = self.world.workload
        asks = self.world.chains
        self.left = len(publications) + len(cancellations) + len(asks)
        await asyncio.gather(
            *map(self._publish, publications), *map(self._cancel, cancellations), *map(self._ask_chain, asks)
        )
        await asyncio.Event().wait()

    async def _publish(self, publication: Publication) -> None:
        await asyncio.sleep(publication.at)
        world = self.world
        subject = world.subjects.job(publication.priority, publication.feature)

        def store() -> None:
            seq = world.server.append(Append(subject, publication.data))
            world.accepted.add(publication.job_id or f"seq{seq}")

        while True:
            try:
                await self.desk.link.ask(store, 5.0, extra_s=world.network.write_delay())
                break
            except BusError:
                # A producer that got no answer publishes again, under the same id.
                await asyncio.sleep(_AGAIN_S)
        self.left -= 1

    async def _ask_chain(self, ask: ChainAsk) -> None:
        """Submit a chain, as often as it takes; or have one cancelled or tried again, unless nobody answers."""
        await asyncio.sleep(ask.at)
        subject = self.world.subjects.api(ask.verb)
        submits = ask.verb == ask.key.kind
        for _ in itertools.count() if submits else range(_CANCEL_TRIES):
            try:
                answer = await self.desk.request(subject, ask.body, timeout=2.0)
            except BusError:
                await asyncio.sleep(_AGAIN_S)
                continue
            code = answer.headers.get("Nats-Service-Error-Code")
            if code is None and submits:
                self.world.accepted_chains.add(ask.key)
            if code is None or (code == "404" and not submits):
                break
            if code not in ("429", "503"):
                self.world.fail(f"{ask.verb} of {ask.key} was answered {code}: {answer.data.decode()}")
                break
            await asyncio.sleep(_AGAIN_S)
        self.left -= 1

    async def _cancel(self, cancellation: Cancellation) -> None:
        await asyncio.sleep(cancellation.at)
        body = encode(CancelRequest(job_id=cancellation.job_id, reason="not wanted any more"))
        for _ in range(_CANCEL_TRIES):
            try:
                await self.desk.request(self.world.subjects.api("cancel"), body, timeout=2.0)
                break
            except BusError:
                await asyncio.sleep(_AGAIN_S)
        self.left -= 1
