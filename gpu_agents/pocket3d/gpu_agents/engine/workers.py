"""Workers: planned, started, loaded, evicted, ended; and memory that becomes free."""

from __future__ import annotations

from pocket3d.contracts.clock import Now
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.variants import label
from pocket3d.contracts.worker_frames import AdapterDescription

from ..placement.placement import Placement
from .effects import HowToStop, StartWorker, StopWorker
from .events import LoadFailed, ModelLoaded, ProbeRead, WorkerExited, WorkerHolds, WorkerReady
from .lifecycle import BEFORE_RUN, RunState, WorkerState
from .quarantine import device_failed, device_read
from .records import DeviceRecord, Run, Worker
from .runs import advance, end_run, fail_run, ran_out
from .state import Core

# ---------------------------------------------------------------- start


def take_worker(core: Core, device: DeviceRecord, adapter: AdapterDescription, found: Placement, now: Now) -> Worker:
    """The worker of a placement: begin its evictions, and make and claim for a new worker where it needs one."""
    for idle in found.evict:
        stop_worker(core, idle, "evicted for " + label(adapter.adapter_id, found.variant), now)
    if found.worker is not None:
        return found.worker
    worker = Worker(
        f"w{next(core.worker_numbers)}",
        adapter.adapter_id,
        device.spec.id,
        max(1, adapter.max_concurrent),
        found.resident_mb,
        found.variant,
    )
    device.ledger.add(worker.worker_id, found.resident_mb, found.waits_for)
    device.workers[worker.worker_id] = worker
    core.workers[worker.worker_id] = worker
    worker.room_deadline = now.mono + core.settings.room_wait_s
    core.changed = True
    return worker


def claim_extra(core: Core, device: DeviceRecord, run: Run, found: Placement, now: Now) -> None:
    """Claim what a run needs beyond its worker's own; on a loaded worker it may have to wait for evictions."""
    if run.extra_mb == 0:
        return
    if found.waits_for and found.worker is not None:
        device.ledger.add(run.token, run.extra_mb, found.waits_for)
        run.room_deadline = now.mono + core.settings.room_wait_s
        core.waiting_for_room[run.token] = run
    else:
        device.ledger.add_extra(run.worker.worker_id, run.token, run.extra_mb)


def start_if_room(core: Core, worker: Worker, now: Now) -> None:
    """Start a planned worker once nothing stands before it."""
    device = core.device_of(worker)
    if worker.state is not WorkerState.PLANNED or device.ledger.waits_for(worker.worker_id):
        return
    stopping = [each.key for each in device.workers.values() if each.state is WorkerState.STOPPING]
    if worker.key in stopping or device.ledger.room(now.mono).available_mb < 0:
        # One process per adapter, variant and device; and others may have taken what was freed.
        return
    worker.move(WorkerState.STARTING, "there is room", now.mono)
    worker.room_deadline = None
    worker.load_started = now.mono
    for run in worker.runs.values():
        run.load_deadline = now.mono + run.award.job.limits.load_s
    core.effects.append(StartWorker(worker.worker_id, *worker.key, worker.resident_mb))


def worker_ready(core: Core, event: WorkerReady, now: Now) -> None:
    """A worker's process said hello."""
    worker = core.workers.get(event.worker_id)
    if worker is None:
        return
    worker.pid = event.pid
    core.device_of(worker).ledger.hold_process(worker.worker_id, event.pid)
    if worker.state is WorkerState.STARTING:
        worker.move(WorkerState.LOADING, f"pid {event.pid}", now.mono)
    core.changed = True


