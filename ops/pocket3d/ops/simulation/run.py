"""Runs seeds and says what they showed."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from pocket3d.coordinator.lifecycle import InvalidTransition as JobMisstep
from pocket3d.gpu_agents.ledger import LedgerError
from pocket3d.gpu_agents.lifecycle import InvalidTransition as AgentMisstep

from .oracle import violations
from .rows import Row, rows_counted
from .world import RunShape, World

#: Lines of a failing run's story that are told.
_LINES = 60


class Outcome(msgspec.Struct, kw_only=True):
    """What one run showed."""

    seed: int
    wrong: list[str] = []
    #: Virtual seconds until everything was at rest.
    seconds: float = 0.0
    #: Status -> jobs.
    results: dict[str, int] = {}
    attempts: dict[str, int] = {}
    struck: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    rows: Counter[Row] = msgspec.field(default_factory=Counter)
    story: list[str] = []

    @property
    def repeat(self) -> str:
        """The command that shows this run again."""
        return f"python -m pocket3d.ops.simulation --seed {self.seed}"


def run_seed(seed: int, shape: RunShape | None = None, prepare: Callable[[World], None] | None = None) -> Outcome:
    """One run from its start to its rest. `prepare` may change the world before it begins, for scenarios."""
    shape = shape or RunShape()
    outcome = Outcome(seed=seed)
    with rows_counted(outcome.rows):
        world = World(seed, shape)
        if prepare is not None:
            prepare(world)
        try:
            world.start()
            until = max(shape.faults.until_s, shape.publish_over_s) + shape.rest_s
            rested = world.clock.run(until, world.at_rest)
            if not rested:
                outcome.wrong.append(f"not at rest after {until:g} s: {_unfinished(world)}")
            outcome.wrong += violations(world)
        except (AssertionError, JobMisstep, AgentMisstep, LedgerError) as error:
            frames = "".join(traceback.format_exception(error)[-6:])
            outcome.wrong.append(f"at {world.clock.now:.3f} s: {type(error).__name__}: {error}\n{frames}")
    outcome.seconds = world.clock.now
    outcome.struck = world.struck
    outcome.results = dict(Counter(s.result.status for s in world.server.results.values()))
    outcome.attempts = {s.result.job_id: s.result.attempt for s in world.server.results.values()}
    if outcome.wrong:
        outcome.story = [f"{note.at:9.3f} {note.text}" for note in world.clock.notes[-_LINES:]]
    return outcome


def _unfinished(world: World) -> str:
    parts = [f"jobs stream {sorted((j.seq, j.job_id) for j in world.server.jobs.values())}"]
    reign = world.leader()
    if reign is None:
        parts.append("nobody leads")
    else:
        for record in reign.engine.core.jobs.values():
            story = record.story or []
            parts.append(f"{record.job_id} {record.state.value}: {'; '.join(story[-4:])}")
    for agent in world.agents:
        if agent.engine is None or not agent.process.alive:
            parts.append(f"{agent.process.name} is not there")
            continue
        for run in agent.engine.core.runs.values():
            parts.append(f"{agent.agent_id} runs {run.award.job_id} ({run.state.value}): {'; '.join(run.story[-3:])}")
    if world.server.results_consumer.unacked():
        parts.append(f"results not acked: {world.server.results_consumer.unacked()}")
    return "\n  ".join(parts)


class Summary(msgspec.Struct, kw_only=True):
    """What many runs showed together."""

    runs: int = 0
    jobs: int = 0
    results: Counter[str] = msgspec.field(default_factory=Counter)
    struck: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    rows: Counter[Row] = msgspec.field(default_factory=Counter)
    failed: list[Outcome] = []


def run_seeds(seeds: Iterable[int], shape_of: Callable[[int], RunShape]) -> Summary:
    """Many runs."""
    summary = Summary()
    for seed in seeds:
        outcome = run_seed(seed, shape_of(seed))
        summary.runs += 1
        summary.jobs += sum(outcome.results.values())
        summary.results.update(outcome.results)
        summary.struck.update(outcome.struck)
        summary.rows.update(outcome.rows)
        if outcome.wrong:
            summary.failed.append(outcome)
    return summary
