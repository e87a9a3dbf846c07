"""Records of workers, runs and devices. Runs and workers move by the tables of `lifecycle`."""

from __future__ import annotations

from typing import Any, NamedTuple

from pocket3d.contracts.commands import Award
from pocket3d.contracts.messages import Artifact, Progress
from pocket3d.contracts.worker_frames import OutputFile

from ..devices.spec import DeviceSpec
from ..placement.ledger import DeviceLedger
from .effects import HowToStop, StoreResult
from .lifecycle import ACTIVE, LOADED, ON_DEVICE, RunState, WorkerState, check_transition

#: Steps of a story that are kept.
_HISTORY = 24


class StopReason(NamedTuple):
    """The failure that a run will report which was asked to stop."""

    #: A `FailureCode`: `cancelled`, `timeout` or `handed_back`.
    code: str
    message: str


class RunMove(NamedTuple):
    """One move of a run to another state."""

    run: Run
    #: None for a run that was just accepted.
    start: RunState | None
    finish: RunState
    why: str


class Worker:
    """One worker process, from its plan to its end."""

    __slots__ = (
        "adapter_id",
        "capacity",
        "device",
        "failures_in_row",
        "history",
        "idle_since",
        "load_started",
        "loaded_at",
        "peak_mb",
        "pid",
        "pinned",
        "resident_mb",
        "room_deadline",
        "runs",
        "state",
        "stop_deadline",
        "stop_how",
        "stop_why",
        "unwanted",
        "worker_id",
    )

    def __init__(self, worker_id: str, adapter_id: str, device: str, capacity: int, resident_mb: int) -> None:
        self.worker_id = worker_id
        self.adapter_id = adapter_id
        self.device = device
        #: Runs at a time.
        self.capacity = capacity
        #: MB promised to it, without its runs' extras.
        self.resident_mb = resident_mb
        self.state = WorkerState.PLANNED
        self.pid: int | None = None
        #: Token -> run that holds one of its slots.
        self.runs: dict[str, Run] = {}
        #: Monotonic seconds.
        self.load_started: float | None = None
        self.loaded_at: float | None = None
        self.idle_since: float | None = None
        #: Most that the probe saw of it since it was last idle, MB.
        self.peak_mb = 0
        #: An operator wants it warm: it does not end for being idle.
        self.pinned = False
        #: It ends as soon as it is idle.
        self.unwanted = False
        self.failures_in_row = 0
        #: A plan is given up then.
        self.room_deadline: float | None = None
        self.stop_how: HowToStop | None = None
        self.stop_why = ""
        self.stop_deadline: float | None = None
        self.history: list[str] = []

    @property
    def active(self) -> bool:
        """True while the worker takes runs."""
        return self.state in ACTIVE

    @property
    def free_slots(self) -> int:
        """How many runs the worker could take now; 0 if it is to end after the ones it has."""
        return 0 if self.unwanted else self.capacity - len(self.runs)

    @property
    def loaded(self) -> bool:
        """True while its model is loaded and it is not told to end."""
        return self.state in LOADED

    def move(self, state: WorkerState, why: str, now_mono: float) -> None:
        """Move to another state.

        Raises:
            InvalidTransition: the table has no such row.
        """
        what = f"worker {self.worker_id} ({self.adapter_id} on {self.device})"
        check_transition(what, self.state, state, self.history)
        self.history = [*self.history[1 - _HISTORY :], f"{now_mono:.3f} {self.state.value}->{state.value}: {why}"]
        self.state = state

    def postpone(self, pause_s: float) -> None:
        """Shift every limit by the length of a pause of the process, in seconds."""
        if self.room_deadline is not None:
            self.room_deadline += pause_s
        if self.stop_deadline is not None:
            self.stop_deadline += pause_s
        if self.idle_since is not None:
            self.idle_since += pause_s
        if self.load_started is not None and self.loaded_at is None:
            # What is learned of loads is the time it took to load.
            self.load_started += pause_s