def model_loaded(core: Core, event: ModelLoaded, now: Now) -> None:
    """A worker's model is loaded: its runs can begin."""
    worker = core.workers.get(event.worker_id)
    if worker is None or worker.state is not WorkerState.LOADING:
        return
    core.device_of(worker).ledger.hold_reported(worker.worker_id, event.vram_mb)
    if worker.load_started is not None:
        # A pause of this process counts from its last tick, and the load may have begun after that.
        took_s = max(now.mono - worker.load_started, 0.0)
        core.estimates.loads[worker.key].append(took_s)
    worker.move(WorkerState.BUSY if worker.runs else WorkerState.IDLE, "loaded", now.mono)
    if not worker.runs:
        worker.idle_since = now.mono
    core.changed = True
    for run in list(worker.runs.values()):
        run.load_deadline = None
        run.load_s = now.mono - run.accepted_at
        advance(core, run, now)


def worker_holds(core: Core, event: WorkerHolds) -> None:
    """A worker says what it holds on its device."""
    if event.worker_id in core.workers:
        core.device_of(core.workers[event.worker_id]).ledger.hold_reported(event.worker_id, event.vram_mb)


def load_failed(core: Core, event: LoadFailed, now: Now) -> None:
    """A worker could not load its model: its runs fail, and its process ends by itself or is ended."""
    worker = core.workers.get(event.worker_id)
    if worker is None or worker.state is not WorkerState.LOADING:
        return
    jobs = [run.award.job_id for run in worker.runs.values()]
    for run in list(worker.runs.values()):
        message = event.message
        if event.code == FailureCode.OUT_OF_MEMORY.value:
            message = ran_out(core, run, message, event.shortage)
        fail_run(core, run, event.code, message, now)
    if event.code == FailureCode.LOAD_FAILED.value:
        device_failed(core, worker, jobs[0] if jobs else None, event.message, now)
    worker.move(WorkerState.STOPPING, f"load failed: {event.code}", now.mono)
    core.device_of(worker).ledger.end(worker.worker_id)
    worker.stop_why = event.message
    # It exits by itself: the next step, if it does not, is the signal.
    worker.stop_how = "shutdown"
    worker.stop_deadline = now.mono + core.settings.stop_grace_s
    core.changed = True


# ---------------------------------------------------------------- end


def stop_worker(core: Core, worker: Worker, why: str, now: Now, how: HowToStop = "shutdown") -> None:
    """End a worker. Runs that it has not got yet are handed back; those on it end with it."""
    if worker.state is WorkerState.PLANNED:
        drop_planned(core, worker, why, now)
        return
    if not worker.active:
        return
    if how == "shutdown" and not worker.loaded:
        # It reads no frames while it loads, and there is nothing to unload: the signal spares the grace.
        how = "terminate"
    worker.move(WorkerState.STOPPING, why, now.mono)
    worker.stop_why = why
    worker.idle_since = None
    worker.stop_how = how
    worker.stop_deadline = now.mono + core.settings.stop_grace_s
    core.device_of(worker).ledger.end(worker.worker_id)
    core.effects.append(StopWorker(worker.worker_id, how))
    core.changed = True
    for run in list(worker.runs.values()):
        if run.state in BEFORE_RUN:
            fail_run(core, run, FailureCode.HANDED_BACK.value, f"its worker was stopped: {why}", now)


def escalate_stop(core: Core, worker: Worker, now: Now) -> None:
    """Escalate the stop of a worker that is still there: shutdown frame, then SIGTERM, then SIGKILL."""
    how: HowToStop = "terminate" if worker.stop_how == "shutdown" else "kill"
    worker.stop_how = how
    worker.stop_deadline = now.mono + core.settings.stop_grace_s
    core.effects.append(StopWorker(worker.worker_id, how))


def drop_planned(core: Core, worker: Worker, why: str, now: Now) -> None:
    """Give up a planned worker that was never started, and hand back its runs."""
    for run in list(worker.runs.values()):
        fail_run(core, run, FailureCode.HANDED_BACK.value, f"its worker was not started: {why}", now)
    if worker.state is WorkerState.PLANNED:
        worker.move(WorkerState.EXITED, why, now.mono)
        _remove(core, worker)
        core.device_of(worker).ledger.drop(worker.worker_id)


