"""A world around one agent engine that answers its effects late, wrongly, twice or in another order, by drawn choices.

It keeps its own account of what the devices hold, from the effects alone: the engine's ledger is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pocket3d.contracts.commands import Award
from pocket3d.contracts.jobs import Limits
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.engine.lifecycle import RunState, WorkerState
from support.agent_rig import AgentRig, adapter, artifact, cpu, fixed, gpu, output

ADAPTERS = [
    adapter("alpha", 6000),
    adapter("beta", 5000, max_concurrent=2),
    adapter("gamma", 2000, max_concurrent=3, devices=["cuda", "cpu"]),
]
CUDA_BUFFER = 1000


class AgentWorld:
    """One engine and everything around it.

    Args:
        choices: an endless stream of drawn numbers.
    """

    def __init__(self, choices: Iterator[int]) -> None:
        self._choices = choices
        devices = [fixed(9000), gpu(13_000, buffer_mb=CUDA_BUFFER), cpu(4000)]
        self.rig = AgentRig(
            devices,
            ADAPTERS,
            drain_timeout_s=20,
            leave_timeout_s=20,
            leave_bound_s=400,
            idle_timeout_s=120,
            max_fetches=1,
            max_stores=2,
        )
        self.capacity = {device.id: device.total_mb - device.buffer_mb for device in devices}
        self.limit = {device.id: device.total_mb for device in devices}
        self._seen = 0
        self.pids = 100
        #: Effects that wait for an answer.
        self.open: list[effects.Effect] = []
        #: Worker -> (device, MB, pid), from StartWorker until it is gone.
        self.alive: dict[str, tuple[str, int, int]] = {}
        self._adapters: dict[str, tuple[str, str]] = {}
        #: Token -> (worker, MB) while on a worker.
        self.extras: dict[str, tuple[str, int]] = {}
        #: Processes whose memory the driver still shows: pid -> (device, MB).
        self.lingering: dict[int, tuple[str, int]] = {}
        self.accepted: dict[str, Award] = {}
        self.stored: dict[str, str] = {}
        self.failed: set[str] = set()
        #: Those whose results could not even be read back: they end as failed whatever is stored.
        self.forbidden: set[str] = set()
        self.left = False
        self.awards: list[Award] = []
        self._measure()
        self._take_in()

    def choose(self, number: int) -> int:
        """A choice among `number` possibilities."""
        return next(self._choices) % number

    # -- what the engine wanted

    def _take_in(self) -> None:
        for effect in self.rig.log[self._seen :]:
            if isinstance(effect, effects.StartWorker):
                self.pids += 1
                pair = [w for w in self.alive if self._adapter(w) == (effect.adapter_id, effect.device)]
                assert not pair, f"two processes of {effect.adapter_id} on {effect.device}"
                self.alive[effect.worker_id] = (effect.device, effect.vram_mb, self.pids)
                self._adapters[effect.worker_id] = (effect.adapter_id, effect.device)
                self.open.append(effect)
            elif isinstance(effect, effects.RunOnWorker):
                self.extras[effect.job.run_id] = (effect.worker_id, effect.job.extra_vram_mb)
                self.open.append(effect)
            elif isinstance(effect, effects.Exit):
                self.left = True
            elif isinstance(
                effect,
                effects.FetchInputs
                | effects.StopWorker
                | effects.CancelOnWorker
                | effects.UploadOutputs
                | effects.StoreResult
                | effects.ReadResult
                | effects.SendOutcomes
                | effects.ProbeNow
                | effects.CheckStorage,
            ):
                self.open.append(effect)
        self._seen = len(self.rig.log)
        self._check_memory()

    def _adapter(self, worker_id: str) -> tuple[str, str]:
        return self._adapters[worker_id]

    def used_mb(self, device: str) -> int:
        """What processes hold on a device, those included whose memory the driver has not freed yet."""
        held = sum(mb for where, mb, _ in self.alive.values() if where == device)
        held += sum(mb for worker, mb in self.extras.values() if self.alive[worker][0] == device)
        return held + sum(mb for where, mb in self.lingering.values() if where == device)

    def _check_memory(self) -> None:
        for device, capacity in self.capacity.items():
            used = self.used_mb(device)
            assert used <= capacity, f"{device} holds {used} MB of {capacity}"

    def tell(self, event: events.Event) -> None:
        self.rig.tell(event)
        self._take_in()

    # -- what happens

    def step(self) -> None:
        """One thing happens, by choice."""
        actions: list[Callable[[], None]] = [
            self.award,
            self.award,
            self.answer_one,
            self.answer_one,
            self.answer_one,
            self.answer_one,
            self.worker_works,
            self.worker_works,
            self.worker_works,
            self.little_time,
            self.little_time,
            self.cancel,
            self.crash,
            self.long_time,
            self.pause,
            self.link,
            self.repeat_award,
            self.free_lingering,
            self.operator,
            self.drain,
        ]
        actions[self.choose(len(actions))]()

    def award(self) -> None:
        kinds = ["alpha", "beta", "gamma"]
        device = list(self.capacity)[self.choose(len(self.capacity))]
        vram = [None, None, 3000, 8000][self.choose(4)]
        made = self.rig.make_award(
            kinds[self.choose(3)], device, vram_mb=vram, limits=Limits(start_to_close_s=60, load_s=40)
        )
        self._give(made)
        self.awards.append(made)

    def repeat_award(self) -> None:
        if self.awards:
            self._give(self.awards[self.choose(len(self.awards))])

    def _give(self, award: Award) -> None:
        (answer,) = self.rig.give(award)
        if award.token in self.accepted:
            assert answer.accepted
        elif answer.accepted:
            self.accepted[award.token] = award
        self._take_in()

    def cancel(self) -> None:
        if self.awards:
            self.rig.cancel(self.awards[-1 - self.choose(min(4, len(self.awards)))].token)
            self._take_in()
            if self.choose(3) == 0:
                # The adapter does not look at its flag.
                self.open = [e for e in self.open if not isinstance(e, effects.CancelOnWorker)]
                self.long_time()

    def little_time(self) -> None:
        self.rig.pass_time(0.3)
        self._take_in()

    def long_time(self) -> None:
        self.rig.pass_time(12, 1.0)
        self._take_in()

    def pause(self) -> None:
        self.rig.pause(300)
        self._take_in()

    def link(self) -> None:
        self.tell(events.Disconnected() if self.rig.engine.core.connected else events.Connected())

    def operator(self) -> None:
        adapter_id = ["alpha", "beta", "gamma"][self.choose(3)]
        if self.choose(2):
            self.tell(events.LoadRequested(adapter_id, None))
        else:
            self.tell(events.UnloadRequested(adapter_id, None))

    def drain(self) -> None:
        """An operator drains the agent, perhaps past the limit, and takes it back."""
        self.tell(events.DrainRequested(leave=False))
        if self.choose(2):
            self.long_time()
            self.long_time()
        for _ in range(self.choose(6)):
            self.worker_works()
            self.answer_one()
        self.tell(events.UndrainRequested())

    def crash(self) -> None:
        if self.alive:
            self._exit(list(self.alive)[self.choose(len(self.alive))])

    def _exit(self, worker_id: str) -> None:
        device, mb, pid = self.alive[worker_id]
        held = mb + sum(each for worker, each in self.extras.values() if worker == worker_id)
        self.extras = {token: pair for token, pair in self.extras.items() if pair[0] != worker_id}
        known = self.rig.engine.core.workers[worker_id].pid is not None
        if device.startswith("GPU") and known:
            self.lingering[pid] = (device, held)
        del self.alive[worker_id]
        self.open = [e for e in self.open if getattr(e, "worker_id", None) != worker_id]
        self.tell(events.WorkerExited(worker_id, "worker_crashed", "gone"))

    def free_lingering(self) -> None:
        if self.lingering:
            self.lingering.pop(list(self.lingering)[self.choose(len(self.lingering))])

    def _measure(self) -> None:
        pids: dict[int, int] = {pid: mb for pid, (_, mb) in self.lingering.items()}
        for worker_id, (device, mb, pid) in self.alive.items():
            if device.startswith("GPU"):
                pids[pid] = mb + sum(each for worker, each in self.extras.values() if worker == worker_id)
        readings = {
            "fixed-0": Reading(9000),
            "cpu-0": Reading(4000),
            "GPU-0": Reading(13_000 - sum(pids.values()), pids),
        }
        self.tell(events.ProbeRead(readings, self.rig.now.mono))

    # -- answers

    def answer_one(self) -> None:
        waiting = [e for e in self.open if not isinstance(e, effects.StartWorker | effects.RunOnWorker)]
        if waiting:
            self.answer(waiting[self.choose(len(waiting))], faults=True)

    def answer(self, effect: effects.Effect, *, faults: bool) -> None:
        self.open.remove(effect)
        bad = faults and self.choose(4) == 0
        of_one_attempt = (effects.FetchInputs, effects.UploadOutputs, effects.StoreResult, effects.ReadResult)
        if bad and isinstance(effect, of_one_attempt) and self.choose(8) == 0:
            self.tell(events.TaskFailed(effect.token, "a bug"))
        elif isinstance(effect, effects.FetchInputs):
            if bad:
                self.tell(events.InputsFailed(effect.token, "artifact_missing", "gone"))
            else:
                size = (0, 5_000, 5_000_000)[self.choose(3)]
                self.tell(events.InputsFetched(effect.token, effect.inputs, "/j", "/j/out", size))
        elif isinstance(effect, effects.UploadOutputs):
            if bad:
                how = self.choose(3)
                self.tell(events.UploadFailed(effect.token, "no", permanent=how == 0, refused=how == 1))
            else:
                self.tell(events.OutputsUploaded(effect.token, (artifact(effect.token),)))
        elif isinstance(effect, effects.StoreResult) and faults and self.choose(6) == 0:
            self.tell(events.ResultRefused(effect.token, "too large"))
        elif isinstance(effect, effects.StoreResult):
            self._store(effect, bad)
        elif isinstance(effect, effects.ReadResult):
            if bad:
                self._unknown(effect.token)
            else:
                self.tell(events.ResultRead(effect.token, self.stored.get(effect.job_id)))
        elif isinstance(effect, effects.SendOutcomes):
            self._outcomes(effect, bad)
        elif isinstance(effect, effects.CheckStorage):
            self.tell(events.StorageChecked("no way to the results" if bad else None))
        elif isinstance(effect, effects.ProbeNow):
            if bad:
                self.tell(events.ProbeRead({}, self.rig.now.mono))
            else:
                self._measure()
        elif isinstance(effect, effects.StopWorker):
            if effect.worker_id in self.alive and not (bad and effect.how != "kill"):
                self._exit(effect.worker_id)
        elif isinstance(effect, effects.CancelOnWorker) and effect.token in self.extras and not bad:
            self._end_run(effect.token, events.RunFailed(effect.token, "cancelled", "noticed"))

    def _unknown(self, token: str) -> None:
        """Nothing is known of a result; sometimes since the server lets this agent neither store nor read."""
        refused = self.choose(2) == 0
        if refused:
            self.forbidden.add(token)
        self.tell(events.ResultUnknown(token, refused=refused))

    def _store(self, effect: effects.StoreResult, bad: bool) -> None:
        job_id = effect.result.job_id
        how = self.choose(3) if bad else 3
        if how == 0 and job_id not in self.stored:
            # Somebody else was first, or the answer to our own store is lost.
            self.stored[job_id] = ["another", effect.token][self.choose(2)]
        if how < 2:
            self._unknown(effect.token)
        elif job_id in self.stored or how == 2:
            self.tell(events.ResultConflict(effect.token))
        else:
            self.stored[job_id] = effect.token
            self.tell(events.ResultStored(effect.token))

    def _outcomes(self, effect: effects.SendOutcomes, bad: bool) -> None:
        if bad:
            self.tell(events.OutcomesAnswered(()))
            return
        names = []
        for outcome in effect.report.outcomes:
            kind = type(outcome).__struct_config__.tag
            names.append(f"{outcome.token}/{kind}")
            if kind == "attempt_failed":
                self.failed.add(outcome.token)
        self.tell(events.OutcomesAnswered(tuple(names)))

    def worker_works(self) -> None:
        """A worker takes its next step."""
        steps = [e for e in self.open if isinstance(e, effects.StartWorker | effects.RunOnWorker)]
        if steps:
            self.work(steps[self.choose(len(steps))], faults=True)

    def work(self, effect: Any, *, faults: bool) -> None:
        fate = self.choose(6) if faults else 5
        worker = self.rig.engine.core.workers.get(effect.worker_id)
        if isinstance(effect, effects.StartWorker):
            if worker is not None and worker.state is WorkerState.STARTING:
                self.tell(events.WorkerReady(effect.worker_id, self.alive[effect.worker_id][2]))
                return
            self.open.remove(effect)
            if fate == 0:
                self.tell(events.LoadFailed(effect.worker_id, "load_failed", "broken"))
            else:
                self.tell(events.ModelLoaded(effect.worker_id, 1.0, None))
            return
        token = effect.job.run_id
        if fate == 0:
            self._end_run(token, events.RunFailed(token, "out_of_memory", "no memory", None, 1.0, 9000))
        elif fate == 1:
            self._end_run(token, events.RunFailed(token, "adapter_error", "boom"))
        elif fate == 2:
            self.tell(events.RunProgressed(token, 0.5))
        else:
            files = (output(),) if fate == 3 else ()
            peak, held = 500 * self.choose(12), 500 * self.choose(12)
            ended = events.RunFinished(token, {"success": True}, files, 2.0, 4000, host_peak_mb=peak, host_held_mb=held)
            # An adapter that says nothing itself, as those on the CPU lane.
            self._end_run(token, ended if peak % 1000 else msgspec.structs.replace(ended, vram_peak_mb=None))

    def _end_run(self, token: str, event: events.Event) -> None:
        self.extras.pop(token, None)
        self.open = [e for e in self.open if not (isinstance(e, effects.RunOnWorker) and e.job.run_id == token)]
        self.tell(event)

    # -- the end

    def calm_down(self, *, leave: bool) -> None:
        """Faults stop: everything is answered as it should be, until nothing is left to do."""
        if not self.rig.engine.core.connected:
            self.tell(events.Connected())
        if leave:
            self.tell(events.DrainRequested(leave=True))
        self.lingering.clear()
        for _ in range(400):
            for effect in list(self.open):
                if effect in self.open:
                    if isinstance(effect, effects.StartWorker | effects.RunOnWorker):
                        self.work(effect, faults=False)
                    else:
                        self.answer(effect, faults=False)
            self.lingering.clear()
            core = self.rig.engine.core
            if not core.runs and not core.outcomes and (not leave or self.left):
                return
            self.rig.pass_time(0.5)
            self._take_in()
        states = {token: run.state for token, run in self.rig.engine.core.runs.items()}
        raise AssertionError(f"not calm after 200 s: {states}, outcomes {list(self.rig.engine.core.outcomes)}")

    def check_ends(self) -> None:
        """Every accepted attempt has exactly one end that the world knows of."""
        for token, award in self.accepted.items():
            stored = self.stored.get(award.job_id)
            if token not in self.failed:
                assert stored is not None, f"{token} vanished"
            if stored == token and token not in self.forbidden:
                assert token not in self.failed, f"{token} has a result and a failure"
        assert all(run.state is not RunState.STORING for run in self.rig.engine.core.runs.values())
