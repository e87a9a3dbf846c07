"""An agent in the simulation: the real engine, fed and obeyed as the agent's service does it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pocket3d.contracts.commands import AttemptFailed, OutcomesNoted
from pocket3d.contracts.messages import Artifact
from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.gpu_agents import effects, events
from pocket3d.gpu_agents.devices import DeviceSpec
from pocket3d.gpu_agents.engine import AgentEngine
from pocket3d.gpu_agents.engine_core import Identity
from pocket3d.gpu_agents.settings import AgentSettings

from .clock import Timer
from .network import Failure, Network, Refused, Reply
from .process import Process
from .server import Server
from .tasks import Wait, Work, sleep, spawn
from .workers import DeviceWorld, WorkerHostModel

#: As in the service, seconds.
_OUTCOME_TIMEOUT_S = 2.0
_SHORTEST_S = 0.001
#: Moving a job's files takes up to so long.
_TRANSFER_S = 1.2


class SimulatedAgent:
    """One agent process through all its lives.

    Args:
        process: its process.
        agent_id: may be that of another process too (two agents with one id).
        network: its links.
        server: the model of the server.
        settings: of the engine.
        devices: what it owns, for all its lives.
        adapters: what it knows.
        attempts: runs of each job so far, over all agents.
        pids: gives process ids.
        rng: chance.
    """

    def __init__(
        self,
        process: Process,
        agent_id: str,
        network: Network,
        server: Server,
        settings: AgentSettings,
        devices: Sequence[DeviceSpec],
        adapters: Sequence[AdapterDescription],
        attempts: dict[str, int],
        pids: Callable[[], int],
        rng: random.Random,
    ) -> None:
        self.process = process
        self.agent_id = agent_id
        self.network = network
        self.server = server
        self._settings = settings
        self._devices = list(devices)
        self._adapters = list(adapters)
        self._attempts = attempts
        self._pids = pids
        self._rng = rng
        self.worlds: dict[str, DeviceWorld] = {d.id: DeviceWorld(d, process.clock) for d in devices}
        self._measured = [d.id for d in devices if not d.simulated]
        self.engine: AgentEngine | None = None
        self.host: WorkerHostModel | None = None
        self.left = False
        self.checks = True
        #: Failures that it ever reported: (job, attempt, agent, code).
        self.said: set[tuple[str, int, str, str]] = set()
        #: Called when it has left by its own doing.
        self.on_exit: Callable[[], None] = lambda: None

    # -- life

    def start(self) -> None:
        """Begin a life."""
        process = self.process
        born = int(process.now.wall * 1000)
        identity = Identity(self.agent_id, f"{born}-{self._rng.randrange(16**8):08x}", "host", 1, "sim")
        self.engine = AgentEngine(self._settings, identity, self._devices)
        self.host = WorkerHostModel(
            process,
            self._rng,
            {a.adapter_id: a for a in self._adapters},
            self.worlds,
            self.tell,
            self._attempts,
            self._pids,
            lambda: self.network.faulty,
        )
        self.left = False
        self._requests: dict[int, Reply] = {}
        self._numbers = itertools.count(1)
        self._timer: Timer | None = None
        #: Token -> how often its work was given up: an answer to earlier work is dropped.
        self._given_up: dict[str, int] = {}
        self.network.attach(process, self._on_connection)
        self.tell(events.Tick())
        self.tell(events.AdaptersDescribed(tuple(self._adapters)))
        self.network.subscribe(process, f"cmd.{self.agent_id}", self._on_command)
        if process.connected:
            self.tell(events.Connected())

    def crash(self) -> None:
        """Killed: its workers die with it."""
        host = self.host
        self.process.crash()
        if host is not None:
            host.die()

    def _on_connection(self, up: bool) -> None:
        self.tell(events.Connected() if up else events.Disconnected())

    def _on_command(self, message: Any, reply: Reply | None) -> None:
        number = None
        if reply is not None:
            number = next(self._numbers)
            self._requests[number] = reply
        self.tell(events.CommandReceived(message, number))
        if number is not None:
            self._requests.pop(number, None)

    def tell(self, event: events.Event) -> None:
        """Hand an event to the engine, check it, and perform what it wants."""
        engine = self.engine
        if engine is None or self.left or not self.process.alive:
            return
        wanted = engine.handle(event, self.process.now)
        if self.checks:
            engine.check()
        for effect in wanted:
            _PERFORM[type(effect)](self, effect)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.engine is None or self.left:
            return
        now = self.process.now
        wait = max(self.engine.next_deadline(now) - now.mono, _SHORTEST_S)
        self._timer = self.process.later(wait, lambda: self.tell(events.Tick()))

    # -- messages

    def _advert(self, effect: effects.PublishAdvert) -> None:
        self.network.publish(self.process, "advert", effect.advert)

    def _bids(self, effect: effects.SendBids) -> None:
        self.network.publish(self.process, f"bids.{effect.coordinator_id}", effect.answer)

    def _nothing(self, effect: effects.Effect) -> None:
        """Progress is for eyes; an operator's refusal is not waited for here."""

    def _reply(self, effect: effects.Reply) -> None:
        reply = self._requests.pop(effect.request, None)
        if reply is not None and self.process.connected:
            reply(effect.message)

    def _outcomes(self, effect: effects.SendOutcomes) -> None:
        for outcome in effect.report.outcomes:
            if isinstance(outcome, AttemptFailed):
                self.said.add((outcome.job_id, outcome.attempt, self.agent_id, outcome.code))

        def answered(answer: Any) -> None:
            if isinstance(answer, OutcomesNoted):
                self.tell(events.OutcomesAnswered(tuple(answer.noted)))
            else:
                self.tell(events.OutcomesUnanswered())

        self.network.request(self.process, "outcome", effect.report, _OUTCOME_TIMEOUT_S, answered)

    # -- results

    def _call(self, operation: Callable[[], Any], *, writes: bool = False) -> Wait:
        return lambda done: self.network.call(self.process, operation, done, writes=writes)

    def _store(self, effect: effects.StoreResult) -> None:
        spawn(self._store_result(effect))

    def _store_result(self, effect: effects.StoreResult) -> Work:
        answer = yield self._call(lambda: self.server.publish_result(effect.result, effect.expect_last), writes=True)
        if isinstance(answer, Refused):
            self.tell(events.ResultConflict(effect.token))
        elif isinstance(answer, Failure):
            self.tell(events.ResultUnknown(effect.token, "no answer"))
        else:
            self.tell(events.ResultStored(effect.token))

    def _read(self, effect: effects.ReadResult) -> None:
        spawn(self._read_result(effect))

    def _read_result(self, effect: effects.ReadResult) -> Work:
        answer = yield self._call(lambda: self.server.last_result(effect.job_id) or 0)
        if isinstance(answer, Failure):
            self.tell(events.ResultUnknown(effect.token, "no answer"))
        else:
            self.tell(events.ResultRead(effect.token, (answer.token or "") if answer else None))

    # -- files

    def _fetch(self, effect: effects.FetchInputs) -> None:
        job_dir = f"/work/{effect.token}"
        given_up = self._given_up.get(effect.token, 0)
        answer: events.Event = events.InputsFetched(effect.token, dict(effect.inputs), job_dir, f"{job_dir}/out")
        if effect.inputs.get("behave") == "no_artifact":
            answer = events.InputsFailed(effect.token, "artifact_missing", "it is gone", "inputs.mesh_path")

        def fetched() -> None:
            if self._given_up.get(effect.token, 0) == given_up:
                self.tell(answer)

        self.process.later(self._rng.uniform(0.0, _TRANSFER_S), fetched)

    def _upload(self, effect: effects.UploadOutputs) -> None:
        spawn(self._upload_outputs(effect))

    def _upload_outputs(self, effect: effects.UploadOutputs) -> Work:
        given_up = self._given_up.get(effect.token, 0)
        names = [f"{effect.job_id}/{effect.token}/{file.name}" for file in effect.files]
        yield sleep(self.process, self._rng.uniform(0.0, _TRANSFER_S))
        answer = yield self._call(lambda: self.server.objects.update(names), writes=True)
        if self._given_up.get(effect.token, 0) != given_up:
            return
        if isinstance(answer, Failure):
            self.tell(events.UploadFailed(effect.token, "no answer"))
            return
        artifacts = tuple(
            Artifact(
                name=file.name,
                bucket="P3D_OUTPUTS",
                object=name,
                size=file.size,
                sha256="00",
                media_type="model/gltf-binary",
            )
            for file, name in zip(effect.files, names, strict=True)
        )
        self.tell(events.OutputsUploaded(effect.token, artifacts))

    def _drop(self, effect: effects.DropArtifacts) -> None:
        names = [f"{effect.job_id}/{effect.token}/{name}" for name in effect.names]
        self.network.call(
            self.process, lambda: self.server.objects.difference_update(names), lambda answer: None, writes=True
        )

    def _clean_up(self, effect: effects.CleanUp) -> None:
        self._given_up[effect.token] = self._given_up.get(effect.token, 0) + 1

    # -- workers and devices

    def _start_worker(self, effect: effects.StartWorker) -> None:
        assert self.host is not None
        self.host.start(effect)

    def _run(self, effect: effects.RunOnWorker) -> None:
        assert self.host is not None
        self.host.run(effect)

    def _cancel(self, effect: effects.CancelOnWorker) -> None:
        assert self.host is not None
        self.host.cancel(effect)

    def _stop_worker(self, effect: effects.StopWorker) -> None:
        assert self.host is not None
        self.host.stop(effect)

    def _measure(self, effect: effects.ProbeNow) -> None:
        assert self.host is not None
        host, taken_at = self.host, self.process.now.mono
        readings = host.probe(self._measured)
        self.process.later(0.01, lambda: self.tell(events.ProbeRead(readings, taken_at)))

    def _exit(self, effect: effects.Exit) -> None:
        self.left = True
        self.process.later(0.0, self._end)

    def _end(self) -> None:
        self.crash()
        self.on_exit()


_PERFORM: Mapping[type[Any], Callable[[SimulatedAgent, Any], None]] = {
    effects.PublishAdvert: SimulatedAgent._advert,
    effects.Reply: SimulatedAgent._reply,
    effects.RefuseRequest: SimulatedAgent._nothing,
    effects.SendBids: SimulatedAgent._bids,
    effects.SendOutcomes: SimulatedAgent._outcomes,
    effects.PublishProgress: SimulatedAgent._nothing,
    effects.FetchInputs: SimulatedAgent._fetch,
    effects.StartWorker: SimulatedAgent._start_worker,
    effects.RunOnWorker: SimulatedAgent._run,
    effects.CancelOnWorker: SimulatedAgent._cancel,
    effects.StopWorker: SimulatedAgent._stop_worker,
    effects.UploadOutputs: SimulatedAgent._upload,
    effects.StoreResult: SimulatedAgent._store,
    effects.ReadResult: SimulatedAgent._read,
    effects.DropArtifacts: SimulatedAgent._drop,
    effects.CleanUp: SimulatedAgent._clean_up,
    effects.ProbeNow: SimulatedAgent._measure,
    effects.Exit: SimulatedAgent._exit,
}
