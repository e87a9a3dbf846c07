"""A simulated operating-system process: it runs one service, and can pause, die and start again."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pocket3d.contracts.clock import Now

from .bus import SimulatedBus
from .loop import Life
from .network import WALL_AT_START, Host, Link
from .surroundings import Surroundings


class Process(ABC):
    """One process through all its lives; `main` is what it does in each."""

    def __init__(self, world: Surroundings, name: str) -> None:
        self.world = world
        self.name = name
        self.host = Host(world.network, name)
        self.lives = 0
        self.life: Life | None = None
        #: What runs in it, if anything does.
        self.service: Any = None
        #: Called when a life has ended by its own doing.
        self.on_exit: Callable[[], object] = lambda: None
        #: Added to the wall clock.
        self.wall_offset = 0.0
        self._mono_offset = world.rng.uniform(0.0, 1e6)

    @abstractmethod
    async def main(self, bus: SimulatedBus) -> None:
        """What it does in a life, over a connection of its own."""

    @property
    def alive(self) -> bool:
        """True from its start to its end."""
        return self.life is not None

    @property
    def awake(self) -> bool:
        """True while it is alive and not paused."""
        return self.life is not None and not self.life.paused

    def now(self) -> Now:
        """Its own clocks."""
        at = self.world.loop.time()
        return Now(at + self._mono_offset, WALL_AT_START + at + self.wall_offset)

    def start(self) -> None:
        """Begin a life, unless it lives."""
        if self.life is not None:
            return
        self.lives += 1
        self.life = life = Life(self.world.loop, self.name)
        bus = SimulatedBus(Link(self.host, life), self.world.pulls)

        def done(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if not life.alive:
                return
            if error is not None:
                # Whatever ends a service that nobody killed is a finding.
                self.world.fail(f"{self.name} ended", error)
            self.kill()
            self.on_exit()

        life.spawn(self.main(bus)).add_done_callback(done, context=self.world.network.outside)

    def kill(self) -> None:
        """End it at once, without a word."""
        life, self.life, self.service = self.life, None, None
        if life is not None:
            if self.host.link is not None:
                self.host.link.close()
            life.kill()

    def pause(self, seconds: float) -> None:
        """Stand still (SIGSTOP, a laptop's lid). Both clocks go on."""
        life = self.life
        if life is None or life.paused:
            return
        life.paused = True

        def wake() -> None:
            if life is self.life:
                life.resume(timers_first=self.world.rng.random() < 0.5)

        self.world.network.later(seconds, wake)

    def tell(self, action: Callable[..., object], *args: Any) -> None:
        """Have something done in this life, or when it wakes; not at all if it is dead."""
        if self.life is not None:
            self.life.soon(action, *args)