def worker_exited(core: Core, event: WorkerExited, now: Now) -> None:
    """A worker's process has exited: its runs fail, and its claim stays until a probe has seen its memory free."""
    worker = core.workers.get(event.worker_id)
    if worker is None:
        return
    asked = worker.state is WorkerState.STOPPING
    worker.move(WorkerState.EXITED, event.message, now.mono)
    device = core.device_of(worker)
    died = list(worker.runs.values())
    for run in died:
        run.beside = sum(other.state is RunState.RUNNING for other in died if other is not run)
    for run in died:
        if run.alone and worker.peak_mb:
            run.vram_peak_mb = worker.peak_mb
        if run.stop_reason is not None:
            end_run(core, run, now)
        elif asked and run.state is RunState.RUNNING:
            message = f"its worker was stopped, through no fault of this job: {worker.stop_why}"
            fail_run(core, run, FailureCode.WORKER_CRASHED.value, message, now)
        else:
            # A worker is killed for the host's memory, never for its device's.
            run.more_room = event.code != FailureCode.OUT_OF_MEMORY.value
            fail_run(core, run, event.code, event.message, now)
    _remove(core, worker)
    if not asked and event.code == FailureCode.WORKER_CRASHED.value:
        device_failed(core, worker, died[0].award.job_id if died else None, event.message, now)
    device.ledger.exited(worker.worker_id, now.mono)
    core.changed = True


def _remove(core: Core, worker: Worker) -> None:
    del core.workers[worker.worker_id]
    del core.device_of(worker).workers[worker.worker_id]
    core.changed = True


# ---------------------------------------------------------------- memory


def probe_read(core: Core, event: ProbeRead, now: Now) -> None:
    """The probe has measured the devices."""
    core.probing = False
    for device_id, reading in event.readings.items():
        device = core.devices.get(device_id)
        if device is None:
            continue
        lost = device.ledger.unavailable(now.mono)
        released = device.ledger.read(reading, event.taken_at)
        for worker in device.workers.values():
            worker.peak_mb = max(worker.peak_mb, device.ledger.seen_mb(worker.worker_id) or 0)
        if released or lost != device.ledger.unavailable(now.mono):
            core.changed = True
        if device_read(core, device, reading, now):
            _clear(core, device, now)


def _clear(core: Core, device: DeviceRecord, now: Now) -> None:
    """Start nothing more on a broken device, and let it be reset: what runs there may end, all else goes."""
    why = "its device is in quarantine"
    for worker in list(device.workers.values()):
        worker.unwanted = True
        running = [run for run in worker.runs.values() if run.state not in BEFORE_RUN]
        if not running:
            stop_worker(core, worker, why, now)
            continue
        for run in list(worker.runs.values()):
            if run.state in BEFORE_RUN:
                fail_run(core, run, FailureCode.HANDED_BACK.value, why, now)


def reconcile(core: Core, now: Now) -> None:
    """Bring workers into line with what is needed, after every event: stop unwanted idle workers, drop planned ones
    without runs, and start or continue what waits for memory if there is enough.
    """
    planned: list[Worker] = []
    for worker in list(core.workers.values()):
        if worker.state is WorkerState.PLANNED:
            if worker.runs or worker.pinned:
                planned.append(worker)
            else:
                drop_planned(core, worker, "its jobs ended before it was started", now)
        elif worker.state is WorkerState.IDLE and (worker.unwanted or core.leaving):
            stop_worker(core, worker, "the agent leaves" if core.leaving else "it is not wanted any more", now)
    for worker in planned:
        start_if_room(core, worker, now)
    for run in list(core.waiting_for_room.values()):
        ledger = core.device_of(run.worker).ledger
        if not ledger.waits_for(run.token) and ledger.room(now.mono).available_mb >= 0:
            ledger.drop(run.token)
            ledger.add_extra(run.worker.worker_id, run.token, run.extra_mb)
            run.room_deadline = None
            del core.waiting_for_room[run.token]
            advance(core, run, now)
