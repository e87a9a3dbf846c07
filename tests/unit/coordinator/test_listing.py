"""Pages over the API: from memory first, older ones from the status bucket, each job once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.clock import FakeClock
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import ServiceError
from pocket3d.contracts.api import ListRequest
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import JOB_SEQ_HEADER, Status
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.engine.effects import ReadEnded
from pocket3d.coordinator.engine.events import EndedJobsRead
from pocket3d.coordinator.engine.job_list import EndedJob, JobFilter, JobList
from pocket3d.coordinator.engine.state import Core
from pocket3d.coordinator.io import listing, status_bucket
from pocket3d.coordinator.io.listing import list_jobs
from pocket3d.coordinator.io.status_bucket import first_after, read_ended
from support.coordinator_desk import last_status
from unit.coordinator.test_job_list import record

SUBJECTS = Subjects()


class Shelf:
    """A bucket on a clock of our own, and what is held in memory beside it."""

    def __init__(self, *, ended_kept: int = 100) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(MemoryServer(self.clock))
        self.jobs = JobList(ended_kept)
        self.seq = 0

    async def job(self, *words: str, hold: bool = False, **more: Any) -> Status:
        """A job with these events, a second each; held by the leader of now, or not."""
        self.seq += 1
        job_id = f"j{self.seq}"
        submitted_at = rfc3339(self.clock.time())
        for word in words:
            self.clock.advance(1.0)
            status = last_status(job_id, word, at=rfc3339(self.clock.time()), submitted_at=submitted_at, **more)
            subject = SUBJECTS.event("echo", job_id, word)
            await self.bus.append(subject, encode(status), headers={JOB_SEQ_HEADER: str(self.seq)})
        if hold:
            each = record(self.seq)
            self.jobs.add(each)
            each.end = status
            self.jobs.remove(each)
        return status

    async def pages(self, limit: int, **wanted: Any) -> list[list[str]]:
        found: list[list[str]] = []
        after: str | None = None
        while True:
            page = await self.page(limit=limit, after=after, **wanted)
            found.append([status.job_id for status in page.jobs])
            after = page.next
            if after is None:
                return found

    async def page(self, **request: Any) -> Any:
        core = cast(Core, SimpleNamespace(job_list=self.jobs, wall_offset_s=0.0))
        return await list_jobs(self.bus, SUBJECTS, core, ListRequest(**request))


@pytest.fixture
async def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(status_bucket, "WINDOW", 7)
    monkeypatch.setattr(listing, "_LATE_S", 3.0)
    made = Shelf(ended_kept=5)
    await made.bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    return made


async def test_nothing_is_nothing(shelf: Shelf) -> None:
    assert await shelf.pages(5) == [[]]


async def test_every_job_is_listed_once_the_newest_first(shelf: Shelf) -> None:
    for _ in range(12):
        await shelf.job("queued", "running", "succeeded", hold=True)
    assert len(shelf.jobs.page(JobFilter(), None, 99)) == 5, "the others have to be read"
    assert shelf.jobs.forgotten_until is not None
    found = await shelf.pages(5)
    assert [job_id for page in found for job_id in page] == [f"j{number}" for number in range(12, 0, -1)]
    assert found[0] == ["j12", "j11", "j10", "j9", "j8"]


async def test_a_new_leader_lists_by_reading_what_it_has_not_read_yet(shelf: Shelf) -> None:
    for number in range(10):
        await shelf.job(*(("queued",) if number % 3 else ("queued", "failed")))
    assert [job_id for page in await shelf.pages(3) for job_id in page] == [f"j{n}" for n in range(10, 0, -1)]
    assert [job_id for page in await shelf.pages(3, status="failed") for job_id in page] == ["j10", "j7", "j4", "j1"]


async def test_what_was_read_once_is_listed_from_memory(shelf: Shelf) -> None:
    shelf.jobs = JobList(100)
    for number in range(10):
        await shelf.job(*(("queued", "succeeded") if number % 3 else ("queued", "failed")))
    before: int | None = None
    while before != 0:
        event = await read_ended(shelf.bus, SUBJECTS, ReadEnded(before))
        assert isinstance(event, EndedJobsRead)
        shelf.jobs.read(event.jobs, event.below, event.down_to)
        before = event.down_to
    assert shelf.jobs.former_down_to == 0
    await shelf.bus.close()
    assert await shelf.pages(4) == [["j10", "j9", "j8", "j7"], ["j6", "j5", "j4", "j3"], ["j2", "j1"]]


async def test_a_status_that_says_it_is_another_jobs_is_passed_over(shelf: Shelf) -> None:
    await shelf.job("queued", "succeeded")
    for number, word in enumerate(("running", "succeeded")):
        await shelf.bus.append(SUBJECTS.event("echo", f"x{number}", word), encode(last_status("*", word)))
    event = await read_ended(shelf.bus, SUBJECTS, ReadEnded(None))
    assert isinstance(event, EndedJobsRead)
    assert ([each.status.job_id for each in event.jobs], event.unfinished) == (["j1"], ())
    assert await shelf.pages(5) == [["j1"]]


async def test_pages_miss_nothing_that_comes_into_memory_between_them(shelf: Shelf) -> None:
    shelf.jobs = JobList(100)
    for number in range(20):
        # Of some the last acks were lost with the former leader.
        await shelf.job("queued", "succeeded", hold=number in (7, 15))
    await shelf.job("queued", "succeeded", hold=True)
    ids: list[str] = []
    after: str | None = None
    before: int | None = None
    while True:
        page = await shelf.page(limit=3, after=after)
        ids += [status.job_id for status in page.jobs]
        after = page.next
        if after is None:
            break
        if before != 0:
            event = await read_ended(shelf.bus, SUBJECTS, ReadEnded(before))
            assert isinstance(event, EndedJobsRead)
            shelf.jobs.read(event.jobs, event.below, event.down_to)
            before = event.down_to
    assert shelf.jobs.former_down_to == 0
    assert sorted(ids, key=lambda job_id: -int(job_id[1:])) == [f"j{number}" for number in range(21, 0, -1)]


async def test_one_request_reads_only_so_much(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_WINDOWS", 2)
    rare = await shelf.job("failed")
    for _ in range(40):
        await shelf.job("succeeded")
    found = await shelf.pages(5, status="failed")
    assert found == [[], [], [rare.job_id]]


async def test_since_is_a_time_of_submission(shelf: Shelf) -> None:
    for _ in range(4):
        await shelf.job("queued", "succeeded")
    held = await shelf.job("queued", "succeeded", hold=True)
    last = await shelf.job("queued", "succeeded")
    assert await shelf.pages(9, since=held.submitted_at) == [[held.job_id, last.job_id]]
    for since in ("yesterday", "2026-11-28"):
        with pytest.raises(ServiceError, match="want a time like") as caught:
            await shelf.page(since=since)
        assert (caught.value.code, caught.value.field) == (400, "since")


async def test_a_status_that_no_job_has_is_refused(shelf: Shelf) -> None:
    await shelf.job("queued", "failed")
    with pytest.raises(ServiceError, match=r"status 'faild': want one of submitted, queued, .*, rejected") as caught:
        await shelf.page(status="faild")
    assert (caught.value.code, caught.value.field) == (400, "status")
    assert await shelf.pages(9, status="failed") == [["j1"]]


@pytest.mark.parametrize("after", ["x", "-1", "older-", "older-x", "1.5", "²", "older-²", "9" * 5000])
async def test_a_next_of_nobody_is_refused(shelf: Shelf, after: str) -> None:
    with pytest.raises(ServiceError, match="of the page before") as caught:
        await shelf.page(after=after)
    assert (caught.value.code, caught.value.field) == (400, "after")


async def test_a_place_in_the_bucket_is_found_by_its_time(shelf: Shelf) -> None:
    began = shelf.clock.time()
    for _ in range(9):
        await shelf.job("queued", "running", "succeeded")
    for seconds, want in ((-5.0, 1), (27.0, 25), (24.5, 25), (24.0, 22), (100.0, 28)):
        assert await first_after(shelf.bus, SUBJECTS, began + seconds) == want


async def test_bytes_of_somebody_else_are_passed_over(shelf: Shelf) -> None:
    good = await shelf.job("succeeded")
    await shelf.bus.append(SUBJECTS.event("echo", "bad", "succeeded"), b"x")
    await shelf.bus.append(SUBJECTS.event("echo", "odd", "failed"), encode(last_status("odd", "failed", at="now")))
    await shelf.bus.append(SUBJECTS.event("echo", "hers", "failed"), encode(last_status("hers", "failed")))
    assert await shelf.pages(9) == [["hers", good.job_id]]
    event = await read_ended(shelf.bus, SUBJECTS, ReadEnded(None))
    assert event == EndedJobsRead((EndedJob(1, good),), 5, 0, ()), "hers has no sequence of a job"


async def test_what_has_not_ended_is_told_with_what_has(shelf: Shelf) -> None:
    """Its story may have no message any more; the bucket is read once for both."""
    ended, waits = await shelf.job("queued", "succeeded"), await shelf.job("queued")
    event = await read_ended(shelf.bus, SUBJECTS, ReadEnded(None))
    assert isinstance(event, EndedJobsRead)
    assert ([each.status.job_id for each in event.jobs], event.unfinished) == ([ended.job_id], (waits.job_id,))
