"""The system behind a `ModelScheduler`: a nats-server as a child process, a coordinator and an agent in this event
loop, and the models' worker processes. The composition root of a program that embeds Pocket3DStudio.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.client.errors import ClientError
from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import BusError
from pocket3d.contracts.subjects import Subjects
from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.coordinator.service import CoordinatorService
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents.io.describe import DeclaredAdapter
from pocket3d.gpu_agents.service import AgentService
from pocket3d.gpu_agents.settings import AgentSettings
from pocket3d.gpu_agents.workers import WorkerHost

from ..up.child import keep_server
from ..up.running import default_agent_id
from .gpu import GPUMonitor

log = structlog.get_logger(__name__)

_CONNECT_S = 30.0
#: Between two looks whether the leader knows what the agent said, seconds.
_POLL_S = 0.02
#: Failures in a row that nothing reaches.
_NEVER = 1_000_000
#: Nobody else can join: a job whose adapters are all broken is told so soon, and neither a model nor a device on which
#: jobs fail often is kept from its jobs, since no other agent would do better.
_COORDINATOR = CoordinatorSettings(unavailable_wait_s=1.0, bench_after=_NEVER)
#: After the time for running jobs is over, handing back and leaving may take so long, seconds.
_LEAVE_S = 10.0


class EmbeddedSystem:
    """Started once and stopped once. All methods belong to the event loop in which it was started.

    The folder `store` holds jobs, results and logs; None is a temporary one that `stop` removes. What runs at `stop` is
    given `drain_s` seconds.
    """

    def __init__(self, monitor: GPUMonitor, store: Path | None, drain_s: float) -> None:
        self._monitor = monitor
        self._store = store
        self._drain_s = drain_s
        #: Removed at the latest when the interpreter ends, for programs that never come to `stop`.
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._stopping = asyncio.Event()
        self._parts: dict[str, asyncio.Task[None]] = {}
        self._buses: list[JetStreamBus] = []

    async def start(self, declared: Sequence[DeclaredAdapter]) -> None:
        """Start everything; returns when the coordinator leads and knows the agent with its adapters.

        Raises:
            DeviceSpecError: the devices are not there.
            ServerError: the server does not start; the message says what to do.
        """
        if self._store is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="pocket3d-scheduler-", ignore_cleanup_errors=True)
            self._folder = Path(self._temporary.name)
        else:
            self._folder = self._store.expanduser().absolute()
        self._server = EmbeddedServer(self._folder / "nats", http_port=None)
        self._inventory = await asyncio.to_thread(self._monitor.open)
        for note in self._inventory.notes:
            log.info("devices were found", note=note)
        try:
            await self._server.start()
            await self._start_parts(declared)
            await self.unless_failed(self.agent.until_ready())
            await self.unless_failed(self.until_known([each.spec.adapter_id for each in declared]))
        except BaseException:
            await self.stop()
            raise

    async def _start_parts(self, declared: Sequence[DeclaredAdapter]) -> None:
        subjects = Subjects()
        agent_id = default_agent_id()
        self.client = Client(await self._connect("scheduler"))
        coordinator = CoordinatorService(await self._connect("coordinator"), subjects, _COORDINATOR)
        self.agent = AgentService(
            await self._connect("agent"),
            subjects,
            agent_id,
            devices=self._inventory.devices,
            probe=self._inventory.probe,
            workers=WorkerHost(self._folder / "agent" / "import", agent_id),
            declared=declared,
            work_dir=self._folder / "agent" / "lives",
            settings=AgentSettings(
                drain_timeout_s=self._drain_s,
                leave_timeout_s=self._drain_s,
                leave_bound_s=_LEAVE_S,
                quarantine_after=_NEVER,
            ),
        )
        works = {
            "server": keep_server(self._server, self._stopping.is_set),
            "coordinator": coordinator.run(self._stopping),
            "agent": self.agent.run(asyncio.Event()),
        }
        self._parts = {name: asyncio.ensure_future(work) for name, work in works.items()}

    async def _connect(self, name: str) -> JetStreamBus:
        bus = await JetStreamBus.connect(ConnectOptions(servers=(self._server.url,), name=name, wait_s=_CONNECT_S))
        self._buses.append(bus)
        return bus

    @property
    def url(self) -> str:
        """Of the server, for other clients on this machine."""
        return self._server.url

    async def declare(self, declared: Sequence[DeclaredAdapter]) -> list[AdapterDescription]:
        """Take further adapters; returns what they are, once the coordinator knows them."""
        described: list[AdapterDescription] = await self.unless_failed(self.agent.declare(declared))
        await self.unless_failed(self.until_known([each.adapter_id for each in described]))
        return described

    async def until_known(self, adapter_ids: Sequence[str]) -> None:
        """Wait until the leading coordinator knows this agent, and these adapters of it."""
        mine = self.agent.identity.incarnation
        while True:
            try:
                for advert in (await self.client.agents()).agents:
                    offered = {offer.adapter_id for offer in advert.adapters or []}
                    if advert.incarnation == mine and offered.issuperset(adapter_ids):
                        return
            except (BusError, ClientError) as error:
                log.debug("the system is not ready yet; asking again", error=str(error))
            await asyncio.sleep(_POLL_S)

    async def unless_failed(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What `work` returns; a part that ends meanwhile ends it.

        Raises:
            RuntimeError: a part has ended; its own error is the cause.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, *self._parts.values()], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                for name, part in self._parts.items():
                    if part.done():
                        raise RuntimeError(f"the {name} of the scheduler has ended") from part.exception()
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Let what runs end within bounds, then stop the agent, the coordinator and the server, in this order."""
        agent, coordinator, server = (self._parts.get(name) for name in ("agent", "coordinator", "server"))
        if agent is not None:
            self.agent.drain()
            await asyncio.wait([agent], timeout=self._drain_s + 2 * _LEAVE_S)
            await _end(agent)
        self._stopping.set()
        if coordinator is not None:
            await asyncio.wait([coordinator], timeout=_LEAVE_S)
            await _end(coordinator)
        if server is not None:
            await _end(server)
        for bus in reversed(self._buses):
            await bus.close()
        await self._server.stop()
        self._inventory.probe.close()
        if self._temporary is not None:
            await asyncio.to_thread(self._temporary.cleanup)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        log.error("a part of the scheduler ended with an error", error=str(outcome))
