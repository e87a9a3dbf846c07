"""What large groups ask of the server at a time: jobs that begin in the same moment, takeovers, lists."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Msg, ObjectInfo, Stored
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.chain_messages import ChainListRequest, GroupList
from pocket3d.contracts.chains import GroupRequest
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.jobs import SubmitRequest
from pocket3d.contracts.size_classes import INPUT_BYTES_HEADER
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.chains.engine import ChainEngine
from pocket3d.coordinator.engine.submit_quota import SubmitQuota
from pocket3d.coordinator.io.chain_api import ChainApi
from pocket3d.coordinator.io.chain_store import store_request
from pocket3d.coordinator.io.chain_term import ChainTerm
from support.coordinator_desk import Desk

SUBJECTS = Subjects()
T = TypeVar("T")
JOBS, FILES = 60, 5


class CountingBus(MemoryBus):
    """Notes how many of the same calls were under way at a time, and how many there were."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(server)
        self.calls: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()

    async def _count(self, what: str, work: Awaitable[T]) -> T:
        self.calls[what] += 1
        self._now[what] += 1
        self.most[what] = max(self.most[what], self._now[what])
        try:
            return await work
        finally:
            self._now[what] -= 1

    async def get(self, stream: str, seq: int) -> Stored | None:
        return await self._count(f"get {stream}", super().get(stream, seq))

    async def last(self, stream: str, subject: str) -> Stored | None:
        return await self._count(f"last {stream}", super().last(stream, subject))

    async def pages(self, stream: str, subject: str, *, start: int, limit: int) -> list[Stored]:
        return await self._count(f"pages {stream}", super().pages(stream, subject, start=start, limit=limit))

    async def object_info(self, bucket: str, name: str) -> ObjectInfo | None:
        return await self._count("object", super().object_info(bucket, name))


@pytest.fixture
async def bus() -> AsyncIterator[CountingBus]:
    made = CountingBus(MemoryServer())
    await made.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    for number in range(FILES):
        await made.put_object(SUBJECTS.inputs_bucket, f"a{number}", b"four")
    yield made
    await made.close()


async def begun(bus: CountingBus, *groups: GroupRequest) -> list[dict[str, str]]:
    """Take these over; the headers of their jobs."""
    for group in groups:
        await store_request(bus, SUBJECTS, "group", group)
    wanted = sum(len(group.jobs) for group in groups)
    tasks = TaskPool(256)
    quota = SubmitQuota(Desk().engine.core)
    term = ChainTerm(
        bus,
        SUBJECTS,
        lambda: Now(0.0, 1.8e9),
        tasks,
        quota,
        cancel=lambda *_: None,
        is_known=lambda _: False,
        leads=lambda _: True,
    )
    term.begin()
    try:
        while await bus.message_count(SUBJECTS.jobs_stream) < wanted:
            await asyncio.sleep(0)
        return [dict(each.headers) for each in await bus.pages(SUBJECTS.jobs_stream, ">", start=1, limit=wanted)]
    finally:
        term.close()
        await tasks.close()


def job(job_id: str, files: int) -> SubmitRequest:
    inputs = {"image_paths": [{"artifact": f"a{number}"} for number in range(files)]}
    return SubmitRequest(feature="echo", job_id=job_id, inputs=inputs)


async def test_the_request_of_a_group_is_read_once_for_all_its_jobs(bus: CountingBus) -> None:
    await begun(bus, GroupRequest(group_id="g", jobs=[job(f"j{number}", 0) for number in range(JOBS)]))
    assert bus.calls[f"get {SUBJECTS.chains_stream}"] == 1


async def test_files_are_looked_up_some_at_a_time(bus: CountingBus) -> None:
    headers = await begun(bus, GroupRequest(group_id="g", jobs=[job(f"j{number}", FILES) for number in range(JOBS)]))
    assert {each[INPUT_BYTES_HEADER] for each in headers} == {str(4 * FILES)}
    assert bus.calls["object"] == JOBS * FILES
    assert 1 < bus.most["object"] <= 16


async def test_groups_that_are_taken_over_are_read_some_at_a_time(bus: CountingBus) -> None:
    await begun(bus, *(GroupRequest(group_id=f"g{number}", jobs=[job(f"j{number}", 0)]) for number in range(JOBS)))
    assert 1 < bus.most[f"last {SUBJECTS.chains_stream}"] <= 16


async def test_lists_of_groups_are_read_one_after_the_other(bus: CountingBus) -> None:
    for number in range(3):
        await store_request(bus, SUBJECTS, "group", GroupRequest(group_id=f"g{number}", jobs=[job("j", 0)]))
    core = Desk().engine.core
    chains = SimpleNamespace(engine=ChainEngine(), listing=asyncio.Lock())
    term: Any = SimpleNamespace(chains=chains, engine=SimpleNamespace(core=core))
    api = ChainApi(bus, SUBJECTS, term, lambda: Now(0.0, 1.8e9))
    handler = next(each.handler for each in api.endpoints() if each.name == "group_list")
    asked = Msg("", encode(ChainListRequest()), {}, "")
    answers = await asyncio.gather(*(handler(asked) for _ in range(4)))
    assert {len(decode(GroupList, each).groups) for each in answers} == {3}
    assert (bus.calls[f"pages {SUBJECTS.chains_stream}"], bus.most[f"pages {SUBJECTS.chains_stream}"]) == (4, 1)
