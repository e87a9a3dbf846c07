"""Drives one agent engine by hand: hands it events, keeps what it wants done, checks its invariants each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import (
    AnyCommand,
    AttemptFailed,
    Award,
    AwardAnswer,
    AwardJobs,
    AwardsAnswered,
    CallAnswered,
    CallForBids,
    Cancel,
    CancelAttempts,
    CancelsNoted,
    Lot,
)
from pocket3d.contracts.jobs import Job, Limits
from pocket3d.contracts.lifecycle import Priority
from pocket3d.contracts.messages import Artifact
from pocket3d.contracts.worker_frames import AdapterDescription, OutputFile
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.engine.engine import AgentEngine
from pocket3d.gpu_agents.engine.records import Run, Worker
from pocket3d.gpu_agents.engine.state import Identity
from pocket3d.gpu_agents.settings import AgentSettings

E = TypeVar("E")
EPOCH = 100


def fixed(total_mb: int = 16_000, *, number: int = 0, buffer_mb: int = 0, cap: int | None = None) -> DeviceSpec:
    """A simulated device."""
    return DeviceSpec(
        id=f"fixed-{number}",
        kind="cuda",
        name="simulated",
        total_mb=total_mb,
        buffer_mb=buffer_mb,
        simulated=True,
        visible="",
        max_running=cap,
    )


def gpu(total_mb: int = 16_000, *, number: int = 0, buffer_mb: int = 1000) -> DeviceSpec:
    """A real GPU, measured by a probe."""
    uuid = f"GPU-{number}"
    return DeviceSpec(
        id=uuid, kind="cuda", name="real", total_mb=total_mb, buffer_mb=buffer_mb, simulated=False, visible=uuid
    )


def cpu(total_mb: int = 8_000) -> DeviceSpec:
    """A CPU lane."""
    return DeviceSpec(id="cpu-0", kind="cpu", name="CPU", total_mb=total_mb, buffer_mb=0, simulated=False, visible="")


def adapter(adapter_id: str = "alpha", vram_mb: int = 6000, **changes: Any) -> AdapterDescription:
    """An adapter that serves `text_to_mesh` on cuda, one job at a time."""
    values: dict[str, Any] = {"feature": "text_to_mesh", "available": True, "devices": ["cuda"], "max_concurrent": 1}
    return AdapterDescription(adapter_id=adapter_id, vram_mb=vram_mb, **(values | changes))


def output(name: str = "mesh.glb") -> OutputFile:
    return OutputFile(name=name, path=f"/tmp/{name}", size=10)


def artifact(token: str, name: str = "mesh.glb") -> Artifact:
    return Artifact(
        name=name,
        bucket="P3D_OUTPUTS",
        object=f"job/{token}/{name}",
        size=10,
        sha256="00",
        media_type="model/gltf-binary",
    )


class AgentRig:
    """One engine, its time, and everything it ever wanted."""

    def __init__(
        self,
        devices: Sequence[DeviceSpec] | None = None,
        adapters: Sequence[AdapterDescription] | None = None,
        *,
        connected: bool = True,
        **settings: Any,
    ) -> None:
        self.now = Now(1000.0, 1_790_000_000.0)
        self.engine = AgentEngine(
            AgentSettings(**settings),
            Identity("agent-1", "1790000000000-abc", "host", 42, "0.1"),
            [fixed()] if devices is None else devices,
        )
        self.log: list[effects.Effect] = []
        self._request = 0
        self._awards = 0
        self.tell(events.AdaptersDescribed(tuple([adapter()] if adapters is None else adapters)))
        self.tell(events.Tick())
        if connected:
            self.tell(events.Connected())
            self.tell(events.StorageChecked())

    # -- events and time

    def tell(self, event: events.Event) -> list[effects.Effect]:
        """Hand over an event; what the engine wants done about it."""
        wanted = self.engine.handle(event, self.now)
        self.engine.check()
        self.log += wanted
        return wanted

    def pass_time(self, seconds: float, step: float = 0.5) -> list[effects.Effect]:
        """Let time pass in ticks of at most `step` seconds."""
        wanted: list[effects.Effect] = []
        left = seconds
        while left > 1e-9:
            part = min(step, left)
            left -= part
            self.now = Now(self.now.mono + part, self.now.wall + part)
            wanted += self.tell(events.Tick())
        return wanted

    def pause(self, seconds: float) -> list[effects.Effect]:
        """The process stands still; then one late tick."""
        self.now = Now(self.now.mono + seconds, self.now.wall + seconds)
        return self.tell(events.Tick())

    def command(self, command: AnyCommand) -> list[effects.Effect]:
        self._request += 1
        return self.tell(events.CommandReceived(command, self._request))

    # -- what a coordinator does

    def call(
        self, lot: Lot | None = None, *more: Lot, epoch: int = EPOCH, variant_wait_s: float = 0.0, **fields: Any
    ) -> CallAnswered:
        """Call for bids; the answer."""
        lots = [lot or Lot(lot=0, feature="text_to_mesh", **fields), *more]
        call = CallForBids(coordinator_id="c", epoch=epoch, call_id=1, lots=lots, variant_wait_s=variant_wait_s)
        wanted = self.command(call)
        return only(wanted, effects.SendBids).answer

    def make_award(
        self,
        adapter_id: str = "alpha",
        device: str | None = None,
        *,
        token: str | None = None,
        vram_mb: int | None = None,
        raised_mb: int | None = None,
        limits: Limits | None = None,
        feature: str = "text_to_mesh",
        inputs: dict[str, Any] | None = None,
        priority: Priority = "normal",
        variant: str | None = None,
        named: str | None = None,
    ) -> Award:
        self._awards += 1
        inputs = inputs or {"text_prompt": "a chair"}
        return Award(
            job_id=f"job-{self._awards}",
            feature=feature,
            attempt=1,
            token=token or f"{EPOCH}-{self._awards}",
            adapter_id=adapter_id,
            device=device or next(iter(self.engine.core.devices)),
            job=Job(inputs=inputs, vram_mb=vram_mb, limits=limits or Limits(), metadata={"n": 1}, variant=named),
            submitted_at="2026-11-23T21:50:00.000Z",
            queued_s=0.5,
            vram_mb=raised_mb,
            priority=priority,
            variant=variant,
        )

    def give(self, *awards: Award, epoch: int = EPOCH) -> list[AwardAnswer]:
        """Award; the answers."""
        wanted = self.command(AwardJobs(coordinator_id="c", epoch=epoch, awards=list(awards)))
        reply = only(wanted, effects.Reply).message
        assert isinstance(reply, AwardsAnswered)
        return reply.answers

    def take(self, adapter_id: str = "alpha", device: str | None = None, **fields: Any) -> str:
        """Award one job that must be accepted; its token."""
        award = self.make_award(adapter_id, device, **fields)
        (answer,) = self.give(award)
        assert answer.accepted, answer.reason
        return award.token

    def refused(self, adapter_id: str = "alpha", device: str | None = None, **fields: Any) -> AwardAnswer:
        """Award one job that must be declined; the answer."""
        (answer,) = self.give(self.make_award(adapter_id, device, **fields))
        assert not answer.accepted
        return answer

    def cancel(self, token: str) -> CancelsNoted:
        """Cancel an attempt; the answer."""
        command = CancelAttempts(coordinator_id="c", epoch=EPOCH, cancels=[Cancel(job_id="job", token=token)])
        reply = only(self.command(command), effects.Reply).message
        assert isinstance(reply, CancelsNoted)
        return reply

    # -- what the service answers

    def fetch(self, token: str) -> list[effects.Effect]:
        return self.tell(events.InputsFetched(token, {"text_prompt": "a chair"}, f"/j/{token}", f"/j/{token}/out"))

    def start_worker(self, worker_id: str, pid: int = 77, vram_mb: int | None = None) -> list[effects.Effect]:
        """A worker comes up and loads."""
        wanted = self.tell(events.WorkerReady(worker_id, pid))
        return wanted + self.tell(events.ModelLoaded(worker_id, 2.0, vram_mb))

    def run(self, token: str, pid: int = 77) -> None:
        """Bring an accepted run onto its worker."""
        self.fetch(token)
        worker = self.run_of(token).worker
        if not worker.loaded:
            self.start_worker(worker.worker_id, pid)
        assert self.state(token) == "running"

    def finish(self, token: str, run_s: float = 1.0, peak_mb: int | None = None) -> None:
        """The run succeeds and its result is stored."""
        self.tell(events.RunFinished(token, {"success": True}, (), run_s, peak_mb))
        self.tell(events.ResultStored(token))

    def warm(
        self, adapter_id: str = "alpha", device: str | None = None, pid: int = 77, variant: str | None = None
    ) -> str:
        """Leave an idle worker of an adapter behind; its id."""
        token = self.take(adapter_id, device, variant=variant)
        self.run(token, pid)
        worker_id = self.run_of(token).worker.worker_id
        self.finish(token)
        return worker_id

    def note(self) -> None:
        """The coordinator takes all outcomes."""
        names = tuple(self.engine.core.outcomes)
        if self.engine.core.outcomes_in_flight:
            self.tell(events.OutcomesAnswered(names))

    def probe(self, free: Mapping[str, int], pids: Mapping[str, dict[int, int] | None] | None = None) -> list[Any]:
        """A measurement of now."""
        readings = {device: Reading(mb, (pids or {}).get(device)) for device, mb in free.items()}
        return self.tell(events.ProbeRead(readings, self.now.mono))

    # -- questions

    def run_of(self, token: str) -> Run:
        return self.engine.core.runs[token]

    def state(self, token: str) -> str:
        run = self.engine.core.runs.get(token)
        return run.state.value if run else "done"

    def worker(self, worker_id: str) -> Worker:
        return self.engine.core.workers[worker_id]

    def worker_ids(self) -> list[str]:
        return list(self.engine.core.workers)

    def failure(self, token: str) -> AttemptFailed:
        """The failure that is being reported."""
        outcome = self.engine.core.outcomes[f"{token}/attempt_failed"]
        assert isinstance(outcome, AttemptFailed)
        return outcome

    def all(self, kind: type[E]) -> list[E]:
        """Everything of one kind that the engine ever wanted."""
        return [effect for effect in self.log if isinstance(effect, kind)]


def of(wanted: Sequence[effects.Effect], kind: type[E]) -> list[E]:
    """The effects of one kind."""
    return [effect for effect in wanted if isinstance(effect, kind)]


def only(wanted: Sequence[effects.Effect], kind: type[E]) -> E:
    """The one effect of a kind."""
    found = of(wanted, kind)
    assert len(found) == 1, wanted
    return found[0]
