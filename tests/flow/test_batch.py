"""A batch through the whole system: interrupted and begun again, no job is there twice, none is missing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pocket3d.ops.batch import read_batch
from pocket3d.ops.cli.batch import TABLE, Batch, run_batch
from pocket3d.ops.cli.errors import CliError, Stopped
from pocket3d.ops.exit_codes import Exit
from pocket3d.ops.simulation.chaos import Chaos
from support.flow import Flow, play


def batch_of(folder: Path, rows: list[dict[str, Any]], **more: Any) -> Batch:
    source = folder / "rows.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    settings: dict[str, Any] = {
        "request": {}, "metadata": {}, "wait": True, "download": folder / "out", "overwrite": False,
        "retry_failed": False, "timeout_s": None, "as_json": False, "shown": False,
    }  # fmt: skip
    return Batch(feature="echo", rows=read_batch(source, "echo", {}, []), **{**settings, **more})


def told_to(flow: Flow) -> None:
    """The oracle wants to know which jobs were accepted."""
    for each in flow.world.server.stream(flow.world.subjects.events_stream).messages.values():
        parts = each.subject.split(".")
        if len(parts) == 5:
            flow.world.accepted.add(parts[3])


def results(flow: Flow) -> list[str]:
    stream = flow.world.server.stream(flow.world.subjects.results_stream)
    return [each.subject.rpartition(".")[2] for each in stream.messages.values()]


@pytest.mark.parametrize("submitted", [1, 17, 60])
def test_interrupted_and_begun_again_none_is_there_twice_and_none_missing(tmp_path: Path, submitted: int) -> None:
    rows = [{"seconds": 0.05, "files": True, "n": number % 55} for number in range(60)]

    async def scenario(flow: Flow) -> None:
        batch = batch_of(tmp_path, rows)
        first = asyncio.ensure_future(run_batch(flow.client, batch))
        events = flow.world.server.stream(flow.world.subjects.events_stream).messages
        await flow.until(lambda: sum(each.subject.endswith(".queued") for each in events.values()) >= submitted)
        first.cancel()
        with pytest.raises(Stopped, match=r"stopped before the results of \d+ of 60 jobs were read; the jobs go on"):
            await first
        assert await run_batch(flow.client, batch) is Exit.OK
        told_to(flow)
        assert len(results(flow)) == len(set(results(flow))) == 60
        assert set(flow.world.attempts.values()) == {1}
        folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
        assert folders == sorted(results(flow))
        table = (tmp_path / "out" / TABLE).read_text(encoding="utf-8").splitlines()
        assert (len(table), table[0]) == (61, "row,job_id,status,error,files")
        assert sum(",succeeded,," in line for line in table) == 60
        assert await run_batch(flow.client, batch) is Exit.OK
        assert len(results(flow)) == 60
        (group,) = (await flow.client.groups()).groups
        ended = await flow.client.group(group.group_id).wait()
        assert (ended.status, ended.counts) == ("succeeded", {"succeeded": 60})
        assert sorted(job.job_id for job in ended.jobs) == folders
        assert len((await flow.client.groups()).groups) == 1, "the same batch is the same group"
        assert set(flow.world.attempts.values()) == {1}

    play(scenario, tmp_path)


def test_failed_rows_are_tried_again_when_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"seconds": 0.05}, {"seconds": 0.05, "behave": "bad_input"}]

    async def scenario(flow: Flow) -> None:
        for again, count in ((False, 2), (False, 2), (True, 3), (False, 3), (True, 4)):
            batch = batch_of(tmp_path, rows, retry_failed=again, download=None)
            assert await run_batch(flow.client, batch) is Exit.FAILED
            told_to(flow)
            assert len(results(flow)) == count
        assert any(each.endswith("-r3") for each in results(flow))
        groups = (await flow.client.groups()).groups
        assert [each.counts for each in groups] == [{"succeeded": 1, "failed": 1}] * 3, "one for each time it was tried"

    play(scenario, tmp_path)
    assert "2 jobs, 1 submitted now: 1 succeeded, 1 failed" in capsys.readouterr().out


def test_a_wait_that_is_over_leaves_the_jobs_and_says_so(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        with pytest.raises(CliError, match="2 of 2 jobs have no result after 1 s; they go on") as caught:
            await run_batch(flow.client, batch_of(tmp_path, [{"seconds": 5}, {"seconds": 6}], timeout_s=1.0))
        assert caught.value.exit_code == Exit.WAIT_TIMED_OUT
        told_to(flow)

    play(scenario, tmp_path)


@pytest.mark.parametrize("wait", [False, True])
def test_a_batch_whose_work_is_done_in_time_has_no_fault_though_nobody_keeps_its_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wait: bool
) -> None:
    async def scenario(flow: Flow) -> None:
        rows = [{"seconds": 0.05}, {"seconds": 0.06}]
        if wait:
            assert await run_batch(flow.client, batch_of(tmp_path, rows)) is Exit.OK
        Chaos(flow.world).crash(flow.leader(), back_after_s=30.0)
        batch = batch_of(tmp_path, rows, wait=wait, download=None, timeout_s=3.0, shown=True)
        assert await run_batch(flow.client, batch) is Exit.OK
        told_to(flow)
        await flow.until(lambda: len(results(flow)) == 2)
        told_to(flow)

    play(scenario, tmp_path)
    told = capsys.readouterr()
    assert "2 jobs, " in told.out
    assert "the list of groups may lack them: it was not told within 3 s" in told.err


def test_a_row_that_is_no_job_costs_the_others_nothing(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        batch = batch_of(tmp_path, [{"seconds": 0.05, "text_prompt": " "}, {"seconds": 0.05}])
        assert await run_batch(flow.client, batch) is Exit.REJECTED
        told_to(flow)
        assert len(results(flow)) == 1
        (group,) = (await flow.client.groups()).groups
        assert group.counts == {"succeeded": 1}
        assert "the prompt is empty" in (tmp_path / "out" / TABLE).read_text(encoding="utf-8")

    play(scenario, tmp_path)
