"""Reports how far a request is: each stage has a share of the whole, and a cancel takes effect at each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

#: Takes (fraction of the whole or None, stage, message); raises to end the request.
Report = Callable[["float | None", str, "str | None"], None]


class Stage(NamedTuple):
    """One stage's share of the whole."""

    report: Report
    name: str
    start: float
    end: float

    def __call__(self, done: int, total: int | None = None, message: str | None = None) -> None:
        """Report steps done of steps in all; without the latter the fraction is unknown (at 0: that of the start)."""
        if total is None:
            self.report(None if done else self.start, self.name, message)
            return
        share = min(1.0, done / total) if total > 0 else 1.0
        self.report(self.start + (self.end - self.start) * share, self.name, message or f"step {done} of {total}")

    def part(self, name: str, start: float, end: float) -> Stage:
        """A stage within this one; `start` and `end` are shares of it."""
        width = self.end - self.start
        return Stage(self.report, name, self.start + width * start, self.start + width * end)
