"""The agents bucket keeps living agents, and what somebody removed from it comes back."""

from __future__ import annotations

import asyncio

import pytest

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.topology import build
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import AgentRecord
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.auction.fleet import Fleet
from pocket3d.coordinator.auction.record_age import records_due
from pocket3d.coordinator.io.agent_records import keep_recorded, known_agents
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble

WALL = 1_795_000_000.0


@pytest.mark.parametrize(
    ("age_s", "due"),
    [(0.0, False), (29.0, False), (30.0, True), (90.0, True), (-29.0, False), (-31.0, True), (None, True)],
)
def test_a_record_is_due_at_half_its_age_and_where_it_is_missing(age_s: float | None, due: bool) -> None:
    recorded = {} if age_s is None else {"a1": rfc3339(WALL - age_s)}
    assert records_due({**recorded, "gone": "?"}, ["a1"], WALL, 60.0) == (["a1"] if due else [])


def test_a_record_of_nobody_knows_when_is_due() -> None:
    assert records_due({"a1": "yesterday"}, ["a1"], WALL, 60.0) == ["a1"]


async def test_what_is_old_removed_or_unreadable_is_written_again() -> None:
    server, subjects = MemoryServer(), Subjects()
    server.ensure(build(subjects))
    bus, fleet, wall = MemoryBus(server), Fleet(CoordinatorSettings()), [WALL]
    for agent_id in ("a1", "a2", "a3", "a4"):
        fleet.update(AgentDouble(agent_id).advert(), 0.0)
    await bus.kv_put(subjects.agents_bucket, "a2", b"x")
    await bus.kv_put(subjects.agents_bucket, "a4", encode(fleet.record(fleet.agents["a1"], rfc3339(WALL))))
    await bus.kv_put(subjects.agents_bucket, "lost", b"x")
    work = keep_recorded(bus, subjects, lambda: fleet, lambda: Now(0.0, wall[0]), 0.08)
    keeping = asyncio.ensure_future(work)

    async def until_recorded(at: float) -> None:
        while True:
            entries = {e.key: e.value for e in await bus.kv_entries(subjects.agents_bucket) if e.key != "lost"}
            if entries.keys() == {"a1", "a2", "a3", "a4"} and b"x" not in entries.values():
                records = {key: decode(AgentRecord, value) for key, value in entries.items()}
                if all((each.agent_id, each.at) == (key, rfc3339(at)) for key, each in records.items()):
                    return
            await asyncio.sleep(0)

    try:
        await asyncio.wait_for(until_recorded(WALL), 20)
        wall[0] += 0.05
        await asyncio.wait_for(until_recorded(WALL + 0.05), 20)
        await bus.kv_delete(subjects.agents_bucket, "a3")
        await asyncio.wait_for(until_recorded(WALL + 0.05), 20)
    finally:
        keeping.cancel()


async def test_a_new_leader_asks_nobody_of_whom_another_entry_speaks() -> None:
    server, subjects = MemoryServer(), Subjects()
    server.ensure(build(subjects))
    bus, fleet = MemoryBus(server), Fleet(CoordinatorSettings())
    # Commands go to a subject with the agent's id in it.
    for agent_id, key in (("a1", "a1"), ("a 2", "a2"), (">", "a3")):
        view = fleet.update(AgentDouble(agent_id).advert(), 0.0)
        assert view is not None
        await bus.kv_put(subjects.agents_bucket, key, encode(fleet.record(view[0], rfc3339(WALL))))
    known = await known_agents(bus, subjects, {}, Now(0.0, WALL))
    assert [each.agent_id for each in known] == ["a1"]
