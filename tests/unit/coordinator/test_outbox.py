"""Events whose fate was unknown: told once and in order, even if a batch that was given up arrives late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory_server import MemoryServer
from pocket3d.bus.port import Append, Conflict, Expect, OutcomeUnknown
from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.effects import PublishEvent
from pocket3d.coordinator.outbox import EventOutbox
from support.coordinator_desk import story

SUBJECTS = Subjects()
RECORD = LeaderRecord(coordinator_id="one", epoch=7)


class LateBus(MemoryBus):
    """The first batch gets no answer; it is kept, and may be let through later."""

    def __init__(self, server: MemoryServer, *, stored: bool = False) -> None:
        super().__init__(server)
        self.kept: list[Append] | None = None
        self._stored = stored

    async def append_batch(self, messages: Sequence[Append], *, timeout: float = 5.0) -> int:
        if self.kept is None:
            self.kept = list(messages)
            if self._stored:
                await super().append_batch(messages, timeout=timeout)
            raise OutcomeUnknown("no answer")
        return await super().append_batch(messages, timeout=timeout)

    async def let_through(self) -> int:
        assert self.kept is not None
        return await super().append_batch(self.kept)


class Teller:
    """An outbox on a bus, with what it told."""

    def __init__(self, bus: MemoryBus, fence: int) -> None:
        self.stored: list[str] = []
        self.deposed = asyncio.Event()
        self.told = asyncio.Event()
        self.outbox = EventOutbox(bus, SUBJECTS, fence, self._on_stored, self.deposed.set)
        self.task = asyncio.ensure_future(self.outbox.run())

    def _on_stored(self, effects: Sequence[PublishEvent]) -> None:
        self.stored += [effect.event for effect in effects]
        self.told.set()

    async def tell(self, word: str) -> None:
        self.told.clear()
        status = story(word="running" if word == "started" else word)
        self.outbox.put(PublishEvent(word, status, 1))  # type: ignore[arg-type]
        await asyncio.wait_for(self.told.wait(), 5.0)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def begin(bus: MemoryBus) -> int:
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    return await bus.append(SUBJECTS.leader_record(), encode(RECORD), expect=Expect(0))


async def words(bus: MemoryBus) -> list[str]:
    pages = await bus.pages(SUBJECTS.events_stream, SUBJECTS.all_events(), start=1, limit=100)
    return [SUBJECTS.parse_story(stored.subject).event or "" for stored in pages]


async def test_a_batch_that_arrives_after_it_was_sent_again_is_refused() -> None:
    bus = LateBus(MemoryServer())
    teller = Teller(bus, await begin(bus))
    await teller.tell("started")
    await teller.tell("succeeded")
    with pytest.raises(Conflict):
        await bus.let_through()
    assert await words(bus) == ["started", "succeeded"]
    await teller.close()


async def test_a_batch_that_was_stored_without_an_answer_is_not_told_twice() -> None:
    bus = LateBus(MemoryServer(), stored=True)
    teller = Teller(bus, await begin(bus))
    await teller.tell("started")
    await teller.tell("succeeded")
    assert await words(bus) == ["started", "succeeded"]
    await teller.close()


async def test_another_leaders_record_is_not_overwritten() -> None:
    bus = LateBus(MemoryServer())
    fence = await begin(bus)
    younger = LeaderRecord(coordinator_id="two", epoch=8)
    await bus.append(SUBJECTS.leader_record(), encode(younger), expect=Expect(fence))
    teller = Teller(bus, fence)
    teller.outbox.put(PublishEvent("started", story(word="running"), 1))
    await asyncio.wait_for(teller.deposed.wait(), 5.0)
    found = await bus.last(SUBJECTS.events_stream, SUBJECTS.leader_record())
    assert found is not None
    assert found.data == encode(younger)
    assert await words(bus) == []
    await teller.close()
