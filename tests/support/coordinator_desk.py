"""A desk for the coordinator's engine: hands it events at a time of our own, keeps its effects, checks it each time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import (
    AgentRecord,
    AttemptFailed,
    AttemptStarted,
    AwardAnswer,
    AwardsAnswered,
    BidDeclined,
    BidPlaced,
    CallAnswered,
    OutcomesReported,
    Reason,
)
from pocket3d.contracts.jobs import Job, admit
from pocket3d.contracts.lifecycle import JobState, Priority
from pocket3d.contracts.messages import (
    AdapterOffer,
    Advert,
    DeviceState,
    Resident,
    Result,
    RunningJob,
    Status,
)
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.engine import CoordinatorEngine
from pocket3d.coordinator.engine.job import JobRecord
from pocket3d.coordinator.settings import CoordinatorSettings

E = TypeVar("E", bound=effects.Effect)

#: Unix seconds at monotonic 0.
EPOCH_WALL = 1_795_000_000.0


def offer(
    adapter_id: str = "echo", feature: str = "echo", vram_mb: int = 1000, *, max_concurrent: int = 1, **more: Any
) -> AdapterOffer:
    """An available adapter for GPUs."""
    more.setdefault("devices", ["cuda"])
    more.setdefault("available", True)
    return AdapterOffer(adapter_id=adapter_id, feature=feature, vram_mb=vram_mb, max_concurrent=max_concurrent, **more)


def device(device_id: str = "fixed-0", total_mb: int = 8000, *, free_mb: int | None = None, **more: Any) -> DeviceState:
    """A GPU, empty unless said otherwise."""
    return DeviceState(
        id=device_id,
        kind=more.pop("kind", "cuda"),
        name="test",
        total_mb=total_mb,
        free_mb=total_mb if free_mb is None else free_mb,
        reserved_mb=more.pop("reserved_mb", 0),
        buffer_mb=more.pop("buffer_mb", 0),
    )


class AgentDouble:
    """What one agent would say; its `seq` counts by itself."""

    def __init__(
        self,
        agent_id: str = "a1",
        *,
        born_ms: int = 1000,
        devices: Iterable[DeviceState] | None = None,
        adapters: Iterable[AdapterOffer] | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.incarnation = f"{born_ms}-x"
        self.seq = 0
        self.devices = list(devices) if devices is not None else [device()]
        self.adapters: list[AdapterOffer] | None = list(adapters) if adapters is not None else [offer()]
        self.residents: list[Resident] = []
        self.running: list[RunningJob] = []
        self.outcomes: list[str] = []
        self.draining = False
        self.reason: str | None = None
        self.unlisted = 0
        self.proposes = True

    def count(self) -> int:
        self.seq += 1
        return self.seq

    def advert(self, *, full: bool = True) -> Advert:
        return Advert(
            agent_id=self.agent_id,
            incarnation=self.incarnation,
            seq=self.count(),
            host="h",
            pid=1,
            version="0",
            draining=self.draining,
            reason=self.reason,
            unlisted=self.unlisted,
            devices=list(self.devices),
            residents=list(self.residents),
            running=list(self.running),
            outcomes=list(self.outcomes),
            adapters=list(self.adapters) if full and self.adapters is not None else None,
            proposes=self.proposes,
        )

    def runs(self, item: effects.AwardItem, *, on_device: bool = True) -> RunningJob:
        return RunningJob(
            job_id=item.job_id,
            attempt=item.attempt,
            token=item.token,
            adapter_id=item.adapter_id,
            variant=item.variant,
            device=item.device,
            on_device=on_device,
        )


class Desk:
    """One engine, a clock and what it asked for. `check()` runs after every event."""

    def __init__(self, *, lead: bool = True, known: tuple[AgentRecord, ...] = (), **settings: Any) -> None:
        self.settings = CoordinatorSettings(**settings)
        self.engine = CoordinatorEngine(self.settings)
        self.mono = 1000.0
        #: By how much this process's wall clock was set forward since.
        self.wall_jump_s = 0.0
        self.effects: list[effects.Effect] = []
        self._seq = 0
        self._requests = 0
        self.ack_seqs = 0
        if lead:
            self.do(events.Led(epoch=7, known=known))
            self.do(events.ResultsDrained())
            self.do(events.JobsIndexed())
            self.take(effects.ReadEnded)

    # -- time and events

    @property
    def now(self) -> Now:
        return Now(self.mono, EPOCH_WALL + self.mono + self.wall_jump_s)

    def do(self, event: events.Event) -> list[effects.Effect]:
        """Hand in one event; what it asked for (kept too)."""
        made = self.engine.handle(event, self.now)
        self.engine.check()
        self.effects += made
        return made

    def tick(self, seconds: float = 0.25) -> None:
        """Let time pass in ticks that are never late, adverts not included."""
        end = self.mono + seconds
        step = self.settings.tick_s
        while self.mono < end - 1e-9:
            self.mono = min(self.mono + step, end)
            self.do(events.Tick())

    def until(self, kind: type[E], *agents: AgentDouble, limit_s: float = 600.0) -> None:
        """Let time pass, these agents advertising, until the engine asks for something of that kind (kept)."""
        end = self.mono + limit_s
        while not any(isinstance(e, kind) for e in self.effects):
            assert self.mono < end, f"no {kind.__name__} within {limit_s} s"
            self.tick()
            for agent in agents:
                self.hear(agent, full=False)

    def sleep(self, seconds: float) -> list[effects.Effect]:
        """The process is paused, then its next tick comes late."""
        self.mono += seconds
        return self.do(events.Tick())

    def take(self, kind: type[E]) -> list[E]:
        """All effects of one kind since they were last taken; removed."""
        found = [e for e in self.effects if isinstance(e, kind)]
        self.effects = [e for e in self.effects if not isinstance(e, kind)]
        return cast("list[E]", found)

    def one(self, kind: type[E]) -> E:
        """The only effect of that kind; removed."""
        found = self.take(kind)
        assert len(found) == 1, f"want one {kind.__name__}, got {found}"
        return found[0]

    # -- jobs

    def read(
        self,
        job_id: str = "j1",
        *,
        feature: str = "echo",
        priority: Priority = "normal",
        seq: int | None = None,
        body: bytes | None = None,
        age_s: float = 0.0,
        artifact_bytes: int | None = None,
        **job: Any,
    ) -> int:
        """A message of the jobs stream; its sequence."""
        if seq is None:
            self._seq += 1
            seq = self._seq
        job.setdefault("inputs", {})
        data = encode(Job(job_id=job_id, **job)) if body is None else body
        admission = admit(feature, data, None, job_id if body is not None else f"s0000000-{seq}")
        at = EPOCH_WALL + self.mono - age_s
        self.do(events.JobRead(seq, priority, feature, admission, at, artifact_bytes=artifact_bytes))
        return seq

    def submit(self, job_id: str = "j1", **job: Any) -> JobRecord:
        """A new job that waits."""
        self.read(job_id, **job)
        self.do(events.QueuedStored(job_id))
        self.take(effects.PublishQueued)
        return self.record(job_id)

    def record(self, job_id: str = "j1") -> JobRecord:
        record = self.engine.record(job_id)
        assert record is not None, f"{job_id} is not known"
        return record

    def state(self, job_id: str = "j1") -> JobState:
        return self.record(job_id).state

    # -- agents

    def hear(self, agent: AgentDouble, *, full: bool = True, answer: bool = False) -> list[effects.Effect]:
        return self.do(events.AdvertReceived(agent.advert(full=full), answers_question=answer))

    def answer_calls(
        self, *agents: AgentDouble, slots: int = 1, declines: dict[str, Reason] | None = None, **bid: Any
    ) -> None:
        """Let these agents answer the open call: a cold bid for every lot on their first device, or a decline."""
        calls = {c.agent_id: c for c in self.take(effects.SendCall)}
        for agent in agents:
            call = calls.get(agent.agent_id)
            if call is None:
                continue
            refusal = (declines or {}).get(agent.agent_id)
            adapters = {a.feature: a for a in agent.adapters or []}
            bids: list[BidPlaced] = []
            refused: list[BidDeclined] = []
            for lot in call.lots:
                if refusal is not None:
                    refused.append(BidDeclined(lot=lot.lot, reasons=[refusal]))
                    continue
                adapter = adapters[lot.feature]
                values: dict[str, Any] = {
                    "adapter_id": adapter.adapter_id,
                    "device": agent.devices[0].id,
                    "claim_mb": lot.vram_mb if lot.vram_mb is not None else adapter.vram_mb,
                    "slots": slots,
                    "est_queue_s": 0.0,
                    "est_load_s": 1.0,
                    "est_run_s": 1.0,
                }
                bids.append(BidPlaced(lot=lot.lot, **{**values, **bid}))
            self.do(
                events.CallReturned(
                    CallAnswered(
                        agent_id=agent.agent_id,
                        incarnation=agent.incarnation,
                        seq=agent.count(),
                        call_id=call.call_id,
                        bids=bids,
                        declines=refused,
                        devices=list(agent.devices),
                    )
                )
            )

    def awarded(self, agent: AgentDouble, job_id: str = "j1", **job: Any) -> effects.AwardItem:
        """Submit a job and let that agent win it; the award is not answered yet."""
        self.submit(job_id, **job)
        return self.win(agent, job_id)

    def win(self, agent: AgentDouble, job_id: str = "j1", **bid: Any) -> effects.AwardItem:
        """Let that agent win the open round."""
        self.answer_calls(agent, **bid)
        items = [i for s in self.take(effects.SendAwards) for i in s.awards if i.job_id == job_id]
        assert len(items) == 1, f"{job_id} was not awarded once: {items}"
        return items[0]

    def accept(self, agent: AgentDouble, *items: effects.AwardItem, lists: bool = True) -> None:
        """The agent takes the jobs and lists them from now on."""
        answers = [AwardAnswer(job_id=i.job_id, token=i.token, accepted=True) for i in items]
        if lists:
            agent.running += [agent.runs(i) for i in items]
        self.do(events.AwardsReturned(self._answered(agent, answers)))

    def decline(self, agent: AgentDouble, item: effects.AwardItem, code: str = "vram_busy") -> None:
        reason = Reason(agent_id=agent.agent_id, code=code, need_mb=1000, have_mb=10, short_mb=990)
        answer = AwardAnswer(job_id=item.job_id, token=item.token, accepted=False, reason=reason)
        self.do(events.AwardsReturned(self._answered(agent, [answer])))

    def _answered(self, agent: AgentDouble, answers: list[AwardAnswer]) -> AwardsAnswered:
        return AwardsAnswered(
            agent_id=agent.agent_id, incarnation=agent.incarnation, seq=agent.count(), answers=answers
        )

    def running(self, agent: AgentDouble, job_id: str = "j1", **job: Any) -> effects.AwardItem:
        """Submit a job, let the agent win, take and start it."""
        item = self.awarded(agent, job_id, **job)
        self.accept(agent, item)
        self.started(agent, item)
        return item

    def started(self, agent: AgentDouble, item: effects.AwardItem) -> effects.NoteOutcomes:
        return self.report(agent, self.start_of(item))

    def start_of(self, item: effects.AwardItem) -> AttemptStarted:
        return AttemptStarted(
            job_id=item.job_id,
            token=item.token,
            attempt=item.attempt,
            device=item.device,
            adapter_id=item.adapter_id,
            at=rfc3339(self.now.wall),
        )

    def failure_of(self, item: effects.AwardItem, code: str, **more: Any) -> AttemptFailed:
        return AttemptFailed(
            job_id=item.job_id,
            token=item.token,
            attempt=item.attempt,
            device=item.device,
            adapter_id=item.adapter_id,
            at=rfc3339(self.now.wall),
            code=code,
            message=more.pop("message", f"it was {code}"),
            **more,
        )

    def failed(self, agent: AgentDouble, item: effects.AwardItem, code: str, **more: Any) -> effects.NoteOutcomes:
        """The attempt ends without a result; the agent lists it no more."""
        agent.running = [r for r in agent.running if r.token != item.token]
        return self.report(agent, self.failure_of(item, code, **more))

    def report(self, agent: AgentDouble, *outcomes: Any) -> effects.NoteOutcomes:
        self._requests += 1
        report = OutcomesReported(
            agent_id=agent.agent_id, incarnation=agent.incarnation, seq=agent.count(), outcomes=list(outcomes)
        )
        self.do(events.OutcomesReturned(report, self._requests))
        notes = [n for n in self.take(effects.NoteOutcomes) if n.request == self._requests]
        assert len(notes) == 1
        return notes[0]

    # -- endings

    def result_of(self, item: effects.AwardItem, agent: AgentDouble) -> Result:
        return Result(
            job_id=item.job_id,
            feature=item.feature,
            status="succeeded",
            attempt=item.attempt,
            token=item.token,
            agent_id=agent.agent_id,
            device=item.device,
            adapter_id=item.adapter_id,
            variant=item.variant,
            outputs={"success": True},
        )

    def see(self, result: Result, seq: int = 100) -> list[effects.Effect]:
        return self.do(events.ResultSeen(result, seq))

    def close(self, job_id: str = "j1") -> None:
        """Answer everything that follows a stored result, until the job is forgotten."""
        for dead in self.take(effects.PublishDead):
            if dead.job_id == job_id:
                self.do(events.DeadStored(job_id))
        if any(e.answer and e.status.job_id == job_id for e in self.effects if isinstance(e, effects.PublishEvent)):
            self.do(events.EventsStored((job_id,)))
        acks = [a for a in self.take(effects.AckJob) if a.answer and a.job_id == job_id]
        assert acks, f"{job_id} is not to be acked"
        self.do(events.JobAcked(job_id))
        assert self.engine.record(job_id) is None

    def published(self, job_id: str = "j1") -> list[str]:
        """The events published of a job so far, taken."""
        found = [e.event for e in self.take(effects.PublishEvent) if e.status.job_id == job_id]
        return list(found)


def last_status(job_id: str = "j1", word: str = "queued", **more: Any) -> Status:
    """The last event of a job."""
    values: dict[str, Any] = {
        "job_id": job_id,
        "feature": "echo",
        "priority": "normal",
        "tenant": "default",
        "status": word,
        "attempt": 0,
        "at": rfc3339(EPOCH_WALL),
    }
    return msgspec.convert({**values, **more}, Status)
