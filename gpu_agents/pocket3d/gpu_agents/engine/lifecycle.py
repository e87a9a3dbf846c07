"""States of runs and workers, and the tables of their transitions. The README draws the same two pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import InvalidTransition


class RunState(str, Enum):
    """State of one attempt on this agent."""

    #: Taken; waits for its turn to fetch.
    ACCEPTED = "accepted"
    #: Its inputs are being fetched, while its worker starts.
    FETCHING = "fetching"
    #: Its inputs are here; it waits for its worker's model, or for the memory of evicted workers.
    LOADING = "loading"
    #: On the worker.
    RUNNING = "running"
    #: Asked to stop, by a cancel, a limit or a drain; still on the worker.
    CANCELLING = "cancelling"
    #: Its files go to the object store. It holds nothing on the device any more.
    UPLOADING = "uploading"
    #: Its result is proposed; the results stream decides.
    STORING = "storing"
    #: It ended without a result; the coordinator is being told.
    REPORTING = "reporting"
    #: Over: nothing is known of it but the answer to its award.
    DONE = "done"


#: States in which a run holds a slot and memory on its device.
ON_DEVICE = frozenset({RunState.ACCEPTED, RunState.FETCHING, RunState.LOADING, RunState.RUNNING, RunState.CANCELLING})
#: Of those, the ones in which the worker does not know of it yet.
BEFORE_RUN = frozenset({RunState.ACCEPTED, RunState.FETCHING, RunState.LOADING})

RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.ACCEPTED: frozenset({RunState.FETCHING, RunState.REPORTING}),
    RunState.FETCHING: frozenset({RunState.LOADING, RunState.RUNNING, RunState.REPORTING}),
    RunState.LOADING: frozenset({RunState.RUNNING, RunState.REPORTING}),
    RunState.RUNNING: frozenset({RunState.UPLOADING, RunState.STORING, RunState.CANCELLING, RunState.REPORTING}),
    RunState.CANCELLING: frozenset({RunState.UPLOADING, RunState.STORING, RunState.REPORTING}),
    RunState.UPLOADING: frozenset({RunState.STORING, RunState.REPORTING}),
    RunState.STORING: frozenset({RunState.DONE, RunState.REPORTING}),
    RunState.REPORTING: frozenset({RunState.DONE}),
    RunState.DONE: frozenset(),
}


class WorkerState(str, Enum):
    """State of one worker process."""

    #: Decided, its memory is claimed; waits until evicted workers are gone and their memory was seen free.
    PLANNED = "planned"
    #: The process is being started.
    STARTING = "starting"
    #: It said hello; its model is being loaded.
    LOADING = "loading"
    #: Loaded, no run.
    IDLE = "idle"
    #: Loaded, with at least one run.
    BUSY = "busy"
    #: Told to end.
    STOPPING = "stopping"
    #: The process is gone. Its claim stays in the ledger until its memory was seen free.
    EXITED = "exited"


LOADED = frozenset({WorkerState.IDLE, WorkerState.BUSY})
#: States in which a worker takes runs.
ACTIVE = frozenset({WorkerState.PLANNED, WorkerState.STARTING, WorkerState.LOADING, WorkerState.IDLE, WorkerState.BUSY})

WORKER_TRANSITIONS: dict[WorkerState, frozenset[WorkerState]] = {
    WorkerState.PLANNED: frozenset({WorkerState.STARTING, WorkerState.EXITED}),
    WorkerState.STARTING: frozenset({WorkerState.LOADING, WorkerState.STOPPING, WorkerState.EXITED}),
    WorkerState.LOADING: frozenset({WorkerState.IDLE, WorkerState.BUSY, WorkerState.STOPPING, WorkerState.EXITED}),
    WorkerState.IDLE: frozenset({WorkerState.BUSY, WorkerState.STOPPING, WorkerState.EXITED}),
    WorkerState.BUSY: frozenset({WorkerState.IDLE, WorkerState.STOPPING, WorkerState.EXITED}),
    WorkerState.STOPPING: frozenset({WorkerState.EXITED}),
    WorkerState.EXITED: frozenset(),
}


#: Told of every move of every run and worker: tests and the simulation count which rows are taken.
observers: list[Callable[[RunState | WorkerState, RunState | WorkerState], None]] = []


class Step(NamedTuple):
    """One move of a run or a worker."""

    #: Monotonic seconds.
    at: float
    #: None for a run that was just accepted.
    start: RunState | WorkerState | None
    finish: RunState | WorkerState
    why: str

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.start.value if self.start else ''}->{self.finish.value}: {self.why}"


def check_transition(
    what: object, start: RunState | WorkerState, finish: RunState | WorkerState, history: Iterable[Step]
) -> None:
    """A run or worker makes a move.

    Raises:
        InvalidTransition: its table has no such row.
    """
    if finish not in (RUN_TRANSITIONS[start] if isinstance(start, RunState) else WORKER_TRANSITIONS[start]):
        raise InvalidTransition(str(what), start, finish, [str(step) for step in history])
    for on_move in observers:
        on_move(start, finish)


def spoils_worker(code: str, unhealthy: str | None, failures_in_row: int) -> str | None:
    """Why a worker whose run ended like this should be replaced before it takes another job; None if it may stay.

    One that failed its device's proof fails whatever it is asked; after running out of memory the allocator's pool is
    in pieces; after two failures in a row something else may be wrong, and a fresh process is the cheapest cure.
    """
    if unhealthy is not None:
        return unhealthy
    if code == FailureCode.OUT_OF_MEMORY.value:
        return "it ran out of memory"
    if code == FailureCode.ADAPTER_ERROR.value and failures_in_row >= 2:
        return f"{failures_in_row} of its jobs failed in a row"
    return None
