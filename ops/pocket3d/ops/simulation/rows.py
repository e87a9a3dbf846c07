"""Which rows of the transition tables a run takes: coordinator's jobs, agent's runs and workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator import records
from pocket3d.coordinator.lifecycle import TRANSITIONS
from pocket3d.gpu_agents.engine_records import Run, Worker
from pocket3d.gpu_agents.lifecycle import RUN_TRANSITIONS, WORKER_TRANSITIONS, RunState, WorkerState

#: (table, from, to)
Row = tuple[str, str, str]


def all_rows() -> set[Row]:
    """Every row of the three tables."""
    rows = {("job", start.value, finish.value) for start, finish in TRANSITIONS}
    rows |= {("run", start.value, finish.value) for start, ends in RUN_TRANSITIONS.items() for finish in ends}
    rows |= {("worker", start.value, finish.value) for start, ends in WORKER_TRANSITIONS.items() for finish in ends}
    return rows


@contextmanager
def rows_counted(counts: Counter[Row]) -> Iterator[None]:
    """Count every move of every record while the context lasts. The engines themselves know nothing of it."""
    check, run_move, worker_move = records.check_transition, Run.move, Worker.move  # type: ignore[attr-defined]

    def checked(job_id: str, start: JobState, end: JobState, story: list[str]) -> None:
        check(job_id, start, end, story)
        counts["job", start.value, end.value] += 1

    def move_run(self: Run, state: RunState, why: str, now_mono: float) -> None:
        start = self.state
        run_move(self, state, why, now_mono)
        counts["run", start.value, state.value] += 1

    def move_worker(self: Worker, state: WorkerState, why: str, now_mono: float) -> None:
        start = self.state
        worker_move(self, state, why, now_mono)
        counts["worker", start.value, state.value] += 1

    records.check_transition = checked  # type: ignore[attr-defined]
    Run.move, Worker.move = move_run, move_worker  # type: ignore[method-assign]
    try:
        yield
    finally:
        records.check_transition = check  # type: ignore[attr-defined]
        Run.move, Worker.move = run_move, worker_move  # type: ignore[method-assign]
