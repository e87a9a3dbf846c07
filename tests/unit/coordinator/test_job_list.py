"""Jobs in pages: the newest first, whatever is filtered, wherever they stand, and at a cost that does not grow."""

from __future__ import annotations

import random
import time

import msgspec
import pytest

from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState, Priority
from pocket3d.contracts.messages import Result, Status
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.job import JobClass, JobRecord
from pocket3d.coordinator.engine.job_list import EndedJob, JobFilter, JobList, status_of
from pocket3d.coordinator.engine.sorted_jobs import SortedJobs
from support.coordinator_desk import EPOCH_WALL, AgentDouble, Desk, last_status


def ended(seq: int, word: str = "succeeded", **more: str) -> EndedJob:
    return EndedJob(seq, last_status(f"j{seq}", word, **{"submitted_at": rfc3339(EPOCH_WALL + seq), **more}))


def record(seq: int, feature: str = "echo", tenant: str = "default", priority: Priority = "normal") -> JobRecord:
    job = Job(inputs={}, tenant=tenant)
    return JobRecord(seq, f"j{seq}", JobClass.of(feature, feature, priority, job), EPOCH_WALL + seq, 0.0)


# ---------------------------------------------------------------- sorted by sequence


@pytest.mark.parametrize("seed", range(4))
def test_jobs_stay_in_order_however_they_come_and_go(seed: int) -> None:
    rng = random.Random(seed)
    jobs: SortedJobs[EndedJob] = SortedJobs()
    model: dict[int, EndedJob] = {}
    for turn in range(6000):
        seq = rng.randrange(1, 4000)
        if rng.random() < (0.75 if turn < 4000 else 0.2):
            jobs.add(job := ended(seq))
            model[seq] = job
        else:
            jobs.remove(seq)
            model.pop(seq, None)
        assert len(jobs) == len(model)
        assert jobs.get(seq) is model.get(seq)
        if turn % 500 == 0:
            for start in (None, 1, seq, 4001):
                want = sorted((s for s in model if start is None or s < start), reverse=True)
                assert [job.seq for job in jobs.down_from(start)] == want
    for seq in list(model):
        jobs.remove(seq)
    assert (len(jobs), list(jobs.down_from(None))) == (0, [])


# ---------------------------------------------------------------- pages


def pages(jobs: JobList, wanted: JobFilter, limit: int) -> list[list[int]]:
    found: list[list[int]] = []
    after: int | None = None
    while page := jobs.page(wanted, after, limit):
        found.append([job.seq for job in page])
        after = page[-1].seq
    return found


def test_a_page_is_of_what_is_wanted_and_the_newest_come_first() -> None:
    jobs = JobList()
    for seq in range(1, 13):
        each = record(seq, "echo" if seq % 2 else "auto_rig", "a" if seq % 3 else "b")
        jobs.add(each)
        each.on_move = jobs.moved
        if seq < 7:
            each.move(JobState.QUEUED, "new")
        if seq == 3:
            each.move(JobState.FINISHING, "cancelled")
    jobs.read([ended(20), ended(0, "failed", tenant="b")], 99, 0)
    assert pages(jobs, JobFilter(), 5) == [[20, 12, 11, 10, 9], [8, 7, 6, 5, 4], [3, 2, 1, 0]]
    assert pages(jobs, JobFilter("queued"), 4) == [[6, 5, 4, 3], [2, 1]]
    assert pages(jobs, JobFilter("submitted"), 4) == [[12, 11, 10, 9], [8, 7]]
    assert pages(jobs, JobFilter("submitted", tenant="b"), 4) == [[12, 9]]
    assert pages(jobs, JobFilter(feature="auto_rig"), 9) == [[12, 10, 8, 6, 4, 2]]
    assert pages(jobs, JobFilter(feature="echo", tenant="b"), 9) == [[9, 3, 0]]
    assert pages(jobs, JobFilter(tenant="nobody"), 9) == []
    assert pages(jobs, JobFilter("failed"), 9) == [[0]]
    assert pages(jobs, JobFilter("running"), 9) == []
    assert pages(jobs, JobFilter(since=EPOCH_WALL + 11), 9) == [[20, 12, 11]]
    assert pages(jobs, JobFilter("succeeded", since=EPOCH_WALL + 21), 9) == []


