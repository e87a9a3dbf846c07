"""One run: coordinators, agents, producers and the server put together from a seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.topology import TopologySettings, build, coordinator_results
from pocket3d.gpu_agents.devices.spec import DeviceSpec

from .leftovers import chains_without_end, orphans, stories_without_end
from .loop import VirtualLoop
from .members import Agent, Coordinator, People
from .shapes import RunShape
from .surroundings import Surroundings
from .workload import INPUT, fleet

#: How often it is looked whether everything is at rest, virtual seconds.
_LOOK_S = 0.25


class World(Surroundings):
    """Everything of one run. Agents keep their files in `folder`. `devices` are those of each agent; drawn if None."""

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int,
        shape: RunShape,
        folder: Path,
        devices: Sequence[Sequence[DeviceSpec]] | None = None,
    ) -> None:
        super().__init__(loop, seed, shape)
        self.coordinators = [Coordinator(self, f"coordinator{n}") for n in range(shape.coordinators)]
        self.agents = [
            Agent(self, f"agent{n}", "agent0" if shape.twins and n == 1 else f"agent{n}", owned, folder / f"agent{n}")
            for n, owned in enumerate(devices or fleet(self.rng, shape.agents, twins=shape.twins))
        ]
        self.people = People(self, "people")
        if shape.leaf:
            self.agents[0].host.deny_store(shape.faults.until_s)

    async def begin(self) -> None:
        """Start everybody within a moment."""
        settings = TopologySettings(leader_lease_s=self.shape.coordinator.leader_lease_s)
        self.server.ensure(build(self.subjects, settings))
        await MemoryBus(self.server).put_object(self.subjects.inputs_bucket, INPUT, b"a mesh")
        self.people.start()
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
                    if coordinator.term is not None:
                        coordinator.term.engine.check()
            if self.wrong or self.at_rest():
                return True
        return False

    async def close(self) -> None:
        """End all processes."""
        for process in (self.people, *self.coordinators, *self.agents):
            process.kill()
        # Whatever a cancelled task still does takes no time.
        await asyncio.sleep(0.001)

    # -- rest

    def leader(self) -> Coordinator | None:
        """Of those who believe that they lead, the one with the youngest epoch."""
        return max((each for each in self.coordinators if each.leading), key=lambda each: each.epoch, default=None)

    def at_rest(self) -> bool:
        """True when everything is decided and nobody holds anything for a job."""
        if self.people.left or self.loop.time() < self.shape.faults.until_s:
            return False
        leader = self.leader()
        if leader is None or leader.jobs or leader.chains or self.server.stream(self.subjects.jobs_stream).messages:
            return False
        results = self.server.stream(self.subjects.results_stream).consumers.get(
            coordinator_results(self.subjects).name
        )
        if results is None or results.backlog():
            return False
        if any(agent.engine is None or agent.engine.core.runs for agent in self.agents):
            return False
        if stories_without_end(self.server, self.subjects) or chains_without_end(self.server, self.subjects):
            return False
        return not orphans(self.server, self.subjects)

    def states(self) -> Counter[str]:
        """How many unfinished jobs the leader holds in each state."""
        leader = self.leader()
        return Counter(record.state.value for record in leader.jobs) if leader is not None else Counter()
