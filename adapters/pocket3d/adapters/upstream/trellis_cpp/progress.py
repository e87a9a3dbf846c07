"""How far a request to `trellis-server` is, from the lines that it prints. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..http_program.model import Step

_STAGE = re.compile(r"\[(\d)/[67]\] (.+)")
_FLOW = re.compile(r"\[flow\] \[[#.]*\]\s*(\d+)/(\d+)")


class _Part(NamedTuple):
    """A part of the work: a stage, or one of its flows."""

    says: str
    #: Its share of the time, 0..1.
    start: float
    end: float


#: Seconds of each stage by upstream's profile of its goblin (docs/spec/29-perf-profile.md, 399 s in all): reading and
#: conditioning 25, structure 47, shape 28 and 166 (the second at the higher resolution), texture 91, decoding 20,
#: post-processing 24. Without the second shape flow the others have its share.
_CASCADE = {
    (1, 0): _Part("cutting the subject out", 0.0, 0.04),
    (2, 0): _Part("reading the image", 0.04, 0.06),
    (3, 0): _Part("structure", 0.06, 0.18),
    (4, 0): _Part("shape", 0.18, 0.25),
    (4, 1): _Part("fine shape", 0.25, 0.67),
    (5, 0): _Part("decoding the shape", 0.67, 0.70),
    (6, 0): _Part("colour", 0.70, 0.93),
    (7, 0): _Part("making the mesh", 0.93, 1.0),
}
_SIMPLE = {
    (1, 0): _Part("cutting the subject out", 0.0, 0.07),
    (2, 0): _Part("reading the image", 0.07, 0.11),
    (3, 0): _Part("structure", 0.11, 0.31),
    (4, 0): _Part("shape", 0.31, 0.43),
    (5, 0): _Part("decoding the shape", 0.43, 0.49),
    (6, 0): _Part("colour", 0.49, 0.87),
    (7, 0): _Part("making the mesh", 0.87, 1.0),
}


class Progress:
    """Reads the lines of one request. `cascade` is true above a resolution of 512."""

    def __init__(self, *, cascade: bool) -> None:
        self._parts = _CASCADE if cascade else _SIMPLE
        self._stage = self._flow = 0
        #: The flow of this stage has begun.
        self._flowing = False
        self._reached = 0.0

    def __call__(self, line: str) -> Step | None:
        """The step that a line tells of; None where it tells of none."""
        stage = _STAGE.match(line.strip())
        if stage is not None:
            self._stage, self._flow, self._flowing = int(stage[1]), 0, False
            return self._step(0.0, None)
        flow = _FLOW.search(line)
        if flow is None or self._stage == 0:
            return None
        done, total = int(flow[1]), int(flow[2])
        if done == 0 and self._flowing:
            self._flow += 1
        self._flowing = True
        return self._step(done / total if total else 0.0, f"step {done} of {total}")

    def _step(self, share: float, message: str | None) -> Step | None:
        part = self._parts.get((self._stage, self._flow))
        if part is None:
            return None
        # Never back: a stage that upstream repeats (a smaller grid) has been counted.
        self._reached = max(self._reached, part.start + (part.end - part.start) * min(share, 1.0))
        return Step(self._reached, part.says, message)