def test_a_job_is_listed_where_it_stands(desk: Desk, agent: AgentDouble) -> None:
    def listed(status: str) -> list[str]:
        core = desk.engine.core
        return [status_of(job, core.wall_offset_s).job_id for job in core.job_list.page(JobFilter(status), None, 9)]

    desk.read("new")
    desk.submit("waits", vram_mb=99_000)
    desk.hear(agent)
    item = desk.running(agent)
    assert (listed("submitted"), listed("queued"), listed("running")) == (["new"], ["waits"], [item.job_id])
    (running,) = desk.engine.core.job_list.page(JobFilter("running"), None, 9)
    status = status_of(running, desk.engine.core.wall_offset_s)
    assert (status.agent_id, status.status, status.submitted_at) == ("a1", "running", rfc3339(EPOCH_WALL + desk.mono))
    desk.see(Result(job_id=item.job_id, feature="echo", status="succeeded", attempt=1, token=item.token))
    assert (listed("running"), listed("succeeded")) == ([], [item.job_id])
    desk.close(item.job_id)
    assert listed("succeeded") == [item.job_id]


def test_a_job_is_found_by_its_time_though_the_servers_clock_had_stepped_back_before_it() -> None:
    jobs = JobList()
    for seq, submitted_at in ((1, 30.0), (2, 101.0), (3, 99.0), (4, 102.0)):
        each = record(seq)
        each.submitted_at = submitted_at
        jobs.add(each)
    assert pages(jobs, JobFilter(since=100.0), 9) == [[4, 2]]


def test_the_search_ends_at_a_job_that_is_more_than_a_minute_too_old() -> None:
    """Only a server's clock that stepped back further could hide a job; nobody reads all that came before."""
    since = EPOCH_WALL + 100
    for submitted_at, found in ((since - 60.0, [4, 2]), (since - 60.5, [4])):
        jobs = JobList()
        for seq, at in ((4, since), (3, submitted_at), (2, since)):
            each = record(seq)
            each.submitted_at = at
            jobs.add(each)
        assert pages(jobs, JobFilter(since=since), 9) == [found]
        former = [ended(seq, submitted_at=rfc3339(at)) for seq, at in ((4, since), (3, submitted_at), (2, since))]
        jobs = JobList()
        jobs.read(former, 9, 0)
        assert pages(jobs, JobFilter(since=since), 9) == [found]


def test_a_status_says_since_when_a_job_stands_there_by_the_clock_of_the_takeover(
    desk: Desk, agent: AgentDouble
) -> None:
    def since(job_id: str) -> str:
        return status_of(desk.record(job_id), desk.engine.core.wall_offset_s).at

    def clock(mono: float) -> str:
        return rfc3339(EPOCH_WALL + mono)

    desk.hear(agent)
    desk.wall_jump_s = 3600.0
    desk.read("new", age_s=20.0)
    read_at = desk.mono
    desk.tick(1.0)
    desk.submit("waits", vram_mb=99_000, age_s=10.0)
    queued_at = desk.mono
    desk.tick(1.0)
    item = desk.running(agent, "runs")
    awarded_at = desk.mono
    desk.tick(1.0)
    assert since("new") == clock(read_at - 20.0)
    assert since("waits") == clock(queued_at - 10.0)
    assert since("runs") == clock(awarded_at)
    desk.failed(agent, item, "load_failed")
    failed_at = desk.mono
    desk.tick(0.25)
    assert since("runs") == clock(failed_at), "it waits anew"


def test_the_latest_ended_jobs_are_kept_and_what_is_forgotten_is_dated() -> None:
    jobs = JobList(ended_kept=3)
    for seq in (5, 1, 4, 2, 3):
        each = record(seq)
        jobs.add(each)
        each.end = ended(seq, at=rfc3339(EPOCH_WALL + 10 * seq)).status
        jobs.remove(each)
    assert [job.seq for job in jobs.page(JobFilter(), None, 9)] == [4, 3, 2]
    assert jobs.forgotten_until == rfc3339(EPOCH_WALL + 50)
    jobs.read([ended(9)], 9, 7)
    assert not jobs.holds(9), "there is no room for older ones"
    assert set(jobs._ended.of) == {("all", ""), ("feature", "echo"), ("tenant", "default"), ("status", "succeeded")}