class Run:
    """One attempt at one job, from its award until it is decided."""

    __slots__ = (
        "accepted_at",
        "accepted_wall",
        "alone",
        "artifacts",
        "award",
        "close_deadline",
        "end_code",
        "extra_mb",
        "fetch_deadline",
        "fetched",
        "files",
        "grace_deadline",
        "history",
        "inputs",
        "job_dir",
        "load_deadline",
        "load_s",
        "moves",
        "need_mb",
        "output_dir",
        "outputs",
        "progress",
        "progress_at",
        "reading_back",
        "refusal",
        "result",
        "retry_at",
        "room_deadline",
        "run_s",
        "run_started",
        "state",
        "stop_reason",
        "store_tries",
        "upload_deadline",
        "vram_peak_mb",
        "won",
        "worker",
    )

    def __init__(
        self, award: Award, worker: Worker, need_mb: int, now_mono: float, now_wall: float, moves: list[RunMove]
    ) -> None:
        self.award = award
        #: Every step is added to it.
        self.moves = moves
        #: The worker whose slot it holds, or held.
        self.worker = worker
        self.need_mb = need_mb
        #: MB that it claims beyond the worker's own.
        self.extra_mb = max(0, need_mb - worker.resident_mb)
        self.state = RunState.ACCEPTED
        self.accepted_at = now_mono
        self.accepted_wall = now_wall
        #: No other run has shared its worker so far: what is measured of the worker is this run's.
        self.alone = True
        self.fetched = False
        self.inputs: dict[str, Any] = {}
        self.job_dir = ""
        self.output_dir = ""
        self.run_started: float | None = None
        self.stop_reason: StopReason | None = None
        #: With which `FailureCode` it ended, if it ended without a result.
        self.end_code: str | None = None
        #: Its result is the job's.
        self.won = False
        #: Limits, monotonic seconds.
        self.fetch_deadline: float | None = None
        self.load_deadline: float | None = None
        #: Set while its extra memory is being freed by evictions.
        self.room_deadline: float | None = None
        self.close_deadline: float | None = None
        self.grace_deadline: float | None = None
        self.upload_deadline: float | None = None
        #: The last upload or store failed: again then.
        self.retry_at: float | None = None
        self.store_tries = 0
        #: The next step is to read the result back, not to store it.
        self.reading_back = False
        #: Code and message with which it fails if the read-back finds no result: it cannot be stored.
        self.refusal: tuple[str, str] | None = None
        self.outputs: dict[str, Any] = {}
        self.files: tuple[OutputFile, ...] = ()
        self.artifacts: tuple[Artifact, ...] = ()
        self.result: StoreResult | None = None
        self.load_s = 0.0
        self.run_s: float | None = None
        self.vram_peak_mb: int | None = None
        #: Progress held back until `progress_at`.
        self.progress: Progress | None = None
        self.progress_at = float("-inf")
        self.history: list[str] = []
        moves.append(RunMove(self, None, self.state, "awarded"))

    @property
    def token(self) -> str:
        """The attempt's token."""
        return self.award.token

    @property
    def on_device(self) -> bool:
        """True while the run holds a slot and memory on its device."""
        return self.state in ON_DEVICE

    def move(self, state: RunState, why: str, now_mono: float) -> None:
        """Move to another state.

        Raises:
            InvalidTransition: the table has no such row.
        """
        check_transition(f"run {self.token} of job {self.award.job_id}", self.state, state, self.history)
        self.history = [*self.history[1 - _HISTORY :], f"{now_mono:.3f} {self.state.value}->{state.value}: {why}"]
        self.moves.append(RunMove(self, self.state, state, why))
        self.state = state

    def deadlines(self) -> list[float]:
        """Monotonic times at which something is due, connected or not."""
        all_of_them = (
            self.load_deadline,
            self.room_deadline,
            self.close_deadline,
            self.grace_deadline,
            self.progress_at if self.progress is not None else None,
        )
        return [at for at in all_of_them if at is not None]

    def postpone(self, pause_s: float) -> None:
        """Shift every limit by the length of a pause of the process, in seconds."""
        for name in (
            "fetch_deadline",
            "load_deadline",
            "room_deadline",
            "close_deadline",
            "grace_deadline",
            "upload_deadline",
            "run_started",
        ):
            at = getattr(self, name)
            if at is not None:
                setattr(self, name, at + pause_s)


class DeviceRecord:
    """One device: its ledger, and the workers that have not exited."""

    __slots__ = ("ledger", "spec", "workers")

    def __init__(self, spec: DeviceSpec, ledger: DeviceLedger) -> None:
        self.spec = spec
        self.ledger = ledger
        self.workers: dict[str, Worker] = {}

    @property
    def running(self) -> int:
        """Runs that hold a slot, all adapters together."""
        return sum(len(worker.runs) for worker in self.workers.values())

    def worker_for(self, adapter_id: str) -> Worker | None:
        """The one worker of an adapter that takes runs."""
        for worker in self.workers.values():
            if worker.adapter_id == adapter_id and worker.active:
                return worker
        return None

    def leaving(self, adapter_id: str) -> bool:
        """True while a worker of that adapter is on its way out."""
        return any(w.adapter_id == adapter_id and w.state is WorkerState.STOPPING for w in self.workers.values())
