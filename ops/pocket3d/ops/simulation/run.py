"""Runs seeds and says in words what they showed."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pocket3d.bus.port import Refused
from pocket3d.bus.topology import coordinator_results
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import lifecycle as job_lifecycle
from pocket3d.gpu_agents.engine import lifecycle as agent_lifecycle
from pocket3d.gpu_agents.engine.lifecycle import RunState, WorkerState

from .chaos import Chaos
from .leftovers import chains_without_end, orphans, stories_without_end
from .loop import Stuck, VirtualLoop
from .oracle import results_of, violations
from .shapes import RunShape, shape_of
from .world import World

#: Agents' files lie in memory where the system has a place for that: a run makes and removes thousands of folders.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
#: Lines of a failing run's story that are told.
_LINES = 80


#: (table, from, to)
Row = tuple[str, str, str]


def all_rows() -> set[Row]:
    """Every row of the three tables."""
    runs, workers = agent_lifecycle.RUN_TRANSITIONS, agent_lifecycle.WORKER_TRANSITIONS
    rows = {("job", start.value, finish.value) for start, finish in job_lifecycle.TRANSITIONS}
    rows |= {("run", start.value, finish.value) for start, ends in runs.items() for finish in ends}
    rows |= {("worker", start.value, finish.value) for start, ends in workers.items() for finish in ends}
    return rows


@contextmanager
def rows_counted(counts: Counter[Row]) -> Iterator[None]:
    """Count every move of every record while the context lasts."""

    def job_moved(start: JobState, end: JobState) -> None:
        counts["job", start.value, end.value] += 1

    def agent_moved(start: RunState | WorkerState, end: RunState | WorkerState) -> None:
        counts["run" if isinstance(start, RunState) else "worker", start.value, end.value] += 1

    job_lifecycle.observers.append(job_moved)
    agent_lifecycle.observers.append(agent_moved)
    try:
        yield
    finally:
        job_lifecycle.observers.remove(job_moved)
        agent_lifecycle.observers.remove(agent_moved)


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


def run_seed(seed: int, shape: RunShape, prepare: Callable[[World], None] = lambda world: None) -> Outcome:
    """One run from its start to its rest. `prepare` may change the world before it begins, for scenarios."""
    outcome = Outcome(seed=seed)
    loop = VirtualLoop()
    with tempfile.TemporaryDirectory(prefix="pocket3d-simulation-", dir=_MEMORY) as folder, rows_counted(outcome.rows):
        world = World(loop, seed, shape, Path(folder))
        Chaos(world).plan()
        prepare(world)
        with world.logs_told():
            try:
                try:
                    if not loop.run_until_complete(world.run()):
                        world.fail(f"not at rest: {_unfinished(world)}")
                except (Stuck, AssertionError) as error:
                    world.fail("the run ended", error)
                outcome.wrong += world.wrong or violations(world)
                outcome.seconds = loop.time()
            finally:
                loop.run_until_complete(world.close())
                loop.close()
    outcome.struck, outcome.faults = world.struck, world.faults
    results = [result for of_job in results_of(world).values() for result in of_job]
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
    for record in leader.jobs if leader is not None else []:
        parts.append(f"{record.job_id} {record.state.value}: {'; '.join((record.history or [])[-4:])}")
    for agent in world.agents:
        if agent.engine is None:
            parts.append(f"{agent.name} is not there")
            continue
        for run in agent.engine.core.runs.values():
            steps = "; ".join(map(str, [*run.history][-3:]))
            parts.append(f"{agent.agent_id} runs {run.award.job_id} ({run.state.value}): {steps}")
    parts += orphans(world.server, world.subjects)
    held = leader.chains if leader is not None else {}
    for key in chains_without_end(world.server, world.subjects):
        where = [f"{step.job_id} {step.state.value}" for step in held[key].steps] if key in held else ["not held"]
        parts.append(f"{key.kind} {key.name} has not ended: {', '.join(where)}")
    parts += [f"the story of {job_id} has no end" for job_id in stories_without_end(world.server, world.subjects)]
    try:
        parts.append(f"results not acked: {world.server.consumer(coordinator_results(world.subjects)).backlog()}")
    except Refused as error:
        parts.append(str(error))
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


def run_seeds(seeds: Sequence[int], processes: int = 1, tell: Callable[[str], None] = lambda text: None) -> Summary:
    """Many runs, each of its seed's shape. `tell` is called with the words on each failure as it comes."""
    summary = Summary()
    begun = time.monotonic()
    for outcome in _outcomes(seeds, processes):
        summary.runs += 1
        summary.jobs += sum(outcome.results.values())
        summary.virtual_s += outcome.seconds
        for name in ("results", "struck", "faults", "rows"):
            getattr(summary, name).update(getattr(outcome, name))
        if outcome.wrong:
            summary.failed.append(outcome)
            tell(describe_failure(outcome))
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


def describe_failure(outcome: Outcome) -> str:
    """What went wrong in a run, its last faults, and how to repeat it."""
    wrong = "\n".join(f"  {each}" for each in outcome.wrong)
    story = "\n".join(f"  {line}" for line in outcome.story)
    repeat = f"python -m pocket3d.ops.simulation --seed {outcome.seed}"
    return f"seed {outcome.seed} fails:\n{wrong}\nits story:\n{story}\nrepeat it: {repeat}"


def describe(summary: Summary) -> str:
    """Results, faults by the state of the jobs that they struck, and the tables' rows."""
    lines = [
        f"{summary.runs} seeds, {summary.jobs} jobs: {_pairs(summary.results)}; {len(summary.failed)} seeds failed",
        f"{summary.virtual_s / 3600:.1f} virtual hours in {summary.wall_s:.0f} s",
        f"faults: {_pairs(summary.faults)}",
        "faults and the states of the jobs that they struck:",
    ]
    for kind in sorted({kind for kind, _ in summary.struck}):
        states = Counter({state: n for (k, state), n in summary.struck.items() if k == kind})
        lines.append(f"  {kind}: {_pairs(states)}")
    lines.append("rows of the tables:")
    for table, start, finish in sorted(all_rows()):
        lines.append(f"  {table}: {start} -> {finish}: {summary.rows[table, start, finish]}")
    missing = untaken(summary)
    lines.append(f"rows never taken: {', '.join(' '.join(row) for row in missing) or 'none'}")
    return "\n".join(lines)


def untaken(summary: Summary) -> list[Row]:
    """Rows of the tables that no run took."""
    return sorted(all_rows() - {row for row, count in summary.rows.items() if count})


def _pairs(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
