"""The life of a job in the engine, as a table. A move that is not in it raises, with the job's history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocket3d.contracts.lifecycle import InvalidTransition, JobState

S = JobState

#: (from, to) -> what makes it happen. The README draws the same names.
TRANSITIONS: dict[tuple[JobState, JobState], str] = {
    (S.SUBMITTED, S.QUEUED): "its queued event was stored",
    (S.SUBMITTED, S.RECOVERING): "its id is known to the events stream",
    (S.SUBMITTED, S.FINISHING): "it was cancelled before its event was stored",
    (S.RECOVERING, S.QUEUED): "its last event says that it waited, or its agent no longer has it",
    (S.RECOVERING, S.RUNNING): "an agent says that it runs it",
    (S.RECOVERING, S.FINISHING): "it is a bad request whose result is not stored yet, or it was cancelled",
    (S.RECOVERING, S.FINISHED): "its result is stored",
    (S.QUEUED, S.AWARDED): "a round awarded it",
    (S.QUEUED, S.RUNNING): "an agent turns out to run it",
    (S.QUEUED, S.FINISHING): "rejected, cancelled, or past its schedule-to-start limit",
    (S.QUEUED, S.FINISHED): "a late result of an earlier attempt was stored",
    (S.AWARDED, S.QUEUED): "declined, handed back, failed early, or its agent was lost",
    (S.AWARDED, S.RUNNING): "its agent started it",
    (S.AWARDED, S.FINISHING): "cancelled, or failed for good before it started",
    (S.AWARDED, S.FINISHED): "its result came before the word that it started",
    (S.RUNNING, S.QUEUED): "the attempt failed and may be repeated, or was handed back",
    (S.RUNNING, S.FINISHING): "failed for good, or cancelled",
    (S.RUNNING, S.FINISHED): "its result is stored",
    (S.FINISHING, S.FINISHED): "the results stream holds its result",
}

#: Called with every move of every job: tests and the simulation count which rows are taken.
observers: list[Callable[[JobState, JobState], None]] = []


def check_transition(job_id: str, start: JobState, end: JobState, history: Sequence[str]) -> None:
    """A job makes a move.

    Raises:
        InvalidTransition: the table lacks it.
    """
    if (start, end) not in TRANSITIONS:
        raise InvalidTransition(f"job {job_id}", start, end, list(history))
    for on_move in observers:
        on_move(start, end)
