"""Which rows of the transition tables a run takes: coordinator's jobs, agent's runs and workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import lifecycle as job_lifecycle
from pocket3d.gpu_agents.engine import lifecycle as agent_lifecycle
from pocket3d.gpu_agents.engine.lifecycle import RunState, WorkerState

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
