"""A simulated operating-system process: it runs one service, and can pause, die and start again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from pocket3d.bus.memory.server import MemoryServer
from pocket3d.contracts.clock import Now

from .bus import SimulatedBus
from .loop import Life
from .network import Host, Link, Network
from .pulls import Pulls

#: Unix seconds at virtual 0.
WALL_AT_START = 1_795_000_000.0


class ServerClock:
    """The memory server's clock: virtual time, outside of every process."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def time(self) -> float:
        """Unix seconds."""
        return WALL_AT_START + self._network.loop.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back when that time has come."""
        return self._network.later(when - self.time(), callback)


class Process:
    """One process through all its lives.

    Args:
        name: for the story.
        network: where it runs.
        server: to which it is connected.
        pulls: of that server.
        failed: called with what ended a life that nobody killed.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        server: MemoryServer,
        pulls: Pulls,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self.name = name
        self.host = Host(network, name)
        self.lives = 0
        self.life: Life | None = None
        self._network = network
        self._server = server
        self._pulls = pulls
        self._failed = failed
        self._link: Link | None = None
        #: Added to the wall clock.
        self.wall_offset = 0.0
        self._mono_offset = network.rng.uniform(0.0, 1e6)

    @property
    def rng(self) -> random.Random:
        """Chance."""
        return self._network.rng

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
        at = self._network.loop.time()
        return Now(at + self._mono_offset, WALL_AT_START + at + self.wall_offset)

    def start(self, main: Callable[[SimulatedBus], Coroutine[Any, Any, None]], ended: Callable[[], None]) -> Life:
        """Begin a life.

        Args:
            main: what it does, over a connection of its own.
            ended: called when it has ended by its own doing.
        """
        self.lives += 1
        life = Life(self._network.loop, self.name)
        self.life = life
        self._link = link = Link(self.host, life)

        def done(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if not life.alive:
                return
            if error is not None:
                # Whatever ends a service that nobody killed is a finding.
                self._failed(self.name, error)
            self.kill()
            ended()

        life.spawn(main(SimulatedBus(self._server, link, self._pulls))).add_done_callback(
            done, context=self._network.outside
        )
        return life

    def kill(self) -> None:
        """End it at once, without a word."""
        life, self.life = self.life, None
        if life is None:
            return
        if self._link is not None:
            self._link.close()
        life.kill()

    def pause(self, seconds: float) -> None:
        """Stand still (SIGSTOP, a laptop's lid). Both clocks go on."""
        life = self.life
        if life is None or life.paused:
            return
        life.pause()

        def wake() -> None:
            if life is self.life:
                life.resume(timers_first=self.rng.random() < 0.5)

        self._network.later(seconds, wake)

    def tell(self, action: Callable[..., object], *args: Any) -> None:
        """Have something done in this life, or when it wakes; not at all if it is dead."""
        if self.life is not None:
            self.life.soon(action, *args)