def test_one_that_is_held_again_after_its_end_is_listed_once() -> None:
    jobs = JobList()
    jobs.read([ended(1)], 9, 0)
    jobs.add(record(1))
    assert len(jobs.page(JobFilter(), None, 9)) == 1


def test_ended_jobs_of_former_leaders_are_read_bit_by_bit_until_there_are_enough(desk: Desk) -> None:
    desk.do(events.EndedJobsRead((ended(900), ended(800)), 1000, 500))
    assert desk.one(effects.Again).effect == effects.ReadEnded(500)
    assert desk.engine.core.job_list.page(JobFilter(), None, 9) == [], "all at once, or pages miss some"
    desk.do(events.EndedJobsRead((ended(700),), 500, 0))
    assert desk.take(effects.Again) == []
    assert [job.seq for job in desk.engine.core.job_list.page(JobFilter(), None, 9)] == [900, 800, 700]
    assert (desk.engine.core.job_list.former_below, desk.engine.core.job_list.former_down_to) == (1000, 0)


def test_two_jobs_with_one_sequence_break_nothing() -> None:
    """Somebody made the jobs stream anew by hand, and a job of the former one still runs."""
    jobs, former, fresh = JobList(), record(1), record(1, tenant="another")
    jobs.add(former)
    jobs.add(fresh)
    assert jobs.page(JobFilter(), None, 9) == [former]
    jobs.remove(fresh)
    assert jobs.page(JobFilter(), None, 9) == [former]
    jobs.remove(former)
    assert jobs.page(JobFilter(), None, 9) == []


def test_no_step_files_all_that_former_leaders_ended() -> None:
    jobs, took = JobList(), []
    for part in range(40, 0, -1):
        entries = [ended(500 * part - number) for number in range(500)]
        began = time.thread_time()
        jobs.read(entries, 20_001, 500 * part - 500)
        took.append(time.thread_time() - began)
    assert len(jobs.page(JobFilter(), None, 30_000)) == 20_000
    assert took[-1] < sum(took) / 4


def test_equal_words_of_ended_jobs_are_kept_once() -> None:
    jobs = JobList()
    texts = [msgspec.json.encode(ended(seq, agent_id="an-agent-of-some-host").status) for seq in range(1, 4)]
    jobs.read([EndedJob(n, msgspec.json.decode(text, type=Status)) for n, text in enumerate(texts)], 9, 0)
    found = [status_of(job, 0.0).agent_id for job in jobs.page(JobFilter(), None, 9)]
    assert len({id(agent_id) for agent_id in found}) == 1


@pytest.mark.parametrize(
    "wanted",
    [JobFilter(), JobFilter("queued"), JobFilter("running"), JobFilter(tenant="t7"), JobFilter(since=EPOCH_WALL)],
    ids=str,
)
def test_a_page_of_many_jobs_costs_no_more_than_one_of_few(wanted: JobFilter) -> None:
    def page_s(many: int) -> float:
        jobs = JobList()
        for seq in range(1, many + 1):
            each = record(seq, tenant=f"t{seq % 100}")
            each.state = JobState.QUEUED if seq > 50 else JobState.RUNNING
            jobs.add(each)
        took = []
        for _ in range(15):
            began = time.perf_counter()
            assert jobs.page(wanted, None, 10)
            took.append(time.perf_counter() - began)
        return min(took)

    assert page_s(20_000) < 5 * page_s(1000) + 0.0005


def test_a_job_that_says_nothing_may_run_on_any_adapter() -> None:
    for job in (None, Job(inputs={})):
        job_class = JobClass.of("echo", "echo", "normal", job)
        assert (job_class.commercial_only, job_class.variant, job_class.unfit) == (False, None, ())
