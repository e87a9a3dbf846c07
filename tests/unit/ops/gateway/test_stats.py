"""The history of what happened, in intervals."""

from __future__ import annotations

from pocket3d.contracts.messages import Result, Status, Timings
from pocket3d.ops.gateway.stats import Stats


def status(tenant: str = "studio", word: str = "queued") -> Status:
    return Status(
        job_id="j",
        feature="echo",
        priority="normal",
        tenant=tenant,
        status=word,  # type: ignore[arg-type]
        attempt=0,
        at="2026-11-28T00:00:00.000Z",
    )


def result(run_s: float, load_s: float | None = None) -> Result:
    timings = Timings(queued_s=1.0, load_s=load_s, run_s=run_s)
    return Result(
        job_id="j", feature="echo", status="succeeded", agent_id="gpu", adapter_id="echo", tenant="lab", timings=timings
    )


def test_what_happens_is_counted_in_its_interval_and_by_tenant() -> None:
    stats = Stats(interval_s=10, intervals=3)
    stats.status(status(), "queued", 1001.0)
    stats.status(status("lab"), "queued", 1002.0)
    stats.progress("lab", 1003.0)
    stats.result(result(2.0, load_s=5.0), 1011.0)
    stats.result(result(4.0), 1019.9)
    first, second = stats.history(None, 1020.0)
    assert (first.at, first.jobs, first.progress) == (1000.0, {"queued": 2}, 1)
    assert (second.at, second.agents, second.adapters) == (1010.0, {"gpu": 2}, {"echo": 2})
    assert (second.run.count, second.run.total_s, second.run.max_s) == (2, 6.0, 4.0)
    assert (second.queued.count, second.queued.total_s) == (2, 2.0)
    assert (second.load.count, second.load.total_s) == (1, 5.0)
    (own,) = stats.history("studio", 1020.0)
    assert (own.jobs, own.progress) == ({"queued": 1}, 0)
    assert stats.history("nobody", 1020.0) == []


def test_the_past_is_forgotten() -> None:
    stats = Stats(interval_s=10, intervals=3)
    for at in range(1000, 1100, 10):
        stats.status(status(), "queued", float(at))
    assert [interval.at for interval in stats.history(None, 1095.0)] == [1070.0, 1080.0, 1090.0]
    assert [interval.at for interval in stats.history(None, 1110.0)] == [1080.0, 1090.0], "one ended 30 s ago"
    assert stats.history(None, 2000.0) == []
    for number in range(100):
        stats.status(status(f"t{number}"), "queued", 1100.0)
    assert (stats.history("t1", 1100.0), len(stats.history("t99", 1100.0))) == ([], 1)
    assert [len(stats.history(f"t{number}", 1100.0)) for number in (35, 36)] == [0, 1], "the last 64 tenants"
