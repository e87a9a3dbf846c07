"""A desk for the engine of chains: hands it events at a time of our own and keeps its effects."""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from pocket3d.contracts.chains import AnyChainRequest, ChainRequest, GroupRequest, id_of
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import convert, encode
from pocket3d.coordinator.chains import effects, events
from pocket3d.coordinator.chains.engine import ChainEngine
from pocket3d.coordinator.chains.record import ChainKey, ChainRecord, Failure, StepState
from pocket3d.coordinator.chains.story import StoryEvent, record_from, record_of

AT = "2026-11-28T12:00:00.000Z"
E = TypeVar("E", bound=effects.ChainEffect)


def chain_of(needs: dict[str, list[str]], chain_id: str = "dog") -> ChainRequest:
    """A chain of `echo` steps, each with the steps whose files it takes."""
    steps = [
        {"name": name, "feature": "echo", "inputs": {"mesh_paths": [{"step": source} for source in sources]}}
        for name, sources in needs.items()
    ]
    return convert(ChainRequest, {"chain_id": chain_id, "steps": steps})


def group_of(jobs: int, group_id: str = "lot") -> GroupRequest:
    """A group of `echo` jobs."""
    return convert(GroupRequest, {"group_id": group_id, "jobs": [{"feature": "echo", "inputs": {}}] * jobs})


class ChainsDesk:
    """One engine, and the stream that it writes to."""

    def __init__(self, **options: Any) -> None:
        self.engine = ChainEngine(**options)
        self.mono = 100.0
        self.effects: list[effects.ChainEffect] = []
        self.requests: dict[ChainKey, AnyChainRequest] = {}
        #: What the stream holds, by chain, in order.
        self.stream: dict[ChainKey, list[StoryEvent]] = {}
        self._seq = 0

    def do(self, event: events.ChainEvent) -> None:
        """Hand in one event."""
        self.effects += self.engine.handle(event, Now(self.mono, 1_795_000_000.0 + self.mono))

    def tick(self, seconds: float = 1.0) -> None:
        self.mono += seconds
        self.do(events.Tick())

    def take(self, kind: type[E]) -> list[E]:
        """All effects of one kind since they were last taken; removed."""
        found = [each for each in self.effects if isinstance(each, kind)]
        self.effects = [each for each in self.effects if not isinstance(each, kind)]
        return cast("list[E]", found)

    def one(self, kind: type[E]) -> E:
        found = self.take(kind)
        assert len(found) == 1, found
        return found[0]

    # -- the stream

    def submit(self, request: AnyChainRequest) -> ChainKey:
        """Store a request and begin it."""
        key = ChainKey("chain" if isinstance(request, ChainRequest) else "group", id_of(request))
        self._seq += 1
        self.requests[key] = request
        self.stream[key] = [StoryEvent("submitted", encode(request), self._seq, AT)]
        self.do(events.ChainFound(key, record_of(key, request, self._seq, AT)))
        return key

    def write(self, effect: effects.StoreEvent) -> int:
        """What the server does: store it behind the last, or refuse; its sequence, 0 if it was refused."""
        story = self.stream[effect.key]
        if story[-1].seq != effect.last:
            return 0
        self._seq += 1
        story.append(StoryEvent(effect.event, encode(effect.status), self._seq, AT))
        return self._seq

    def store(self) -> list[str]:
        """Store what is to be stored, until nothing more is; the words of the events."""
        words: list[str] = []
        while wanted := self.take(effects.StoreEvent):
            for effect in wanted:
                seq = self.write(effect)
                words.append(effect.event if seq else f"{effect.event} refused")
                self.do(events.EventStored(effect.key, seq) if seq else events.EventInDoubt(effect.key))
        return words

    def read(self, key: ChainKey) -> ChainRecord | None:
        """What the shell reads of one."""
        story = self.stream[key]
        return None if story[-1].ends else record_from(key, story[0], story[-1])

    def ended(self, key: ChainKey) -> ChainRecord:
        """One that has ended, as a retry reads it."""
        story = self.stream[key]
        assert story[-1].ends, story[-1].event
        return record_from(key, story[0], story[-1])

    # -- jobs

    def started(self) -> list[str]:
        """Publish what is to be published; the ids of the jobs."""
        wanted = self.take(effects.StartStep)
        for effect in wanted:
            self.do(events.StepStarted(effect.key, effect.job_id))
        return [effect.job_id for effect in wanted]

    def succeed(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self.do(events.JobEnded(job_id, StepState.SUCCEEDED, None))

    def fail(self, job_id: str, code: str = "adapter_error") -> None:
        self.do(events.JobEnded(job_id, StepState.FAILED, Failure(code, "it broke")))

    def cancel_job(self, job_id: str) -> None:
        self.do(events.JobEnded(job_id, StepState.CANCELLED, Failure("cancelled", "as asked")))

    def words(self, key: ChainKey) -> dict[str, str]:
        """How the last event says that each step stands."""
        told = json.loads(self.stream[key][-1].data)
        return {step.get("name", step["job_id"]): step["status"] for step in told.get("steps") or told["jobs"]}
