"""Simulated worker processes: what they hold, how long they take, how they go wrong. The oracle reads their records."""

from __future__ import annotations

import random
from collections.abc import Callable

from pocket3d.contracts.worker_frames import AdapterDescription, OutputFile, RunJob
from pocket3d.gpu_agents import events
from pocket3d.gpu_agents.devices import DeviceSpec
from pocket3d.gpu_agents.effects import CancelOnWorker, RunOnWorker, StartWorker, StopWorker
from pocket3d.gpu_agents.probes.port import Reading

from .clock import VirtualClock
from .process import Process

#: A frame between worker and agent takes so long.
_FRAME_S = 0.0005


class OverCommitted(AssertionError):
    """More memory of a device is in use than it may give."""


class DeviceWorld:
    """One device as it really is: who holds memory on it. Knows nothing of any ledger.

    Args:
        device: the device.
        clock: virtual time.
    """

    def __init__(self, device: DeviceSpec, clock: VirtualClock) -> None:
        self.device = device
        self._clock = clock
        #: Process id -> MB.
        self.used: dict[int, int] = {}
        #: MB that other programs hold; only on measured devices.
        self.foreign_mb = 0
        self.peak_mb = 0

    @property
    def capacity_mb(self) -> int:
        """What all workers together may hold."""
        return self.device.total_mb - self.device.buffer_mb

    def hold(self, pid: int, mb: int) -> None:
        """A process holds so much from now on.

        Raises:
            OverCommitted: all processes together hold more than the device may give.
        """
        self.used[pid] = mb
        total = sum(self.used.values())
        self.peak_mb = max(self.peak_mb, total)
        if total > self.capacity_mb:
            raise OverCommitted(
                f"{self._clock.now:.3f} s: {self.device.id}: workers hold {total} MB of {self.capacity_mb}: {self.used}"
            )

    def free(self, pid: int) -> None:
        """The process is gone and its memory with it."""
        self.used.pop(pid, None)

    def reading(self) -> Reading:
        """What a probe would measure now."""
        free = self.device.total_mb - sum(self.used.values()) - self.foreign_mb
        return Reading(free_mb=max(free, 0), used_by_pid=dict(self.used))


class WorkerProcess:
    """One worker: its adapter, its model's memory, its runs."""

    def __init__(self, worker_id: str, adapter: AdapterDescription, world: DeviceWorld, pid: int) -> None:
        self.worker_id = worker_id
        self.adapter = adapter
        self.world = world
        self.pid = pid
        self.alive = True
        self.loaded = False
        #: Token -> (frame, cancelled).
        self.runs: dict[str, RunJob] = {}
        self.cancelled: set[str] = set()
        self.deaf: set[str] = set()

    def hold(self) -> None:
        """Tell the device what this process really uses: its model, and what each run needs beyond it."""
        model = self.adapter.vram_mb
        extra = sum(max(0, need_mb(run, model) - model) for run in self.runs.values())
        self.world.hold(self.pid, model + extra)


def need_mb(run: RunJob, model_mb: int) -> int:
    """What a run really needs, its model included, MB."""
    return int(run.inputs.get("need_mb", model_mb))


