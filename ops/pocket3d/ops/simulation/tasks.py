"""Coroutines of virtual time: generators that yield what they wait for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from .process import Process

#: Begins something and calls back with what came of it.
Wait = Callable[[Callable[[Any], None]], object]
Work = Generator[Wait, Any, None]


def sleep(process: Process, seconds: float) -> Wait:
    """Wait for time to pass in a process."""
    return lambda done: process.later(seconds, lambda: done(None))


def spawn(work: Work, wanted: Callable[[], bool] = lambda: True) -> None:
    """Run `work` until it ends, or until it is not wanted any more when it would go on."""

    def step(value: Any) -> None:
        if not wanted():
            work.close()
            return
        try:
            wait = work.send(value)
        except StopIteration:
            return
        wait(step)

    step(None)


class Turns:
    """Works that must follow one another, like commands on one subject."""

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._waiting: list[Work] = []
        self._busy = False

    def put(self, work: Work) -> None:
        """Do it when its turn comes."""
        self._waiting.append(work)
        if not self._busy:
            self._next()

    def _next(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        self._busy = True
        spawn(self._one(self._waiting.pop(0)), self._wanted)

    def _one(self, work: Work) -> Work:
        yield from work
        self._next()
