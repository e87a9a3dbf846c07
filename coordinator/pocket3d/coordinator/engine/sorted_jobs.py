"""Jobs by their sequence in the jobs stream: added and taken out anywhere, and walked from any place down. Pure.

A sorted list in blocks: at 200,000 jobs a plain one would move a megabyte for each that leaves it at the old end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

#: Blocks are halved at twice this size.
_BLOCK = 512


class Sequenced(Protocol):
    """A job with its sequence in the jobs stream."""

    @property
    def seq(self) -> int:
        """Unique among those of one list."""


J = TypeVar("J", bound=Sequenced)
_seq = attrgetter("seq")


class SortedJobs(Generic[J]):
    """At most one job for each sequence; a pointer each."""

    def __init__(self) -> None:
        self._blocks: list[list[J]] = []
        #: The last sequence of each block.
        self._lasts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, seq: int) -> J | None:
        """The job with that sequence."""
        at = bisect_left(self._lasts, seq)
        if at == len(self._blocks):
            return None
        block = self._blocks[at]
        job = block[bisect_left(block, seq, key=_seq)]
        return job if job.seq == seq else None

    def add(self, job: J) -> None:
        """Add a job; it takes the place of one with the same sequence."""
        self.remove(job.seq)
        self._count += 1
        if not self._blocks:
            self._blocks.append([job])
            self._lasts.append(job.seq)
            return
        at = min(bisect_left(self._lasts, job.seq), len(self._blocks) - 1)
        block = self._blocks[at]
        block.insert(bisect_left(block, job.seq, key=_seq), job)
        self._lasts[at] = block[-1].seq
        if len(block) > 2 * _BLOCK:
            self._blocks.insert(at, block[:_BLOCK])
            self._lasts.insert(at, block[_BLOCK - 1].seq)
            del block[:_BLOCK]

    def remove(self, seq: int) -> None:
        """Take out the job with that sequence; nothing if there is none."""
        at = bisect_left(self._lasts, seq)
        if at == len(self._blocks):
            return
        block = self._blocks[at]
        place = bisect_left(block, seq, key=_seq)
        if block[place].seq != seq:
            return
        del block[place]
        self._count -= 1
        if block:
            self._lasts[at] = block[-1].seq
        else:
            del self._blocks[at], self._lasts[at]

    def down_from(self, seq: int | None) -> Iterator[J]:
        """Jobs with a sequence below that one (None: all), the highest first. Nothing may change meanwhile."""
        at = len(self._blocks) - 1 if seq is None else min(bisect_left(self._lasts, seq), len(self._blocks) - 1)
        for number in range(at, -1, -1):
            block = self._blocks[number]
            end = len(block) if seq is None or number < at else bisect_left(block, seq, key=_seq)
            for place in range(end - 1, -1, -1):
                yield block[place]
