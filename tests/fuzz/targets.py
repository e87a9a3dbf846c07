"""What is fuzzed. A target takes a source of chance and plays one case; whatever it raises is a finding."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple

from . import agent_story, coordinator_story, files, frames, messages, records, texts

#: A case that takes longer is a finding, seconds of the processor.
LIMIT_S = 10.0
#: One that has not ended by then is ended, seconds.
END_S = 60.0


class Target(NamedTuple):
    """One thing that strangers reach."""

    play: Callable[[random.Random], None]
    #: How many cases the tests play; together a minute.
    cases: int
    #: It needs trimesh and Pillow.
    heavy: bool = False


TARGETS: dict[str, Target] = {
    "message": Target(messages.message, 3000),
    "job": Target(messages.job, 3000),
    "subject": Target(messages.subject, 5000),
    "frame": Target(frames.frame, 3000),
    "parameters": Target(texts.parameters, 3000),
    "words": Target(texts.words, 1500),
    "setting": Target(texts.setting, 3000),
    "address": Target(texts.address, 800),
    "devices": Target(texts.devices, 3000),
    "models_file": Target(texts.models_file, 500),
    "coordinator": Target(coordinator_story.story, 60),
    "agent": Target(agent_story.story, 60),
    "chain": Target(records.chain, 2000),
    "story": Target(records.story, 2000),
    "mesh": Target(files.mesh, 600, heavy=True),
    "copy": Target(files.copy, 200, heavy=True),
    "archive": Target(files.archive, 400, heavy=True),
    "image": Target(files.image, 600, heavy=True),
}


class Finding(Exception):
    """A case went wrong; how to play it again."""


class _Endless(BaseException):
    """The case did not end; no handler of what is played takes it for its own."""


@contextlib.contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Raise `_Endless` in the block after so long. The timer that ran before, such as pytest's, runs on after it."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Endless(f"it did not end within {seconds:g} s")

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, end)
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - began), 0.001), every_s)


def play(name: str, seed: int, case: int) -> None:
    """One case.

    Raises:
        Finding: what it raised, or that it took too long or did not end, and the command that plays it again.
    """
    again = f'play it again: make fuzz FUZZ_ARGS="--only {name} --seed {seed} --case {case}"'
    began = time.process_time()
    try:
        with _ended_after(END_S):
            TARGETS[name].play(random.Random(f"{name} {seed} {case}"))
    except (Exception, _Endless) as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:500]}; {again}") from error
    took = time.process_time() - began
    if took > LIMIT_S:
        raise Finding(f"it took {took:.1f} s of the processor; {again}")
