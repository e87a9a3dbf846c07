"""`ModelScheduler`: models of this program, run by a whole system that starts and stops with it.

    async with ModelScheduler() as scheduler:
        scheduler.register_model(MyAdapter(vram_requirement=6144))
        job_id = await scheduler.schedule_job(JobRequest("text_to_mesh", {"text_prompt": "a red chair"}))
        result = await scheduler.wait(job_id)
        print(result.outputs["output_mesh_path"])

It schedules nothing itself: behind it are a nats-server, a coordinator and an agent (`scheduler_system`), and each
model runs in a worker process that builds it anew from its class and its constructor's arguments.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import structlog

from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.bus.client import Client
from pocket3d.bus.client.errors import ClientError, WaitTimeout
from pocket3d.bus.client.handle import JobHandle
from pocket3d.bus.port import BusError
from pocket3d.contracts.adapter_ids import with_ours
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.messages import Result
from pocket3d.contracts.variants import variant_named
from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.gpu_agents.io.describe import DeclaredAdapter

from .embed.gpu import GPUMonitor
from .embed.local_files import local, with_files
from .embed.models import NotRebuildable, declaration, entry_for
from .embed.system import EmbeddedSystem
from .logging import into_standard_library

__all__ = ["CannotStart", "GPUMonitor", "JobRequest", "ModelScheduler", "NoModel", "NotRebuildable"]

log = structlog.get_logger(__name__)

#: As `--models`.
MODELS_VARIABLE = "POCKET3D_MODELS"

#: A job that waits is asked for its reasons after so long, then after twice as long each time, seconds.
_FIRST_POLL_S = 0.5
_LONGEST_POLL_S = 15.0
#: Reasons that waiting does not change while nobody else can join.
_FOR_GOOD = {DeclineCode.VRAM_TOTAL.value, DeclineCode.NO_DEVICE.value}


class NoModel(LookupError):
    """No registered model serves the job; the message lists those that there are."""


class CannotStart(RuntimeError):
    """The job can never start on this machine's devices; the message says which model lacks what.

    Attributes:
        reasons: one for each model and device.
    """

    def __init__(self, job_id: str, reasons: Sequence[Reason]) -> None:
        hint = ""
        if any(reason.code == DeclineCode.NO_DEVICE.value for reason in reasons):
            hint = ' (an adapter that can also do without a GPU says so in its class: devices = ("cuda", "cpu"))'
        super().__init__(f"job {job_id} cannot start here: {'; '.join(_words(reason) for reason in reasons)}{hint}")
        self.reasons = list(reasons)


@dataclass(frozen=True)
class JobRequest:
    """What is asked for.

    Args:
        feature: e.g. `text_to_mesh`.
        inputs: its parameters. What stands under a key that ends in `_path` (or in a list under `_paths`) is a file of
            this machine.
        priority: `high`, `normal` or `low`.
        model_preference: a model's id, or several, best first; others are not taken. The id is the model's `model_id`,
            or the one under which the registry made it.
        job_id: 1 to 64 letters, digits, - and _; by default a random one.
        metadata: comes back with the result.
        limits: `schedule_to_start_s`, `start_to_close_s`, `load_s`, in seconds.
        retry: `max_attempts` (3), `initial_s`, `factor`, `cap_s`: what becomes of attempts that fail.
        variant: the model's variant in which it must run; by default the best that can start.
    """

    feature: str
    inputs: Mapping[str, Any]
    priority: str = "normal"
    model_preference: str | Sequence[str] | None = None
    job_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None
    retry: Mapping[str, Any] | None = None
    variant: str | None = None


class ModelScheduler:
    """Runs the registered models on this machine's devices.

    Its services share the event loop of `start`: a program that blocks the loop holds up its jobs, and loses none.

    Args:
        gpu_monitor: which devices to use, and how much of each to keep free.
        models: a `models.yaml` (as `pocket3d adapters install` writes it): registered models that have an entry there
            run in its environment. By default `POCKET3D_MODELS`, else none.
        outputs: folder for results' files, one folder for each job in it.
        store: folder in which jobs and results are kept from one start to the next; None for none of that.
        drain_s: what runs at `stop` is given so long to end, seconds.

    Raises:
        ModelsFileError: `models` is wrong; says where.
    """

    def __init__(
        self,
        gpu_monitor: GPUMonitor | None = None,
        *,
        models: str | Path | None = None,
        outputs: str | Path = "outputs",
        store: str | Path | None = None,
        drain_s: float = 3.0,
    ) -> None:
        self.gpu_monitor = gpu_monitor if gpu_monitor is not None else GPUMonitor()
        file = models if models is not None else os.environ.get(MODELS_VARIABLE)
        self._configured = load_models_yaml(file).adapters if file else []
        self._outputs = Path(outputs).expanduser().absolute()
        self._store = None if store is None else Path(store)
        self._drain_s = drain_s
        self._system: EmbeddedSystem | None = None
        self._registered: dict[str, tuple[BaseModel, DeclaredAdapter]] = {}
        #: Not yet told to the agent.
        self._new: list[DeclaredAdapter] = []
        self._described: dict[str, AdapterDescription] = {}
        self._declaring = asyncio.Lock()
        #: Jobs of this object that nobody has waited for to the end.
        self._jobs: dict[str, JobHandle] = {}

    async def __aenter__(self) -> ModelScheduler:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- models

    def register_model(
        self,
        model: BaseModel,
        *,
        python: str | None = None,
        env: Mapping[str, str] | None = None,
        path: Sequence[str | Path] = (),
        accept_license: bool = False,
    ) -> str:
        """Have jobs run on a model, from now on or from `start` on; it is not loaded before the first one comes.

        Args:
            model: an adapter, not loaded; it stays as it is, workers build their own.
            python: interpreter of the model's own environment; by default that of `models.yaml`, else this one.
            env: variables of its workers.
            path: folders for its workers' `sys.path`, before those of this process.
            accept_license: your yes to the terms of its code and weights, for those that ask for it.

        Returns:
            The id that `model_preference` and results use: its `model_id`.

        Raises:
            NotRebuildable: a worker process could not build it; the message says what to do.
            ValueError: another model of that id is registered.
            TypeError: not an adapter.
        """
        if not isinstance(model, BaseModel):
            raise TypeError(f"{model!r} is no adapter: its class must derive from pocket3d.adapters.base.BaseModel")
        declared = declaration(
            model,
            python=python,
            env=env,
            path=path,
            accept_license=accept_license,
            configured=entry_for(model, self._configured),
        )
        adapter_id = declared.spec.adapter_id
        known = self._registered.get(adapter_id)
        if known is not None:
            if known[0] is model:
                return adapter_id
            raise ValueError(f"a model {adapter_id!r} is registered already; give this one another model_id")
        self._registered[adapter_id] = model, declared
        self._new.append(declared)
        return adapter_id

    async def models(self) -> list[AdapterDescription]:
        """The registered models as the agent sees them: requirement, parameters, licence, and why one is not available.

        Raises:
            RuntimeError: not started.
        """
        await self._declare_new()
        return list(self._described.values())

    async def _declare_new(self) -> None:
        """The agent and the coordinator know every registered model when this returns."""
        system = self._running()
        async with self._declaring:
            while self._new:
                new, self._new = self._new, []
                self._described.update((each.adapter_id, each) for each in await system.declare(new))

    # -- life

    async def start(self) -> None:
        """Start the system; returns when jobs can be scheduled. Does nothing if it runs.

        Raises:
            DeviceSpecError: the devices are not there.
            ServerError: the NATS server does not start; the message says what to do.
        """
        if self._system is not None:
            return
        into_standard_library()
        system = EmbeddedSystem(self.gpu_monitor, self._store, self._drain_s)
        await system.start([])
        self._system = system
        self._new = [declared for _, declared in self._registered.values()]
        self._described.clear()
        await self._declare_new()

    async def stop(self) -> None:
        """Stop it: what runs has `drain_s` to end, what waits is kept in the store or lost with it."""
        system, self._system = self._system, None
        self._jobs.clear()
        if system is not None:
            await system.stop()
        self.gpu_monitor.close()

    @property
    def url(self) -> str:
        """Of its NATS server, for the command line and other clients on this machine.

        Raises:
            RuntimeError: not started.
        """
        return self._running().url

    @property
    def client(self) -> Client:
        """For what this class does not offer: progress, cancelling, the agents' state.

        Raises:
            RuntimeError: not started.
        """
        return self._running().client

    def _running(self) -> EmbeddedSystem:
        if self._system is None:
            raise RuntimeError("the scheduler is not started; await scheduler.start() first")
        return self._system

    # -- jobs

    async def schedule_job(self, job: JobRequest) -> str:
        """Take a job, its files included; returns its id when it is stored.

        Raises:
            NoModel: no registered model serves it, or has its variant.
            JobRefused: it is wrong; `field` says where.
            RuntimeError: not started.
        """
        system = self._running()
        await self._declare_new()
        handle = await system.client.submit(
            job.feature,
            {key: local(key, value) for key, value in job.inputs.items()},
            priority=job.priority,
            model_preference=self._preference(job),
            job_id=job.job_id,
            metadata=job.metadata,
            limits=job.limits,
            retry=job.retry,
            variant=job.variant,
        )
        self._jobs[handle.job_id] = handle
        return handle.job_id

    def _preference(self, job: JobRequest) -> list[str] | None:
        """The models asked for, by the ids that the agent knows."""
        feature = canonical(job.feature)
        serving = [each.adapter_id for each in self._described.values() if each.feature == feature]
        listed = ", ".join(f"{each.adapter_id} ({each.feature})" for each in self._described.values()) or "none"
        if not serving:
            raise NoModel(f"no registered model serves {job.feature}; registered: {listed}")
        if job.model_preference is None:
            self._check_variant(job, serving)
            return None
        asked = [job.model_preference] if isinstance(job.model_preference, str) else list(job.model_preference)
        wanted = [known for name in with_ours(asked) for known in serving if name in self._names(known)]
        if not wanted:
            raise NoModel(f"no registered model for {job.feature} is called {' or '.join(asked)}; registered: {listed}")
        self._check_variant(job, wanted)
        return list(dict.fromkeys(wanted))

    def _check_variant(self, job: JobRequest, among: Sequence[str]) -> None:
        """Raises `NoModel` if none of these has the variant; of one that is not available that is not known."""
        models = [self._described[name] for name in dict.fromkeys(among)]
        if job.variant is None or any(not m.available or variant_named(m.variants, job.variant) for m in models):
            return
        listed = ", ".join(f"{m.adapter_id} has {', '.join(v.name for v in m.variants) or 'none'}" for m in models)
        raise NoModel(f"no registered model for {job.feature} has a variant {job.variant}: {listed}")

    def _names(self, adapter_id: str) -> tuple[str | None, ...]:
        model, _ = self._registered[adapter_id]
        return (adapter_id, model.model_id, model.registered_id)

    async def wait(self, job_id: str, timeout: float | None = None) -> Result:
        """A job's result, whether it succeeded or not: look at `status` and `error`. Its files lie on this machine:
        what its `outputs` say under `_path` keys are absolute paths inside the scheduler's `outputs` folder.

        Args:
            job_id: from `schedule_job`.
            timeout: seconds; None waits for as long as it takes.

        Raises:
            WaitTimeout: no result in time; the job goes on.
            CannotStart: it would wait for ever, since no device here can hold a model that serves it.
            ApiRefused: no such job.
            ArtifactBroken, OSError: its files cannot be had, or not be written.
            RuntimeError: not started, or a part of the system has ended.
        """
        system = self._running()
        handle = self._jobs.get(job_id)
        if handle is None:
            handle = system.client.job(job_id)
            await handle.status()
        result: Result = await system.unless_failed(self._ended(handle, timeout))
        self._jobs.pop(job_id, None)
        if result.status != "succeeded" or not result.artifacts:
            return result
        files = await handle.download(self._outputs)
        named = {artifact.name: str(path) for artifact, path in zip(result.artifacts, files, strict=True)}
        return msgspec.structs.replace(result, outputs=with_files(result.outputs, named))

    async def _ended(self, handle: JobHandle, timeout: float | None) -> Result:
        loop = asyncio.get_running_loop()
        ends = None if timeout is None else loop.time() + timeout
        pause_s = _FIRST_POLL_S
        while True:
            left_s = pause_s if ends is None else min(pause_s, max(0.0, ends - loop.time()))
            try:
                return await handle.result(left_s)
            except WaitTimeout as error:
                if ends is not None and loop.time() >= ends:
                    raise WaitTimeout(handle.job_id, timeout or 0.0, str(error).partition("; ")[2]) from error
            await self._check_hope(handle)
            pause_s = min(2 * pause_s, _LONGEST_POLL_S)

    async def _check_hope(self, handle: JobHandle) -> None:
        """Raises `CannotStart` if the job waits for what will not come; a model that is being registered may be it."""
        if self._new or self._declaring.locked():
            return
        try:
            reasons = (await handle.explain()).reasons
        except (BusError, ClientError) as error:
            # It has just ended, or nobody can be asked: the wait goes on.
            log.debug("nobody could say why the job waits", job_id=handle.job_id, error=str(error))
            return
        if reasons and all(reason.code in _FOR_GOOD for reason in reasons):
            raise CannotStart(handle.job_id, reasons)


def _words(reason: Reason) -> str:
    who = reason.adapter_id or "no model"
    if reason.need_mb is not None:
        return f"{who} needs {reason.need_mb} MB, {reason.device} has {reason.have_mb} MB for models"
    return f"{who}: {reason.message or reason.code}"
