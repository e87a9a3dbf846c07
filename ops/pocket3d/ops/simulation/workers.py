"""Simulated worker processes: what they hold, how long they take, how they go wrong. The oracle reads their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocket3d.contracts import worker_frames as frames
from pocket3d.contracts.input_files import is_file_key
from pocket3d.contracts.variants import variant_named
from pocket3d.contracts.worker_frames import Frame, OutputFile, RunJob
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.workers.launch import WorkerExit, WorkerLaunch

from .network import MAX_PAYLOAD, Network
from .process import Process

#: A frame between worker and agent takes so long, seconds.
_FRAME_S = 0.0005
#: A signal or a frame ends a worker within so long, seconds.
_END_S = (0.01, 0.3)

#: What such a run fails with: code, message, field.
_FAILURES = {
    "error": ("adapter_error", "it raised", None),
    "nonsense": ("invalid_output", "not a dict", None),
    "bad_input": ("invalid_input", "no such thing", "inputs.x"),
}

OnFrame = Callable[[str, Any], None]
OnExit = Callable[[WorkerExit], None]


class Device:
    """One device as it really is: who holds memory on it. Knows nothing of any ledger."""

    def __init__(self, spec: DeviceSpec, network: Network) -> None:
        self.spec = spec
        self._network = network
        #: Process id -> MB.
        self.used: dict[int, int] = {}
        #: Every load on it fails.
        self.sick = False
        #: MB that other programs hold; only on measured devices.
        self.foreign_mb = 0
        #: False as in a container: the driver tells no memory of processes.
        self.tells_processes = True
        #: The first time that its processes held more than it may give, in words.
        self.over_committed: str | None = None

    def hold(self, pid: int, mb: int) -> None:
        """A process holds so much from now on."""
        self.used[pid] = mb
        total, capacity = sum(self.used.values()), self.spec.total_mb - self.spec.buffer_mb
        if total > capacity and self.over_committed is None:
            self.over_committed = (
                f"over-committed: at {self._network.loop.time():.3f} s {self.spec.id}: workers hold {total} MB of "
                f"{capacity}: {self.used}"
            )

    def free(self, pid: int) -> None:
        """The process is gone and its memory with it."""
        self.used.pop(pid, None)

    def reading(self) -> Reading:
        """What a probe would measure now."""
        free = self.spec.total_mb - sum(self.used.values()) - self.foreign_mb
        return Reading(free_mb=max(free, 0), used_by_pid=dict(self.used) if self.tells_processes else None)


class SimulatedProbe:
    """Measures the devices that are not simulated in the product's own sense."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._devices = devices

    def read(self) -> dict[str, Reading]:
        """A reading of each."""
        return {name: device.reading() for name, device in self._devices.items() if not device.spec.simulated}

    def close(self) -> None:
        """There is no driver to let go of."""


@dataclass(eq=False)
class Worker:
    """One worker process: its model's memory, its runs."""

    worker_id: str
    #: What its model takes, MB.
    model_mb: int
    #: Of its adapter, None if it has none.
    variant: str | None
    device: Device
    pid: int
    on_frame: OnFrame
    on_exit: OnExit
    alive: bool = True
    loaded: bool = False
    #: Token -> frame.
    runs: dict[str, RunJob] = field(default_factory=dict)
    #: Runs that never look at the cooperative flag.
    deaf: set[str] = field(default_factory=set)

    def hold(self) -> None:
        """Tell the device what this process really uses: its model, and what each run needs beyond it."""
        model = self.model_mb
        extra = sum(max(0, need_mb(run, model) - model) for run in self.runs.values())
        self.device.hold(self.pid, model + extra)


def need_mb(run: RunJob, model_mb: int) -> int:
    """What a run really needs, its model included, MB."""
    return int(run.inputs.get("need_mb", model_mb))


