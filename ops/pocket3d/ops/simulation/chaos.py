"""What happens to the processes of a run: crashes, pauses, cuts, restarts, and what operators do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from pocket3d.bus.names import kv_stream
from pocket3d.bus.port import BusError
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.api import EmptyRequest, LoadRequest
from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import PRIORITIES

from .members import Agent, Coordinator
from .process import Process
from .world import World

P = TypeVar("P", bound=Process)

#: A killed process is started again within so long, seconds.
_BACK_S = (0.5, 10.0)
_SERVER_AWAY_S = 6.0
#: Somebody's clock is set forward or back, seconds.
_JUMPS_S = (-90.0, -5.0, 5.0, 3600.0)
_FOREIGN_MB = (0, 0, 1000, 4000, 8000)
#: An operator that got no answer asks again after so long, seconds.
_AGAIN_S = 0.5
#: So long after the last fault nothing is on its way any more that was sent before it, seconds.
_STRAGGLERS_S = 12.0


class Chaos:
    """Faults of a world, drawn from its chance."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rng = world.rng
        self._faults = world.shape.faults

    def plan(self) -> None:
        """Draw when what happens, up to the end of the faults."""
        faults = self._faults
        kinds: list[tuple[float, Callable[[], None]]] = [
            (faults.server_restart_s, self.restart_server),
            (faults.coordinator_crash_s, lambda: self._crash_one(self.world.coordinators)),
            (faults.coordinator_pause_s, lambda: self._pause_one(self.world.coordinators)),
            (faults.agent_crash_s, lambda: self._crash_one(self.world.agents)),
            (faults.agent_pause_s, lambda: self._pause_one(self.world.agents)),
            (faults.link_cut_s, self._cut_link),
            (faults.store_cut_s, self._cut_store),
            (faults.worker_crash_s, self._crash_worker),
            (faults.clock_jump_s, self._jump_clock),
            (faults.foreign_memory_s, self._take_memory),
            (faults.sick_device_s, self._sicken),
            (faults.operator_s, self._operate),
            (faults.removed_message_s, self._remove_messages),
            (faults.removed_consumer_s, self._remove_consumer),
            (faults.removed_bucket_s, self._remove_bucket),
        ]
        for mean_s, fault in kinds:
            at = 0.0
            while mean_s > 0:
                at += self._rng.expovariate(1.0 / mean_s)
                if at >= faults.until_s:
                    break
                self.world.network.later(at, fault)
        if faults.until_s:
            self.world.network.later(faults.until_s, self._calm)
            self.world.network.later(faults.until_s + _STRAGGLERS_S, self._calm)

    def _calm(self) -> None:
        """Faults stop: what was taken is given back."""
        for agent in self.world.agents:
            for device in agent.devices.values():
                device.foreign_mb = 0
                device.sick = False
            self._ask(agent, "undrain", encode(EmptyRequest()))

    def _left_s(self, longest: float) -> float:
        """A random time that ends when faults stop, at the latest."""
        left = max(self._faults.until_s - self.world.loop.time(), 0.1)
        return min(self._rng.uniform(0.2, longest), left)

    def strike(self, kind: str, victim: Process | None = None) -> None:
        """Count the states of the jobs that a fault strikes: those on one agent, else all of the leader's."""
        agent = victim if isinstance(victim, Agent) else None
        world = self.world
        world.faults[kind] += 1
        world.note(kind if agent is None else f"{kind} ({agent.name})")
        leader = world.leader()
        if leader is None:
            world.struck[kind, "no leader"] += 1
            return
        for record in leader.jobs:
            if agent is None or (record.attempt is not None and record.attempt.agent_id == agent.agent_id):
                world.struck[kind, record.state.value] += 1

    # -- the server and the wires

    def restart_server(self) -> None:
        """The server goes away for a moment."""
        if self.world.network.server_up:
            self.strike("server restart")
            self.world.network.stop_server(self._left_s(_SERVER_AWAY_S))

    def _cut_link(self) -> None:
        whole = [each for each in _awake(self._everybody) if each.host.reachable]
        if whole:
            victim = self._rng.choice(whole)
            self.strike(f"{'agent' if isinstance(victim, Agent) else 'coordinator'} link cut", victim)
            victim.host.cut(self._left_s(self._faults.cut_max_s))

    def _cut_store(self) -> None:
        able = [each for each in self.world.agents if each.host.stores]
        if able:
            victim = self._rng.choice(able)
            self.strike("agent without a store", victim)
            victim.host.deny_store(self._left_s(self._faults.cut_max_s))
            if victim.host.link is not None and self._rng.random() < 0.5:
                # It connects again, somewhere else.
                victim.host.link.break_off()

    # -- processes

    @property
    def _everybody(self) -> list[Process]:
        return [*self.world.agents, *self.world.coordinators]

    def _crash_one(self, members: Sequence[Process]) -> None:
        living = _awake(members)
        if living:
            victim = self._rng.choice(living)
            self.strike(f"{_role(victim)} crash", victim)
            self.crash(victim, self._rng.uniform(*_BACK_S))

    def crash(self, member: Process, back_after_s: float) -> None:
        """Kill a process; it is started again after a while."""
        member.kill()
        self.world.network.later(back_after_s, member.start)

    def _pause_one(self, members: Sequence[Process]) -> None:
        living = _awake(members)
        if living:
            victim = self._rng.choice(living)
            self.strike(f"{_role(victim)} pause", victim)
            victim.pause(self._left_s(self._faults.pause_max_s))

    def _crash_worker(self) -> None:
        agents = [(each, each.workers) for each in self.world.agents if each.workers and each.workers.workers]
        if agents:
            agent, workers = self._rng.choice(agents)
            self.strike("worker crash", agent)
            workers.crash_one()

    def _jump_clock(self) -> None:
        victim = self._rng.choice(self._everybody)
        victim.wall_offset += self._rng.choice(_JUMPS_S)
        self.strike("clock jump", victim)

    # -- what operators do to streams

    def _remove_messages(self) -> None:
        """As `nats stream rmm` and, now and then, `nats stream purge` do it."""
        stream = self.world.server.stream(self.world.subjects.jobs_stream)
        present = list(stream.messages.values())
        if not present or not self.world.network.server_up:
            return
        purge = self._rng.random() < 0.05
        self.strike("operator: purge" if purge else "operator: remove a message")
        for message in present if purge else [self._rng.choice(present)]:
            stream.delete(message.seq)
            self.world.note_removed(message)
        leader = next((each for each in self.world.coordinators if each.leading and each.awake), None)
        if leader is not None and self._rng.random() < 0.3:
            # The leader's memory was all that knew of the job.
            self.strike("leader crash", leader)
            self.crash(leader, self._rng.uniform(*_BACK_S))

    def _remove_consumer(self) -> None:
        """As `nats consumer rm` does it."""
        subjects, server = self.world.subjects, self.world.server
        names = [coordinator_results(subjects), *(coordinator_jobs(subjects, priority) for priority in PRIORITIES)]
        name = self._rng.choice([each for each in names if each.name in server.stream(each.stream).consumers] or names)
        if self.world.network.server_up and name.name in server.stream(name.stream).consumers:
            self.strike("operator: remove a consumer")
            server.remove_consumer(name)

    def _remove_bucket(self) -> None:
        """As `nats kv rm` does it."""
        subjects, server = self.world.subjects, self.world.server
        name = kv_stream(self._rng.choice((subjects.status_bucket, subjects.agents_bucket, subjects.leader_bucket)))
        if self.world.network.server_up and name in server.streams:
            self.strike("operator: remove a bucket")
            server.remove_stream(name)

    # -- devices and operators

    def _take_memory(self) -> None:
        devices = [d for agent in self.world.agents for d in agent.devices.values() if not d.spec.simulated]
        if devices:
            device = self._rng.choice(devices)
            device.foreign_mb = self._rng.choice(_FOREIGN_MB)
            self.world.note(f"others hold {device.foreign_mb} MB on {device.spec.id}")
            self.world.faults["foreign memory"] += 1

    def _sicken(self) -> None:
        pairs = [agent for agent in self.world.agents if len(agent.devices) > 1]
        sound = [agent for agent in pairs if not any(device.sick for device in agent.devices.values())]
        if sound:
            agent = self._rng.choice(sound)
            self.sicken(agent, self._rng.choice(sorted(agent.devices)))

    def sicken(self, agent: Agent, device_id: str) -> None:
        """Let every load fail on a device from now on."""
        self.strike("sick device", agent)
        agent.devices[device_id].sick = True
        self.world.sick.setdefault(device_id, self.world.loop.time())

    def _operate(self) -> None:
        living = [(each, each.service) for each in _awake(self.world.agents) if each.service is not None]
        if not living:
            return
        agent, service = self._rng.choice(living)
        adapter = encode(LoadRequest(adapter_id=self._rng.choice(list(self.world.adapters))))
        verb = self._rng.choice(("load", "load", "unload", "drain", "leave"))
        self.strike(f"operator: {verb}", agent)
        if verb == "leave":
            # As the signal does it: it finishes what it has and ends; its supervisor starts it again.
            agent.on_exit = partial(self.world.network.later, self._rng.uniform(*_BACK_S), agent.start)
            agent.tell(service.drain)
        elif verb == "drain":
            self._ask(agent, "drain", encode(EmptyRequest()))
            undrain = partial(self._ask, agent, "undrain", encode(EmptyRequest()))
            self.world.network.later(self._rng.uniform(1.0, 10.0), undrain)
        else:
            self._ask(agent, verb, adapter)

    def _ask(self, agent: Agent, verb: str, body: bytes) -> None:
        """An operator asks an agent for something, again and again until there is an answer; with the faults only what
        undoes is asked for still.
        """
        world = self.world
        subject = world.subjects.agent_control(agent.agent_id, verb)

        async def ask() -> None:
            while verb == "undrain" or world.network.faulty:
                try:
                    await world.people.desk.request(subject, body, timeout=2.0)
                    return
                except BusError:
                    await asyncio.sleep(_AGAIN_S)

        assert world.people.life is not None
        world.people.life.spawn(ask())


def _role(member: Process) -> str:
    return ("leader" if member.leading else "standby") if isinstance(member, Coordinator) else "agent"


def _awake(members: Sequence[P]) -> list[P]:
    return [each for each in members if each.awake]
