"""A whole system in virtual time, in which nothing goes wrong by itself: the real services, and a producer's client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.bus.client import Client
from pocket3d.bus.client.handle import JobHandle
from pocket3d.coordinator.settings import CoordinatorSettings
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.settings import AgentSettings
from pocket3d.ops.simulation.loop import VirtualLoop
from pocket3d.ops.simulation.members import Agent, Coordinator
from pocket3d.ops.simulation.oracle import violations
from pocket3d.ops.simulation.shapes import CALM, RunShape
from pocket3d.ops.simulation.workload import Workload, device
from pocket3d.ops.simulation.world import World

#: No test of a few jobs lasts longer than this, virtual seconds.
LONGEST_S = 600.0


class Flow:
    """What a test does with a system."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = Client(world.people.desk)

    async def submit(self, feature: str = "echo", job_id: str | None = None, **request: Any) -> JobHandle:
        """Publish a job; `behave`, `seconds`, ... in `inputs` say what its worker does."""
        handle = await self.client.submit(feature, job_id=job_id, **request)
        self.world.accepted.add(handle.job_id)
        return handle

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let time pass until something is so."""
        while not condition():
            await asyncio.sleep(0.05)

    async def running(self, *handles: JobHandle) -> None:
        """Let time pass until these jobs are on their workers, and the coordinator knows of it."""
        for handle in handles:
            await self.until(lambda: handle.job_id in self.world.attempts)  # noqa: B023  # awaited here
            await self.until(lambda: "started" in self.story(handle.job_id))  # noqa: B023

    async def settled(self) -> None:
        """Let time pass until nobody has anything left to do."""
        await self.until(self.world.at_rest)

    def leader(self) -> Coordinator:
        """Who leads."""
        leader = self.world.leader()
        assert leader is not None
        return leader

    def agent(self, agent_id: str) -> Agent:
        """One of the agents."""
        return next(agent for agent in self.world.agents if agent.agent_id == agent_id)

    def story(self, job_id: str) -> list[str]:
        """The events of a job, in order."""
        events = self.world.server.stream(self.world.subjects.events_stream).messages.values()
        return [each.subject.rpartition(".")[2] for each in events if f".{job_id}." in each.subject]


def play(
    scenario: Callable[[Flow], Coroutine[Any, Any, None]],
    folder: Path,
    *,
    coordinators: int = 1,
    agents_mb: Sequence[int | Sequence[int]] = (16_000,),
    coordinator: CoordinatorSettings | None = None,
    variants: bool = False,
    agent: AgentSettings | None = None,
) -> None:
    """Run a scenario in a system with a leader and agents of one device each, or of several (`dev-0-0`, `dev-0-1`);
    nothing may be wrong at its end.
    """
    loop = VirtualLoop()
    devices: list[list[DeviceSpec]] = [
        [device(f"dev-{number}", mb)]
        if isinstance(mb, int)
        else [device(f"dev-{number}-{place}", each) for place, each in enumerate(mb)]
        for number, mb in enumerate(agents_mb)
    ]
    shape = RunShape(jobs=0, coordinators=coordinators, agents=len(devices), faults=CALM, variants=variants)
    if coordinator is not None:
        shape = msgspec.structs.replace(shape, coordinator=coordinator)
    if agent is not None:
        shape = msgspec.structs.replace(shape, agent=agent)
    world = World(loop, 1, shape, folder, devices)
    world.workload = Workload([], [])

    async def run() -> None:
        await world.begin()
        while world.leader() is None or any(agent.engine is None for agent in world.agents):
            await asyncio.sleep(0.1)
        # Every agent has said what it has.
        await asyncio.sleep(1.5)
        await asyncio.wait_for(scenario(Flow(world)), LONGEST_S)
        while not world.at_rest() and not world.wrong:
            await asyncio.sleep(0.1)

    with world.logs_told():
        try:
            loop.run_until_complete(asyncio.wait_for(run(), 2 * LONGEST_S))
        finally:
            print(*(f"{note.at:9.3f} {note.text}" for note in world.story), sep="\n")
            loop.run_until_complete(world.close())
            loop.close()
    assert not world.wrong, "\n".join(world.wrong)
    assert violations(world) == []
