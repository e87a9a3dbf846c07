"""Records of workers, runs and devices. Runs and workers move by the tables of `lifecycle`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pocket3d.contracts.commands import Award
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.messages import Artifact, Progress
from pocket3d.contracts.variants import label
from pocket3d.contracts.worker_frames import OutputFile

from ..devices.health import DeviceHealth
from ..devices.spec import DeviceSpec
from ..placement.ledger import DeviceLedger
from .effects import HowToStop, StoreResult
from .lifecycle import ACTIVE, LOADED, ON_DEVICE, RunState, Step, WorkerState, check_transition

#: Steps that are kept.
_HISTORY = 24
#: Seconds until the way to the stores is looked at again after a refusal.
FIRST_AFTER_REFUSAL_S = 60.0


class Shut(NamedTuple):
    """Why a device takes no job."""

    code: DeclineCode
    reason: str


class StopReason(NamedTuple):
    """The failure that a run will report which was asked to stop."""

    #: A `FailureCode`: `cancelled`, `timeout` or `handed_back`.
    code: str
    message: str


def _postpone(record: Worker | Run, pause_s: float, *limits: str) -> None:
    for name in limits:
        at = getattr(record, name)
        if at is not None:
            setattr(record, name, at + pause_s)


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process, from its plan to its end. Times are monotonic seconds."""

    worker_id: str
    adapter_id: str
    device: str
    #: Runs at a time.
    capacity: int
    #: MB promised to it, without its runs' extras.
    resident_mb: int
    #: Of the adapter, None if it has none.
    variant: str | None = None
    state: WorkerState = WorkerState.PLANNED
    pid: int | None = None
    #: Token -> run that holds one of its slots.
    runs: dict[str, Run] = field(default_factory=dict)
    load_started: float | None = None
    idle_since: float | None = None
    #: Most that the probe saw of it since it was last idle, MB.
    peak_mb: int = 0
    #: MB of the host's memory that it said it held after its last run; None if it cannot tell.
    held_mb: int | None = None
    #: How large the files of that run were; None without files, or if not known.
    ran_class: str | None = None
    #: An operator wants it warm: it does not end for being idle.
    pinned: bool = False
    #: It ends as soon as it is idle.
    unwanted: bool = False
    #: Why it takes no other run: one of its runs may have spoiled it. None while it is sound.
    spoiled: str | None = None
    failures_in_row: int = 0
    #: A plan is given up then.
    room_deadline: float | None = None
    stop_how: HowToStop | None = None
    stop_why: str = ""
    stop_deadline: float | None = None
    history: deque[Step] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def __str__(self) -> str:
        return f"worker {self.worker_id} ({label(self.adapter_id, self.variant)} on {self.device})"

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What is learned of it is kept under this."""
        return self.adapter_id, self.device, self.variant

    @property
    def active(self) -> bool:
        """True while the worker takes runs."""
        return self.state in ACTIVE

    @property
    def free_slots(self) -> int:
        """How many runs the worker could take now; 0 if it is to end after the ones it has."""
        return 0 if self.unwanted or self.spoiled is not None else self.capacity - len(self.runs)

    @property
    def loaded(self) -> bool:
        """True while its model is loaded and it is not told to end."""
        return self.state in LOADED

    def move(self, state: WorkerState, why: str, now_mono: float) -> None:
        """Move to another state.

        Raises:
            InvalidTransition: the table has no such row.
        """
        check_transition(self, self.state, state, self.history)
        self.history.append(Step(now_mono, self.state, state, why))
        self.state = state

    def postpone(self, pause_s: float) -> None:
        """Shift every limit by the length of a pause of the process, in seconds. What is learned of loads is the time
        it took to load, so that begins later too.
        """
        _postpone(self, pause_s, "room_deadline", "stop_deadline", "idle_since", "load_started")


@dataclass(slots=True, eq=False)
class Run:
    """One attempt at one job, from its award until it is decided. Times are monotonic seconds."""

    award: Award
    #: The worker whose slot it holds, or held.
    worker: Worker
    need_mb: int
    accepted_at: float
    #: Unix time.
    accepted_wall: float
    #: Every step of every run is added to it.
    moves: list[tuple[Run, Step]]
    #: Of the award.
    token: str = field(init=False)
    #: MB that it claims beyond the worker's own.
    extra_mb: int = field(init=False)
    state: RunState = RunState.ACCEPTED
    #: No other run has shared its worker so far: what is measured of the worker is this run's.
    alone: bool = True
    #: Runs of other jobs that its worker took with it when it ended.
    beside: int = 0
    fetched: bool = False
    inputs: dict[str, Any] = field(default_factory=dict)
    job_dir: str = ""
    output_dir: str = ""
    run_started: float | None = None
    stop_reason: StopReason | None = None
    #: With which `FailureCode` it ended, if it ended without a result.
    end_code: str | None = None
    #: It ran out of memory, and a device with more room may help.
    more_room: bool = True
    #: Its result is the job's.
    won: bool = False
    fetch_deadline: float | None = None
    load_deadline: float | None = None
    #: Set while its extra memory is being freed by evictions.
    room_deadline: float | None = None
    close_deadline: float | None = None
    grace_deadline: float | None = None
    upload_deadline: float | None = None
    #: Why its files were not stored at the last try.
    upload_failure: str = ""
    #: Its place among those that wait to fetch, then to store: the least is next.
    turn: float = field(init=False)
    #: The last upload or store failed: again then.
    retry_at: float | None = None
    store_tries: int = 0
    #: The next step is to read the result back, not to store it.
    reading_back: bool = False
    #: Code and message with which it fails if the read-back finds no result: it cannot be stored.
    refusal: tuple[str, str] | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    files: tuple[OutputFile, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    result: StoreResult | None = None
    load_s: float = 0.0
    run_s: float | None = None
    #: On the CPU lane, of the host's memory.
    vram_peak_mb: int | None = None
    #: How large its files are, as they were fetched; before, as its award says. None without files, or if not known.
    size_class: str | None = field(init=False)
    #: Progress held back until `progress_at`.
    progress: Progress | None = None
    progress_at: float = float("-inf")
    history: deque[Step] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def __post_init__(self) -> None:
        self.token = self.award.token
        self.size_class = self.award.size_class
        self.extra_mb = max(0, self.need_mb - self.worker.resident_mb)
        self.moves.append((self, Step(self.accepted_at, None, self.state, "awarded")))

    def __str__(self) -> str:
        return f"run {self.token} of job {self.award.job_id}"

    @property
    def on_device(self) -> bool:
        """True while the run holds a slot and memory on its device."""
        return self.state in ON_DEVICE

    def move(self, state: RunState, why: str, now_mono: float) -> None:
        """Move to another state.

        Raises:
            InvalidTransition: the table has no such row.
        """
        check_transition(self, self.state, state, self.history)
        step = Step(now_mono, self.state, state, why)
        self.history.append(step)
        self.moves.append((self, step))
        self.state = state

    def postpone(self, pause_s: float) -> None:
        """Shift every limit by the length of a pause of the process, in seconds."""
        _postpone(self, pause_s, "fetch_deadline", "load_deadline", "room_deadline", "close_deadline")
        _postpone(self, pause_s, "grace_deadline", "upload_deadline", "run_started")


@dataclass(slots=True, eq=False)
class DeviceRecord:
    """One device: its ledger, and the workers that have not exited."""

    spec: DeviceSpec
    ledger: DeviceLedger
    health: DeviceHealth
    workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def running(self) -> int:
        """Runs that hold a slot, all adapters together."""
        return sum(len(worker.runs) for worker in self.workers.values())

    def shut(self, now_mono: float) -> Shut | None:
        """Why the device takes no job now, however much room it has; None if it may."""
        unavailable = self.ledger.unavailable(now_mono)
        if unavailable is not None:
            return Shut(DeclineCode.NO_DEVICE, unavailable)
        quarantine = self.health.quarantine(self.running, now_mono)
        return None if quarantine is None else Shut(DeclineCode.QUARANTINED, quarantine)

    def worker_for(self, adapter_id: str, variant: str | None = None) -> Worker | None:
        """The one worker of an adapter, in one of its variants if it has any, that takes runs."""
        wanted = adapter_id, variant
        return next((w for w in self.workers.values() if (w.adapter_id, w.variant) == wanted and w.active), None)


@dataclass(slots=True)
class StorageState:
    """What is known of the way to the results and the outputs. Times are monotonic seconds."""

    #: It was looked at in this life of the agent. Before, nothing is advertised.
    checked: bool = False
    checking: bool = False
    #: When it is looked at next.
    check_at: float | None = None
    #: Why nothing can be stored. No job is taken then.
    problem: str | None = None
    #: Pauses before the next looks: after one that failed, and after a refusal of what a run has made.
    pause_s: float = 0.5
    refusal_pause_s: float = FIRST_AFTER_REFUSAL_S
    #: Since when storing fails, with nothing stored in between, and why it failed last.
    failing_since: float | None = None
    failure: str = ""
    #: That was told.
    told: bool = False
    #: More finished runs wait to be stored than the agent lets wait. No job is taken then.
    full: bool = False