class SimulatedWorkers:
    """The worker processes of one life of an agent, which die with it, as `WorkerProcesses`."""

    def __init__(self, agent: Process, devices: Mapping[str, Device]) -> None:
        self._life = agent.life
        self._world = agent.world
        self._network = agent.world.network
        self._devices = devices
        self.workers: dict[str, Worker] = {}

    def _soon(self, low: float, high: float, action: Callable[[], object]) -> None:
        self._network.later(self._network.rng.uniform(low, high), action)

    def _say(self, action: Callable[..., object], *args: Any) -> None:
        """Tell the agent, if it still lives; one that stands still hears of it later."""
        life = self._life

        def arrive() -> None:
            if life is not None and life.alive:
                life.soon(action, *args)

        self._network.later(_FRAME_S, arrive)

    # -- what the agent does with them

    async def start(self, worker_id: str, launch: WorkerLaunch, on_frame: OnFrame, on_exit: OnExit) -> int | None:
        """Start a process and load its model."""
        adapter = self._world.adapters[launch.spec.adapter_id]
        variant = variant_named(adapter.variants, launch.variant)
        model_mb = adapter.vram_mb if variant is None else variant.vram_mb
        device = self._devices[launch.device.id]
        worker = Worker(worker_id, model_mb, launch.variant, device, next(self._world.pids), on_frame, on_exit)
        self.workers[worker_id] = worker

        def hello() -> None:
            if worker.alive:
                self._say(on_frame, worker_id, frames.Hello(protocol=frames.PROTOCOL, pid=worker.pid, python="3"))
                self._soon(0.2, 1.5, loaded)

        def loaded() -> None:
            if not worker.alive:
                return
            if self._network.strikes(0.03) or device.sick:
                why = "CUDA error: GPU is lost" if device.sick else "the weights cannot be read"
                failed = frames.LoadFailed(code="load_failed", message=why)
                self._say(on_frame, worker_id, failed)
                self._soon(0.01, 0.2, lambda: self._exit(worker, "it could not load its model"))
                return
            worker.loaded = True
            self._hold(worker)
            self._say(on_frame, worker_id, frames.ModelLoaded(load_s=1.0, vram_mb=model_mb))

        self._soon(0.02, 0.8, hello)
        return worker.pid

    async def send(self, worker_id: str, frame: Frame) -> bool:
        """Take a frame."""
        self.begin(worker_id, frame)
        return worker_id in self.workers

    def begin(self, worker_id: str, frame: Frame) -> None:
        """Take a frame."""
        worker = self.workers.get(worker_id)
        if worker is None:
            return
        if isinstance(frame, RunJob):
            self._run(worker, frame)
        elif isinstance(frame, frames.CancelRun):
            self._cancel(worker, frame.run_id)
        elif isinstance(frame, frames.Shutdown) and not worker.deaf and not self._network.strikes(0.05):
            self._soon(*_END_S, lambda: self._exit(worker, "shutdown"))

    async def stop(self, worker_id: str, kill: bool = False) -> None:
        """SIGTERM, which some do not obey, or SIGKILL."""
        worker = self.workers.get(worker_id)
        if worker is not None and (kill or not self._network.strikes(0.1)):
            self._soon(*_END_S, lambda: self._exit(worker, "killed" if kill else "terminated"))

    async def aclose(self, grace_s: float = 5.0) -> None:
        """End all of them."""
        self.die()

    # -- runs

    def _run(self, worker: Worker, frame: RunJob) -> None:
        self._world.attempts[frame.job_id] = attempt = self._world.attempts.get(frame.job_id, 0) + 1
        files = {key: Path(path) for key, path in frame.inputs.items() if is_file_key(key) and isinstance(path, str)}
        self._world.inputs[frame.job_id] = {key: path.read_bytes() for key, path in files.items() if path.is_file()}
        behave = str(frame.inputs.get("behave", "ok"))
        seconds = float(frame.inputs.get("seconds", 0.5))
        if behave.endswith("_once"):
            behave = behave.removesuffix("_once") if attempt == 1 else "ok"
        need = need_mb(frame, worker.model_mb)
        if need > worker.model_mb + frame.extra_vram_mb or worker.variant in frame.inputs.get("too_large", ()):
            # It asks for more than it was promised, and gets an error instead of somebody else's memory.
            out = frames.RunFailed(
                run_id=frame.run_id, code="out_of_memory", message="CUDA out of memory", run_s=0.1, vram_peak_mb=need
            )
            self._say(worker.on_frame, worker.worker_id, out)
            return
        worker.runs[frame.run_id] = frame
        self._hold(worker)
        if behave in ("deaf", "slow"):
            # Never looks at the cooperative flag; the slow one comes to its end all the same.
            worker.deaf.add(frame.run_id)
        if behave in ("hang", "deaf"):
            return
        progress = frames.RunProgress(run_id=frame.run_id, fraction=0.5, stage="half")
        self._say(worker.on_frame, worker.worker_id, progress)
        if behave == "crash":
            self._network.later(seconds, lambda: self._exit(worker, "signal 11"))
        elif behave in _FAILURES:
            code, message, field = _FAILURES[behave]
            failed = frames.RunFailed(run_id=frame.run_id, code=code, message=message, field=field, run_s=seconds)
            self._network.later(seconds, lambda: self._end(worker, failed))
        else:
            self._network.later(seconds, lambda: self._finish(worker, frame, seconds, need))

    def _hold(self, worker: Worker) -> None:
        worker.hold()
        if not worker.device.tells_processes:
            self._say(worker.on_frame, worker.worker_id, frames.MemoryHeld(vram_mb=worker.device.used[worker.pid]))

    def _finish(self, worker: Worker, frame: RunJob, seconds: float, peak_mb: int) -> None:
        files = []
        outputs: dict[str, Any] = {"success": True}
        if frame.inputs.get("behave") == "huge":
            outputs["text"] = "x" * MAX_PAYLOAD
        if frame.inputs.get("files"):
            path = Path(frame.output_dir) / "out.glb"
            # The folder is gone if the run has ended, or if the agent has been told to leave meanwhile.
            if path.parent.is_dir():
                path.write_bytes(frame.run_id.encode())
            files.append(OutputFile(name="out.glb", path=str(path), size=len(frame.run_id)))
        done = frames.RunFinished(
            run_id=frame.run_id, outputs=outputs, files=files, run_s=seconds, vram_peak_mb=peak_mb
        )
        self._end(worker, done)

    def _end(self, worker: Worker, frame: frames.RunFinished | frames.RunFailed) -> None:
        if worker.runs.pop(frame.run_id, None) is None:
            return
        worker.deaf.discard(frame.run_id)
        if worker.loaded:
            self._hold(worker)
        self._say(worker.on_frame, worker.worker_id, frame)

    def _cancel(self, worker: Worker, run_id: str) -> None:
        """The cooperative flag: most adapters notice it a little later."""
        if run_id in worker.runs and run_id not in worker.deaf:
            cancelled = frames.RunFailed(run_id=run_id, code="cancelled", message="cancelled", run_s=0.1)
            self._soon(0.01, 0.5, lambda: self._end(worker, cancelled))

    # -- ends

    def _exit(self, worker: Worker, why: str) -> None:
        if not worker.alive:
            return
        worker.alive = False
        worker.runs.clear()
        self.workers.pop(worker.worker_id, None)
        if worker.device.spec.budgeted:
            worker.device.free(worker.pid)
        else:
            # The driver takes a moment to give a dead process's memory back.
            self._soon(0.0, 0.5, lambda: worker.device.free(worker.pid))
        told = WorkerExit(worker_id=worker.worker_id, pid=worker.pid, code="worker_crashed", message=why)
        self._say(worker.on_exit, told)

    def crash_one(self) -> None:
        """A worker dies of itself."""
        if self.workers:
            self._exit(self.workers[self._network.rng.choice(sorted(self.workers))], "signal 9")

    def die(self) -> None:
        """The agent is gone: so are its workers, the ones on a GPU with a moment's delay for their memory."""
        for worker in list(self.workers.values()):
            self._exit(worker, "its agent died")
