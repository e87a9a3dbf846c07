"""What a job is expected to take where it runs, as a bid said it: measured on jobs of its size. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.commands import BidPlaced
from pocket3d.contracts.size_classes import in_words, known_class


class Expected(NamedTuple):
    """Seconds of the run and MB at its peak; None where none was measured."""

    run_s: float | None = None
    mb: int | None = None

    @staticmethod
    def by(bid: BidPlaced) -> Expected:
        """What a bid says."""
        return Expected(bid.expected_run_s, bid.expected_mb)

    def told(self, size_class: str | None) -> str:
        """In words, to be put behind a summary; empty where nothing was measured."""
        parts = [] if self.run_s is None else [f"about {self.run_s:.1f} s"]
        parts += [] if self.mb is None else [f"up to {self.mb} MB"]
        of = "" if known_class(size_class) is None or size_class is None else f" of {in_words(size_class)}"
        return f"; runs{of} took {' and '.join(parts)} there" if parts else ""


UNMEASURED = Expected()
