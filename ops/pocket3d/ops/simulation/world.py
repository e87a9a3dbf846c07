"""One run: coordinators, agents, producers and the server put together from a seed."""

from __future__ import annotations

import asyncio
import itertools
import random
import traceback
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Append, BusError
from pocket3d.bus.topology import TopologySettings, build, coordinator_results
from pocket3d.contracts.api import CancelRequest
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import AttemptFailed, OutcomesReported
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.settings import AgentSettings

from .bus import SimulatedBus
from .faults import FaultProfile
from .loop import VirtualLoop
from .members import Agent, Coordinator
from .network import Network
from .process import Process, ServerClock
from .pulls import Pulls
from .workers import MAX_PAYLOAD
from .workload import ADAPTERS, INPUT, Cancellation, Publication, Workload, fleet, make_workload

#: A client that got no answer asks again after so long, seconds; a cancel is given up after so many tries.
_AGAIN_S = 0.5
_CANCEL_TRIES = 20
#: How often it is looked whether everything is at rest, virtual seconds.
_LOOK_S = 0.25
#: Lines of a run's story that are kept.
_STORY = 4000


class RunShape(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is, and how much goes wrong."""

    jobs: int = 30
    coordinators: int = 2
    agents: int = 3
    publish_over_s: float = 25.0
    faults: FaultProfile = FaultProfile()
    #: Virtual seconds after the last fault within which everything must have come to rest.
    rest_s: float = 300.0
    #: Good jobs only, each published once.
    plain: bool = False
    #: Engines check themselves, the agents' after every event; off where only the oracle is to speak.
    check: bool = True
    #: Two agents claim the first agent's id.
    twins: bool = False
    coordinator: CoordinatorSettings = CoordinatorSettings(
        bench_s=2.0, bench_cap_s=8.0, hold_after_s=6.0, cancel_wait_s=8.0, ageing_s=15.0
    )
    agent: AgentSettings = AgentSettings(drain_timeout_s=4.0, leave_bound_s=4.0, idle_timeout_s=6.0)


class Note(msgspec.Struct, frozen=True):
    """One line of a run's story."""

    at: float
    text: str


class World:
    """Everything of one run.

    Args:
        loop: virtual time.
        seed: of all chance.
        shape: size and faults.
        folder: where agents keep their files.
        devices: of each agent; drawn if None.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int,
        shape: RunShape,
        folder: Path,
        devices: Sequence[Sequence[DeviceSpec]] | None = None,
    ) -> None:
        self.loop = loop
        self.shape = shape
        self.rng = random.Random(seed)
        self.network = Network(loop, self.rng, shape.faults)
        self.network.witness = self._witness
        self.server = MemoryServer(ServerClock(self.network), max_payload=MAX_PAYLOAD)
        self.pulls = Pulls(self.network, self.server)
        self.subjects = Subjects()
        #: What went wrong so far, in words.
        self.wrong: list[str] = []
        self.story: deque[Note] = deque(maxlen=_STORY)
        #: Runs of each job on any worker.
        self.attempts: dict[str, int] = {}
        #: (fault, state of a job that it struck) -> how often.
        self.struck: Counter[tuple[str, str]] = Counter()
        #: Fault -> how often it happened.
        self.faults: Counter[str] = Counter()
        #: Id under which each stored message's job is known: the oracle asks for one result of each.
        self.accepted: set[str] = set()
        #: Failures that agents ever reported: (job, attempt, agent, code).
        self.said: set[tuple[str, int, str, str]] = set()
        self._pids = itertools.count(1000)
        self.coordinators = [
            Coordinator(self._process(f"coordinator{n}"), self.subjects, shape.coordinator)
            for n in range(shape.coordinators)
        ]
        self.agents = [
            Agent(
                self._process(f"agent{n}"),
                "agent0" if shape.twins and n == 1 else f"agent{n}",
                self.network,
                self.subjects,
                shape.agent,
                owned,
                ADAPTERS,
                self.attempts,
                lambda: next(self._pids),
                folder / f"agent{n}",
                checks=shape.check,
            )
            for n, owned in enumerate(devices or fleet(self.rng, shape.agents, twins=shape.twins))
        ]
        #: Producers and operators.
        self.people = self._process("people")
        self.workload: Workload = make_workload(self.rng, shape.jobs, shape.publish_over_s, plain=shape.plain)
        #: Publications and cancels that are not settled yet.
        self._left = 0
        #: The connection of the operators.
        self.desk: SimulatedBus
        loop.set_exception_handler(self._on_loop_error)

    def _process(self, name: str) -> Process:
        return Process(name, self.network, self.server, self.pulls, self._on_end)

    # -- what goes wrong

    def note(self, text: str) -> None:
        """Keep a line of the story."""
        self.story.append(Note(self.loop.time(), text))

    def fail(self, text: str) -> None:
        """Something is wrong."""
        self.wrong.append(f"at {self.loop.time():.3f} s: {text}")
        self.note(text)

    def _on_end(self, name: str, error: BaseException) -> None:
        self.fail(f"{name} ended: {describe_error(error)}")

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.fail(f"{context.get('message')}: {describe_error(error) if error is not None else context}")

    def _witness(self, subject: str, data: bytes) -> None:
        """What agents report reaches the server: who says that an attempt failed must have been its agent."""
        if subject.startswith("p3d.agents.") and subject.endswith(".outcome"):
            report = decode(OutcomesReported, data)
            for outcome in report.outcomes:
                if isinstance(outcome, AttemptFailed):
                    self.said.add((outcome.job_id, outcome.attempt, report.agent_id, outcome.code))

    # -- the run

    async def begin(self) -> None:
        """Start everybody within a moment."""
        self._left = len(self.workload.publications) + len(self.workload.cancellations)
        settings = TopologySettings(leader_lease_s=self.shape.coordinator.leader_lease_s)
        self.server.ensure(build(self.subjects, settings))
        await MemoryBus(self.server).put_object(self.subjects.inputs_bucket, INPUT, b"a mesh")
        self.people.start(self._people, lambda: None)
        for coordinator in self.coordinators:
            self.network.later(self.rng.uniform(0.0, 1.0), coordinator.start)
        for agent in self.agents:
            self.network.later(self.rng.uniform(0.0, 2.0), agent.start)

    async def run(self) -> bool:
        """From the start to the end; true if everything came to rest in time, or if something is wrong.

        Raises:
            AssertionError: of a coordinator's engine, what must always hold does not.
        """
        await self.begin()
        until = max(self.shape.faults.until_s, self.shape.publish_over_s) + self.shape.rest_s
        while self.loop.time() < until:
            await asyncio.sleep(_LOOK_S)
            if self.shape.check:
                for coordinator in self.coordinators:
                    coordinator.check()
            if self.wrong or self.at_rest():
                return True
        return False

    async def close(self) -> None:
        """End all processes."""
        self.people.kill()
        for coordinator in self.coordinators:
            coordinator.kill()
        for agent in self.agents:
            agent.kill()
        # Whatever a cancelled task still does takes no time.
        await asyncio.sleep(0.001)

    # -- producers and operators

    async def _people(self, bus: SimulatedBus) -> None:
        self.desk = bus
        works: list[Coroutine[Any, Any, None]] = [
            *(self._publish(bus, each) for each in self.workload.publications),
            *(self._cancel(bus, each) for each in self.workload.cancellations),
        ]
        await asyncio.gather(*works)
        await asyncio.Event().wait()

    async def _publish(self, bus: SimulatedBus, publication: Publication) -> None:
        await asyncio.sleep(publication.at)
        subject = self.subjects.job(publication.priority, publication.feature)

        def store() -> int:
            seq = self.server.append(Append(subject, publication.data))
            self.accepted.add(publication.job_id or f"seq{seq}")
            return seq

        while True:
            try:
                await bus.link.ask(store, 5.0, extra_s=self.network.write_delay())
                break
            except BusError:
                # A producer that got no answer publishes again, under the same id.
                await asyncio.sleep(_AGAIN_S)
        self._left -= 1

    async def _cancel(self, bus: SimulatedBus, cancellation: Cancellation) -> None:
        await asyncio.sleep(cancellation.at)
        body = encode(CancelRequest(job_id=cancellation.job_id, reason="not wanted any more"))
        for _ in range(_CANCEL_TRIES):
            try:
                await bus.request(self.subjects.api("cancel"), body, timeout=2.0)
                break
            except BusError:
                await asyncio.sleep(_AGAIN_S)
        self._left -= 1

    # -- rest

    def leader(self) -> Coordinator | None:
        """Of those who believe that they lead, the one with the youngest epoch."""
        return max((each for each in self.coordinators if each.leading), key=lambda each: each.epoch, default=None)

    def at_rest(self) -> bool:
        """True when everything is decided and nobody holds anything for a job."""
        if self._left or self.loop.time() < self.shape.faults.until_s:
            return False
        leader = self.leader()
        if leader is None or leader.jobs:
            return False
        if self.server.stream(self.subjects.jobs_stream).messages:
            return False
        if self.server.consumer(coordinator_results(self.subjects)).backlog():
            return False
        engines = [agent.engine for agent in self.agents]
        return all(engine is not None and not engine.core.runs for engine in engines)

    def states(self) -> Counter[str]:
        """How many unfinished jobs the leader holds in each state."""
        leader = self.leader()
        return Counter(record.state.value for record in leader.jobs) if leader is not None else Counter()


def describe_error(error: BaseException) -> str:
    """An exception with its last frames."""
    frames = "".join(traceback.format_exception(type(error), error, error.__traceback__)[-6:])
    return f"{type(error).__name__}: {error}\n{frames}"