class WorkerHostModel:
    """The worker processes of one agent's life.

    Args:
        process: the agent's process; its workers die with it.
        rng: chance.
        adapters: what can be loaded.
        worlds: the devices.
        tell: takes the agent's events.
        attempts: counts the runs of each job over the whole system, for jobs that fail once.
        pids: gives process ids.
        faulty: True while things go wrong.
    """

    def __init__(
        self,
        process: Process,
        rng: random.Random,
        adapters: dict[str, AdapterDescription],
        worlds: dict[str, DeviceWorld],
        tell: Callable[[events.Event], None],
        attempts: dict[str, int],
        pids: Callable[[], int],
        faulty: Callable[[], bool],
    ) -> None:
        self._process = process
        self._clock = process.clock
        self._rng = rng
        self._adapters = adapters
        self._worlds = worlds
        self._tell = tell
        self._attempts = attempts
        self._pids = pids
        self._faulty = faulty
        self.workers: dict[str, WorkerProcess] = {}

    def _soon(self, low: float, high: float, action: Callable[[], None]) -> None:
        self._clock.later(self._rng.uniform(low, high), action)

    def _strikes(self, chance: float) -> bool:
        return self._faulty() and self._rng.random() < chance

    def _say(self, event: events.Event) -> None:
        life = self._process.life
        self._clock.later(0.0005, lambda: self._process.life == life and self._process.post(lambda: self._tell(event)))  # type: ignore[func-returns-value]

    # -- effects

    def start(self, effect: StartWorker) -> None:
        """Start a process and load its model."""
        adapter = self._adapters[effect.adapter_id]
        worker = WorkerProcess(effect.worker_id, adapter, self._worlds[effect.device], self._pids())
        self.workers[effect.worker_id] = worker

        def hello() -> None:
            if worker.alive:
                self._say(events.WorkerReady(worker.worker_id, worker.pid))
                self._soon(0.2, 1.5, loaded)

        def loaded() -> None:
            if not worker.alive:
                return
            if self._strikes(0.03):
                self._say(events.LoadFailed(worker.worker_id, "load_failed", "the weights cannot be read"))
                self._soon(0.01, 0.2, lambda: self._exit(worker, "it could not load its model"))
                return
            worker.loaded = True
            worker.hold()
            self._say(events.ModelLoaded(worker.worker_id, 1.0, worker.adapter.vram_mb))

        self._soon(0.02, 0.8, hello)

    def run(self, effect: RunOnWorker) -> None:
        """Process one request."""
        worker = self.workers.get(effect.worker_id)
        if worker is None or not worker.alive:
            return
        frame = effect.job
        self._attempts[frame.job_id] = attempt = self._attempts.get(frame.job_id, 0) + 1
        behave = str(frame.inputs.get("behave", "ok"))
        seconds = float(frame.inputs.get("seconds", 0.5))
        if behave.endswith("_once"):
            behave = behave.removesuffix("_once") if attempt == 1 else "ok"
        model = worker.adapter.vram_mb
        need = need_mb(frame, model)
        if need > model + frame.extra_vram_mb:
            # It asks for more than it was promised, and gets an error instead of somebody else's memory.
            self._end(
                worker, frame, events.RunFailed(frame.run_id, "out_of_memory", "CUDA out of memory", None, 0.1, need)
            )
            return
        worker.runs[frame.run_id] = frame
        worker.hold()
        if behave in ("deaf", "slow"):
            # Never looks at the cooperative flag; the slow one comes to its end all the same.
            worker.deaf.add(frame.run_id)
        if behave in ("hang", "deaf"):
            return
        self._say(events.RunProgressed(frame.run_id, 0.5, "half"))
        endings: dict[str, events.Event] = {
            "error": events.RunFailed(frame.run_id, "adapter_error", "it raised", None, seconds),
            "nonsense": events.RunFailed(frame.run_id, "invalid_output", "not a dict", None, seconds),
            "bad_input": events.RunFailed(frame.run_id, "invalid_input", "no such thing", "inputs.x", seconds),
        }
        if behave == "crash":
            self._clock.later(seconds, lambda: self._exit(worker, "signal 11"))
            return
        files = (OutputFile(name="out.glb", path=f"{frame.output_dir}/out.glb", size=10),)
        finished = events.RunFinished(
            frame.run_id, {"success": True}, files if frame.inputs.get("files") else (), seconds, need
        )
        self._clock.later(seconds, lambda: self._end(worker, frame, endings.get(behave, finished)))

    def _end(self, worker: WorkerProcess, frame: RunJob, event: events.Event) -> None:
        if not worker.alive or not self._process.alive:
            return
        if frame.run_id in worker.runs or isinstance(event, events.RunFailed):
            worker.runs.pop(frame.run_id, None)
            worker.deaf.discard(frame.run_id)
            if worker.loaded:
                worker.hold()
            self._say(event)

    def cancel(self, effect: CancelOnWorker) -> None:
        """The cooperative flag: most adapters notice it a little later."""
        worker = self.workers.get(effect.worker_id)
        if worker is None or not worker.alive or effect.token not in worker.runs:
            return
        frame = worker.runs[effect.token]
        if effect.token not in worker.deaf:
            stopped = events.RunFailed(effect.token, "cancelled", "cancelled", None, 0.1)
            self._soon(0.01, 0.5, lambda: self._still(worker, frame, stopped))

    def _still(self, worker: WorkerProcess, frame: RunJob, event: events.Event) -> None:
        if frame.run_id in worker.runs:
            self._end(worker, frame, event)

    def stop(self, effect: StopWorker) -> None:
        """End a process: by a frame (only if nothing hangs), by SIGTERM or by SIGKILL."""
        worker = self.workers.get(effect.worker_id)
        if worker is None or not worker.alive:
            return
        if effect.how == "shutdown" and (worker.deaf or self._strikes(0.05)):
            return
        if effect.how == "terminate" and self._strikes(0.1):
            return
        self._soon(0.01, 0.3, lambda: self._exit(worker, effect.how))

    # -- ends

    def _exit(self, worker: WorkerProcess, why: str) -> None:
        if not worker.alive:
            return
        worker.alive = False
        worker.runs.clear()
        self.workers.pop(worker.worker_id, None)
        if worker.world.device.budgeted:
            worker.world.free(worker.pid)
        else:
            # The driver takes a moment to give a dead process's memory back.
            self._soon(0.0, 0.5, lambda: worker.world.free(worker.pid))
        self._say(events.WorkerExited(worker.worker_id, "worker_crashed", why))

    def crash_one(self) -> str | None:
        """A worker dies of itself; which."""
        if not self.workers:
            return None
        worker = self._rng.choice(sorted(self.workers.values(), key=lambda w: w.worker_id))
        self._exit(worker, "signal 9")
        return worker.worker_id

    def die(self) -> None:
        """The agent is gone: so are its workers, the ones on a GPU with a moment's delay for their memory."""
        for worker in list(self.workers.values()):
            self._exit(worker, "its agent died")

    def probe(self, measured: list[str]) -> dict[str, Reading]:
        """What a probe measures on these devices."""
        return {device: self._worlds[device].reading() for device in measured}
