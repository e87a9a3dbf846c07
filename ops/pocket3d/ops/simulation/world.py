"""One run: coordinators, agents, producers and faults put together from a seed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator import events as coordinator_events
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents import events as agent_events
from pocket3d.gpu_agents.settings import AgentSettings

from .agent_driver import SimulatedAgent
from .clock import VirtualClock
from .coordinator_driver import SimulatedCoordinator
from .faults import FaultProfile
from .network import Failure, Network
from .process import Process
from .reign_driver import SimulatedReign
from .server import Server
from .tasks import Work, sleep, spawn
from .workload import ADAPTERS, Cancellation, Publication, Workload, fleet, make_workload


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
    #: Engines check themselves after every event; off where only the oracle is to speak.
    check: bool = True
    #: Two agents claim the first agent's id.
    twins: bool = False
    coordinator: CoordinatorSettings = CoordinatorSettings(
        bench_s=2.0, bench_cap_s=8.0, hold_after_s=6.0, cancel_wait_s=8.0, ageing_s=15.0
    )
    agent: AgentSettings = AgentSettings(drain_timeout_s=4.0, leave_bound_s=4.0, idle_timeout_s=6.0)


class World:
    """Everything of one run.

    Args:
        seed: of all chance.
        shape: size and faults.
    """

    def __init__(self, seed: int, shape: RunShape) -> None:
        self.seed = seed
        self.shape = shape
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.network = Network(self.clock, self.rng, shape.faults)
        self.server = Server(self.clock, self.network, self.rng)
        self.attempts: dict[str, int] = {}
        #: (fault, state of a job that it struck) -> how often.
        self.struck: Counter[tuple[str, str]] = Counter()
        #: Id under which each stored message's job is known: the oracle asks for one result of each.
        self.accepted: set[str] = set()
        self._pids = itertools.count(1000)
        self.coordinators = [
            SimulatedCoordinator(self._process(f"coordinator{n}"), self.network, self.server, shape.coordinator)
            for n in range(shape.coordinators)
        ]
        self.agents = [
            SimulatedAgent(
                self._process(f"agent{n}"),
                "agent0" if shape.twins and n == 1 else f"agent{n}",
                self.network,
                self.server,
                shape.agent,
                devices,
                ADAPTERS,
                self.attempts,
                lambda: next(self._pids),
                self.rng,
            )
            for n, devices in enumerate(fleet(self.rng, shape.agents, twins=shape.twins))
        ]
        for agent in self.agents:
            agent.checks = shape.check
        self.producer = self._process("producer")
        self.network.attach(self.producer, lambda up: None)
        self.workload: Workload = make_workload(self.rng, shape.jobs, shape.publish_over_s, plain=shape.plain)
        self._left = 0

    def _process(self, name: str) -> Process:
        return Process(name, self.clock, self.rng)

    # -- the run

    def start(self) -> None:
        """Begin: processes, producers, faults."""
        for coordinator in self.coordinators:
            coordinator.process.later(self.rng.uniform(0.0, 1.0), coordinator.start)
        for agent in self.agents:
            agent.process.later(self.rng.uniform(0.0, 2.0), agent.start)
        for publication in self.workload.publications:
            self._left += 1
            self.clock.later(publication.at, self._starter(self._publish(publication)))
        for cancellation in self.workload.cancellations:
            self.clock.later(cancellation.at, self._starter(self._cancel(cancellation)))
        self._sweep()
        self._plan_faults()

    def _starter(self, work: Work) -> Callable[[], None]:
        return lambda: spawn(work)

    def _sweep(self) -> None:
        """Pulls that were open for nobody are open again for whoever came back."""
        self.server.redeliver()
        self.clock.later(1.0, self._sweep)

    # -- producers

    def _publish(self, publication: Publication) -> Work:
        while True:
            stored: list[int] = []

            def operation(stored: list[int] = stored) -> int:
                seq = self.server.publish_job(
                    publication.priority,
                    publication.feature,
                    publication.data,
                    publication.job_id,
                    self.producer.now.wall,
                )
                stored.append(seq)
                self.accepted.add(publication.job_id or f"seq{seq}")
                return seq

            answer = yield lambda done, operation=operation: self.network.call(  # type: ignore[misc]
                self.producer, operation, done, writes=True
            )
            # A producer that got no answer publishes again, under the same id.
            if not isinstance(answer, Failure):
                self._left -= 1
                return
            yield sleep(self.producer, 0.5)

    def _cancel(self, cancellation: Cancellation) -> Work:
        for _ in range(20):
            answer = yield lambda done: self.network.request(
                self.producer,
                "api",
                coordinator_events.CancelAsked(cancellation.job_id, "not wanted any more"),
                2.0,
                done,
            )
            if not isinstance(answer, Failure):
                return
            yield sleep(self.producer, 0.5)

    # -- who leads

    def leader(self) -> SimulatedReign | None:
        """The reign with the youngest epoch that still believes in itself."""
        reigns = [c.reign for c in self.coordinators if c.process.alive and c.reign is not None]
        return max((r for r in reigns if not r.closed), key=lambda r: r.epoch, default=None)

    # -- faults

    def _plan_faults(self) -> None:
        faults = self.shape.faults
        kinds: list[tuple[float, Callable[[], None]]] = [
            (faults.server_restart_s, self.restart_server),
            (faults.coordinator_crash_s, self._crash_coordinator),
            (faults.coordinator_pause_s, self._pause_coordinator),
            (faults.agent_crash_s, self._crash_agent),
            (faults.agent_pause_s, self._pause_agent),
            (faults.link_cut_s, self._cut_link),
            (faults.worker_crash_s, self._crash_worker),
            (faults.clock_jump_s, self._jump_clock),
            (faults.foreign_memory_s, self._foreign_memory),
            (faults.operator_s, self._operate),
        ]
        for mean_s, fault in kinds:
            at = 0.0
            while mean_s > 0:
                at += self.rng.expovariate(1.0 / mean_s)
                if at >= faults.until_s:
                    break
                self.clock.later(at, fault)
        self.clock.later(faults.until_s, self._calm)

    def _calm(self) -> None:
        """Faults stop: what was taken is given back."""
        for agent in self.agents:
            for world in agent.worlds.values():
                world.foreign_mb = 0
            if agent.engine is not None and agent.process.alive:
                agent.process.post(lambda agent=agent: agent.tell(agent_events.UndrainRequested()))  # type: ignore[misc]

    def _left_s(self, longest: float) -> float:
        """A random time that ends when faults stop, at the latest."""
        left = max(self.shape.faults.until_s - self.clock.now, 0.1)
        return min(self.rng.uniform(0.2, longest), left)

    def strike(self, kind: str, agent_id: str | None = None) -> None:
        """Count the states of the jobs that a fault strikes: all of the leader's, or those on one agent."""
        self.clock.note(kind if agent_id is None else f"{kind} ({agent_id})")
        reign = self.leader()
        if reign is None:
            self.struck[kind, "no leader"] += 1
            return
        for record in reign.engine.core.jobs.values():
            if agent_id is None or (record.attempt is not None and record.attempt.agent_id == agent_id):
                self.struck[kind, record.state.value] += 1

    def restart_server(self) -> None:
        """The server goes away for a moment."""
        if self.network.server_up:
            self.strike("server restart")
            self.network.stop_server(self._left_s(6.0))

    def _living(self, processes: list[Any]) -> list[Any]:
        return [each for each in processes if each.process.alive and not each.process.paused]

    def _crash_coordinator(self) -> None:
        living = self._living(self.coordinators)
        if living:
            coordinator = self.rng.choice(living)
            self.strike(f"{'leader' if coordinator.reign else 'standby'} crash")
            self.crash_coordinator(coordinator, self.rng.uniform(0.5, 8.0))

    def crash_coordinator(self, coordinator: SimulatedCoordinator, back_after_s: float) -> None:
        """Kill a coordinator; it is started again after a while."""
        coordinator.process.crash()
        if coordinator.reign is not None:
            coordinator.reign.closed = True
        coordinator.reign = None

        def back() -> None:
            coordinator.process.restart()
            coordinator.start()

        self.clock.later(back_after_s, back)

    def _pause_coordinator(self) -> None:
        living = self._living(self.coordinators)
        if living:
            coordinator = self.rng.choice(living)
            self.strike(f"{'leader' if coordinator.reign else 'standby'} pause")
            coordinator.process.pause(self._left_s(self.shape.faults.pause_max_s))

    def _crash_agent(self) -> None:
        living = [a for a in self._living(self.agents) if a.engine is not None]
        if living:
            agent = self.rng.choice(living)
            self.strike("agent crash", agent.agent_id)
            agent.crash()
            self._start_again(agent)

    def _start_again(self, agent: SimulatedAgent) -> None:
        def back() -> None:
            if not agent.process.alive:
                agent.process.restart()
                agent.start()

        self.clock.later(self.rng.uniform(0.5, 10.0), back)

    def _pause_agent(self) -> None:
        living = self._living(self.agents)
        if living:
            agent = self.rng.choice(living)
            self.strike("agent pause", agent.agent_id)
            agent.process.pause(self._left_s(self.shape.faults.pause_max_s))

    def _cut_link(self) -> None:
        everybody: list[SimulatedAgent | SimulatedCoordinator] = [*self.agents, *self.coordinators]
        whole = [each for each in self._living(everybody) if each.process.reachable]
        if whole:
            victim = self.rng.choice(whole)
            agent_id = victim.agent_id if isinstance(victim, SimulatedAgent) else None
            self.strike("agent link cut" if agent_id else "coordinator link cut", agent_id)
            self.network.cut(victim.process, self._left_s(self.shape.faults.cut_max_s))

    def _crash_worker(self) -> None:
        hosts = [a for a in self.agents if a.host is not None and a.process.alive and a.host.workers]
        if hosts:
            agent = self.rng.choice(hosts)
            self.strike("worker crash", agent.agent_id)
            assert agent.host is not None
            agent.host.crash_one()

    def _jump_clock(self) -> None:
        everybody: list[Any] = [*self.agents, *self.coordinators]
        victim = self.rng.choice(everybody)
        victim.process.wall_offset += self.rng.choice((-90.0, -5.0, 5.0, 3600.0))
        self.clock.note(f"clock of {victim.process.name} jumps")

    def _foreign_memory(self) -> None:
        worlds = [w for a in self.agents for w in a.worlds.values() if not w.device.simulated]
        if worlds:
            world = self.rng.choice(worlds)
            world.foreign_mb = self.rng.choice((0, 0, 1000, 4000, 8000))
            self.clock.note(f"others hold {world.foreign_mb} MB on {world.device.id}")

    def _operate(self) -> None:
        living = [a for a in self._living(self.agents) if a.engine is not None and not a.left]
        if not living:
            return
        agent = self.rng.choice(living)
        adapter_id = self.rng.choice(ADAPTERS).adapter_id
        event: agent_events.Event = self.rng.choice(
            (
                agent_events.LoadRequested(adapter_id, None),
                agent_events.LoadRequested(adapter_id, None),
                agent_events.UnloadRequested(adapter_id, None),
                agent_events.DrainRequested(leave=False),
                agent_events.DrainRequested(leave=True),
            )
        )
        self.clock.note(f"{agent.agent_id}: {event}")
        agent.tell(event)
        if isinstance(event, agent_events.DrainRequested):
            if event.leave:
                agent.on_exit = lambda: self._start_again(agent)
            else:
                agent.process.later(self.rng.uniform(1.0, 10.0), lambda: agent.tell(agent_events.UndrainRequested()))

    # -- rest

    def at_rest(self) -> bool:
        """True when everything is decided and nobody holds anything for a job."""
        if self._left or self.server.jobs or self.clock.now < self.shape.faults.until_s:
            return False
        if self.server.results_consumer.unacked():
            return False
        reign = self.leader()
        if reign is None or reign.engine.core.jobs:
            return False
        return all(
            agent.engine is not None and agent.process.alive and not agent.engine.core.runs for agent in self.agents
        )

    def states(self) -> Counter[str]:
        """How many unfinished jobs the leader holds in each state."""
        reign = self.leader()
        jobs = reign.engine.core.jobs.values() if reign is not None else ()
        return Counter(record.state.value if isinstance(record.state, JobState) else "?" for record in jobs)
