"""A simulated operating-system process with one connection: it can pause, die, and lose its link."""

from __future__ import annotations

import random
from collections.abc import Callable

from pocket3d.contracts.clock import Now

from .clock import Timer, VirtualClock

#: Unix seconds at virtual 0.
WALL_AT_START = 1_795_000_000.0


class Process:
    """Runs actions on its own thread of time. Whatever was asked for by a former life of it is dropped.

    Args:
        name: for the story.
        clock: virtual time.
        rng: chance.
    """

    def __init__(self, name: str, clock: VirtualClock, rng: random.Random) -> None:
        self.name = name
        self.clock = clock
        self.rng = rng
        self.alive = True
        self.life = 0
        #: Virtual seconds until which it stands still.
        self.paused_until = 0.0
        #: What its client library believes of the connection.
        self.connected = True
        #: What the network really does.
        self.cut_until = 0.0
        #: Added to the wall clock.
        self.wall_offset = 0.0
        self.mono_offset = rng.uniform(0.0, 1e6)
        self._waiting: list[tuple[bool, Callable[[], object]]] = []

    @property
    def now(self) -> Now:
        """Its own clocks."""
        return Now(self.clock.now + self.mono_offset, WALL_AT_START + self.clock.now + self.wall_offset)

    @property
    def paused(self) -> bool:
        """True while it stands still."""
        return self.clock.now < self.paused_until

    @property
    def reachable(self) -> bool:
        """True while packets get through (they may wait for a paused process)."""
        return self.alive and self.clock.now >= self.cut_until

    def post(self, action: Callable[[], object], *, timer: bool = False) -> None:
        """Do something in this process now, or when it wakes; not at all in another life."""
        life = self.life
        if not self.alive:
            return
        if self.paused or self._waiting:
            self._waiting.append((timer, self._of(life, action)))
            return
        action()

    def _of(self, life: int, action: Callable[[], object]) -> Callable[[], object]:
        def checked() -> None:
            if self.alive and self.life == life:
                action()

        return checked

    def later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """A timer of this process."""
        life = self.life

        def due() -> None:
            if self.alive and self.life == life:
                self.post(action, timer=True)

        return self.clock.later(seconds, due)

    def every(self, seconds: float, action: Callable[[], object]) -> None:
        """Again and again, from now on."""

        def again() -> None:
            action()
            self.later(seconds, again)

        self.later(0.0, again)

    def pause(self, seconds: float) -> None:
        """Stand still (SIGSTOP, a laptop's lid). Both clocks go on."""
        if not self.alive or self.paused:
            return
        self.paused_until = self.clock.now + seconds
        self.clock.later(seconds, self._wake)

    def _wake(self) -> None:
        if self.paused:
            return
        # An event loop looks at its sockets before its timers, but what a socket brought may take a turn more.
        timers_first = self.rng.random() < 0.5
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            waiting.sort(key=lambda each: each[0] != timers_first)
            for _, action in waiting:
                action()

    def crash(self) -> None:
        """End at once, without a word."""
        self.alive = False
        self.life += 1
        self._waiting = []
        self.paused_until = 0.0

    def restart(self) -> None:
        """A new life: what was waiting for the former is gone."""
        self.alive = True
        self.life += 1
        self.connected = True
