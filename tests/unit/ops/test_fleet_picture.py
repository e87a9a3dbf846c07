"""What `pocket3d top` draws."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec import structs

from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.messages import Advert, DeviceState, JobError, Progress, Resident, RunningJob, Status
from pocket3d.ops.fleet_picture import Snapshot, picture

NOW = 1_795_000_000.0


def job(job_id: str, word: Any, ago_s: float, **more: Any) -> Status:
    given = {"label": f"the {job_id}", "at": rfc3339(NOW - ago_s), **more}
    return Status(
        job_id=job_id, feature="text_to_mesh", priority="normal", tenant="default", status=word, attempt=1, **given
    )


def advert(*runs: RunningJob, **more: Any) -> Advert:
    device = DeviceState(
        id="GPU-0", kind="cuda", name="L4", total_mb=24_576, free_mb=12_288, reserved_mb=6_144, buffer_mb=0, **more
    )
    resident = Resident(adapter_id="trellis", device="GPU-0", pid=7, vram_mb=9_000, idle_s=0)
    return Advert(
        agent_id="a", incarnation="1", seq=1, host="h", pid=1, version="0", draining=False,
        devices=[device], residents=[resident], running=list(runs),
    )  # fmt: skip


def run(job_id: str, adapter_id: str = "trellis", **more: Any) -> RunningJob:
    return RunningJob(job_id=job_id, attempt=1, token="1-1", adapter_id=adapter_id, device="GPU-0", **more)


def progress(job_id: str, attempt: int = 1) -> Progress:
    return Progress(
        job_id=job_id, feature="f", attempt=attempt, agent_id="a", fraction=0.4, stage="sampling", message=None, at="t"
    )


def draw(snapshot: Snapshot, width: int = 110) -> str:
    return "\n".join(picture(snapshot, width))


def test_queue_rates_and_failures_are_counted() -> None:
    jobs = [
        job("waits2", "queued", 3),
        job("waits1", "queued", 9),
        *(job(f"done{number}", "succeeded", 10 + number) for number in range(4)),
        job("bad", "failed", 20, error=JobError(code="out_of_memory", message="no\nroom")),
        job("gone", "cancelled", 30, reason="enough"),
        job("long ago", "failed", 4000),
    ]
    text = draw(Snapshot(NOW, [advert(run("r1"))], jobs, False, {}, unfinished=3))
    assert text.startswith(
        "1 agent | 1 running | 2 waiting | 1.2 jobs/min | 4 succeeded, 1 cancelled, 1 failed in 300 s"
    )
    assert text.index("waits1") < text.index("waits2"), "the longest first"
    assert "out_of_memory: no room" in text
    assert "long ago" not in text


def test_of_many_jobs_the_window_is_as_long_as_those_that_are_known() -> None:
    jobs = [job(f"d{number}", "succeeded", number) for number in range(61)]
    text = draw(Snapshot(NOW, [], jobs, True, {}, None))
    assert "? waiting | 61.0 jobs/min | 61 succeeded in 60 s" in text


def test_devices_show_their_memory_and_what_is_loaded() -> None:
    text = draw(Snapshot(NOW, [advert()], [], False, {}, 0))
    assert "[########++++....] 12.0+6.0/24.0 GB  0 running  trellis 9000 MB" in text
    assert "no jobs: broken" in draw(Snapshot(NOW, [advert(quarantine="broken")], [], False, {}, 0))


def test_what_runs_says_how_far_it_is() -> None:
    runs = (run("far"), run("loads", "other"), run("quiet"), run("again"), run("over", on_device=False))
    told = {"far": progress("far"), "again": progress("again", attempt=9)}
    lines = draw(Snapshot(NOW, [advert(*runs)], [job("far", "running", 1)], False, told, 5)).splitlines()
    shown = {line.split()[0]: line for line in lines if "a/GPU-0" in line}
    assert "the far" in shown["far"] and " 40% sampling" in shown["far"]
    assert "0% loading" in shown["loads"]
    assert "storing its result" in shown["over"]
    assert "%" not in shown["quiet"] and "%" not in shown["again"], "progress of another attempt says nothing"


def test_lines_fit_and_strangers_move_no_cursor() -> None:
    jobs = [job("x", "queued", 1, label="\x1b[2Jchair" * 20)]
    text = draw(Snapshot(NOW, [advert(run("x"))], jobs, False, {}, 1), width=60)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 60


def test_each_list_has_a_few_lines() -> None:
    """The jobs that wait longest, and the latest that failed."""
    jobs = [job(f"w{number}.", "queued", number) for number in range(20)]
    bad = [job(f"f{number}.", "failed", number, error=JobError(code="timeout", message="x")) for number in range(20)]
    runs = [run(f"r{number}.") for number in range(20)]
    text = draw(Snapshot(NOW, [advert(*runs)], [*jobs, *bad], False, {}, 20), width=200)
    shown = re.findall(r"^  ([wfr]\d+\.)", text, re.MULTILINE)
    assert [each for each in shown if each[0] == "w"] == [f"w{number}." for number in range(19, 13, -1)]
    assert [each for each in shown if each[0] == "f"] == [f"f{number}." for number in range(5)]
    assert len([each for each in shown if each[0] == "r"]) == 12
    assert "  ... and 8 more" in text.splitlines()
    assert "  ... and 15 more: pocket3d jobs --since 5m" in text.splitlines()
    few = draw(Snapshot(NOW, [advert(*runs[:12])], bad[:5], False, {}, 20))
    assert " more" not in few, "all of them are shown"


def test_what_ended_at_the_windows_edge_counts_and_what_has_no_time_does_not() -> None:
    jobs = [job("new", "failed", 300, reason="x"), job("old", "failed", 301), job("odd", "failed", 0, at="some time")]
    text = draw(Snapshot(NOW, [], jobs, False, {}, None))
    assert text.startswith("0 agents | 0 running | ? waiting | 0.2 jobs/min | 0 succeeded, 1 failed in 300 s")
    assert "the new" in text and "the old" not in text and "the odd" not in text


def test_of_many_jobs_in_one_moment_the_window_is_a_second() -> None:
    jobs = [job(f"d{number}", "succeeded", 0) for number in range(3)]
    assert "| 180.0 jobs/min | 3 succeeded in 1 s" in draw(Snapshot(NOW, [], jobs, True, {}, None))
    late = [job("d", "succeeded", 0), job("long ago", "succeeded", 4000)]
    assert "| 0.2 jobs/min | 1 succeeded in 300 s" in draw(Snapshot(NOW, [], late, True, {}, None))


def test_more_may_run_than_are_unfinished_a_moment_later() -> None:
    two = [advert(run("r1")), structs.replace(advert(run("r2")), agent_id="b")]
    assert draw(Snapshot(NOW, two, [], False, {}, 1)).startswith("2 agents | 2 running | 0 waiting |")


@pytest.mark.parametrize(
    ("free_mb", "reserved_mb", "shown"),
    [
        (24_576, 0, "[................] 0.0/24.0 GB"),
        (0, 0, "[################] 24.0/24.0 GB"),
        (12_288, 24_576, "[########++++++++] 12.0+24.0/24.0 GB"),
        (-1024, 0, "[################] 25.0/24.0 GB"),
        (30_000, 0, "[................] 0.0/24.0 GB"),
    ],
    ids=["free", "full", "more promised than free", "more used than there is", "more free than there is"],
)
def test_the_bar_is_as_long_as_the_memory(free_mb: int, reserved_mb: int, shown: str) -> None:
    told = advert()
    device = structs.replace(told.devices[0], free_mb=free_mb, reserved_mb=reserved_mb)
    assert shown in draw(Snapshot(NOW, [structs.replace(told, devices=[device])], [], False, {}, 0))


def test_a_device_says_what_is_on_it_alone() -> None:
    told = advert(run("here"), structs.replace(run("there"), device="GPU-1"), run("over", on_device=False))
    away = structs.replace(told.residents[0], adapter_id="away", device="GPU-1")
    text = draw(Snapshot(NOW, [structs.replace(told, residents=[away])], [], False, {}, 0))
    assert "1 running  nothing loaded" in text and "away" not in text


@pytest.mark.parametrize(
    ("draining", "reason", "shown"),
    [
        (False, None, "a on h"),
        (True, None, "a on h: takes no jobs: draining"),
        (False, "its disk is full", "a on h: takes no jobs: its disk is full"),
    ],
)
def test_an_agent_says_why_it_takes_no_jobs(draining: bool, reason: str | None, shown: str) -> None:
    told = structs.replace(advert(), draining=draining, reason=reason)
    assert shown in draw(Snapshot(NOW, [told], [], False, {}, 0)).splitlines()


def test_what_waits_is_counted_by_feature_the_most_frequent_first() -> None:
    jobs = [job("a", "queued", 1), job("b", "submitted", 2), structs.replace(job("c", "queued", 3), feature="echo")]
    assert "  2 text_to_mesh, 1 echo" in draw(Snapshot(NOW, [], jobs, False, {}, 3)).splitlines()
    assert "  of the latest jobs: 2 text_to_mesh, 1 echo" in draw(Snapshot(NOW, [], jobs, True, {}, 3)).splitlines()


def test_names_have_thirty_characters() -> None:
    jobs = [job("a", "queued", 1, label="x" * 30), job("b", "queued", 1, label="y" * 31), job("c", "queued", 1)]
    text = draw(Snapshot(NOW, [], [*jobs[:2], structs.replace(jobs[2], label=None)], False, {}, 3))
    assert f" {'x' * 30} " in text and f" {'y' * 29}… " in text
    assert re.search(r"^  c +text_to_mesh +text_to_mesh", text, re.MULTILINE), "without a label, its feature"
