"""Runs seeds and says what they showed."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pocket3d.bus.topology import coordinator_results
from pocket3d.contracts.codec import decode
from pocket3d.contracts.messages import Result

from .chaos import Chaos
from .loop import Stuck, VirtualLoop
from .oracle import violations
from .rows import Row, rows_counted
from .shapes import shape_of
from .story import logs_told
from .world import RunShape, World, describe_error

#: Agents' files lie in memory where the system has a place for that: a run makes and removes thousands of folders.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
#: Lines of a failing run's story that are told.
_LINES = 80


class Outcome(msgspec.Struct, kw_only=True):
    """What one run showed."""

    seed: int
    wrong: list[str] = []
    #: Virtual seconds until everything was at rest.
    seconds: float = 0.0
    #: Status -> jobs.
    results: dict[str, int] = {}
    #: Job -> the attempt whose result stands.
    attempts: dict[str, int] = {}
    #: (fault, state of a job that it struck) -> jobs.
    struck: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    #: Fault -> how often it happened.
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    rows: Counter[Row] = msgspec.field(default_factory=Counter)
    story: list[str] = []

    @property
    def repeat(self) -> str:
        """The command that shows this run again."""
        return f"python -m pocket3d.ops.simulation --seed {self.seed}"


Prepare = Callable[[World], None]


def run_seed(seed: int, shape: RunShape | None = None, prepare: Prepare | None = None) -> Outcome:
    """One run from its start to its rest. `prepare` may change the world before it begins, for scenarios."""
    shape = shape or RunShape()
    outcome = Outcome(seed=seed)
    loop = VirtualLoop()
    with tempfile.TemporaryDirectory(prefix="pocket3d-simulation-", dir=_MEMORY) as folder, rows_counted(outcome.rows):
        world = World(loop, seed, shape, Path(folder))
        Chaos(world).plan()
        if prepare is not None:
            prepare(world)
        with logs_told(world):
            try:
                try:
                    if not loop.run_until_complete(world.run()):
                        world.fail(f"not at rest: {_unfinished(world)}")
                except (Stuck, AssertionError) as error:
                    world.fail(describe_error(error))
                outcome.wrong += world.wrong or violations(world)
                outcome.seconds = loop.time()
            finally:
                loop.run_until_complete(world.close())
                loop.close()
    outcome.struck, outcome.faults = world.struck, world.faults
    results = [
        decode(Result, each.data) for each in world.server.stream(world.subjects.results_stream).messages.values()
    ]
    outcome.results = dict(Counter(result.status for result in results))
    outcome.attempts = {result.job_id: result.attempt or 0 for result in results}
    if outcome.wrong:
        outcome.story = [f"{note.at:9.3f} {note.text}" for note in list(world.story)[-_LINES:]]
    return outcome


def _unfinished(world: World) -> str:
    jobs = world.server.stream(world.subjects.jobs_stream).messages
    parts = [f"jobs stream {sorted(jobs)}"]
    leader = world.leader()
    if leader is None:
        parts.append("nobody leads")
    else:
        for record in leader.jobs:
            parts.append(f"{record.job_id} {record.state.value}: {'; '.join((record.history or [])[-4:])}")
    for agent in world.agents:
        if agent.engine is None:
            parts.append(f"{agent.process.name} is not there")
            continue
        for run in agent.engine.core.runs.values():
            steps = "; ".join(map(str, [*run.history][-3:]))
            parts.append(f"{agent.agent_id} runs {run.award.job_id} ({run.state.value}): {steps}")
    backlog = world.server.consumer(coordinator_results(world.subjects)).backlog()
    if backlog:
        parts.append(f"results not acked: {backlog}")
    return "\n  ".join(parts)


class Summary(msgspec.Struct, kw_only=True):
    """What many runs showed together."""

    runs: int = 0
    jobs: int = 0
    #: Virtual and real seconds.
    virtual_s: float = 0.0
    wall_s: float = 0.0
    results: Counter[str] = msgspec.field(default_factory=Counter)
    struck: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    rows: Counter[Row] = msgspec.field(default_factory=Counter)
    failed: list[Outcome] = []


def run_seeds(
    seeds: Sequence[int], processes: int = 1, told: Callable[[Outcome], None] = lambda outcome: None
) -> Summary:
    """Many runs, each of its seed's shape.

    Args:
        seeds: which.
        processes: how many share them.
        told: called with each outcome as it comes.
    """
    summary = Summary()
    begun = time.monotonic()
    for outcome in _outcomes(seeds, processes):
        told(outcome)
        summary.runs += 1
        summary.jobs += sum(outcome.results.values())
        summary.virtual_s += outcome.seconds
        summary.results.update(outcome.results)
        summary.struck.update(outcome.struck)
        summary.faults.update(outcome.faults)
        summary.rows.update(outcome.rows)
        if outcome.wrong:
            summary.failed.append(outcome)
    summary.wall_s = time.monotonic() - begun
    return summary


def _outcomes(seeds: Sequence[int], processes: int) -> Iterator[Outcome]:
    if processes <= 1:
        yield from map(_run_shaped, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_run_shaped, seeds, chunksize=4)


def _run_shaped(seed: int) -> Outcome:
    return run_seed(seed, shape_of(seed))
