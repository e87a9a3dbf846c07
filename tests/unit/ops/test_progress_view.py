"""What is told of a job while a person waits."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from pocket3d.bus.client import JobHandle, WaitTimeout
from pocket3d.bus.port import Refused
from pocket3d.contracts.messages import JobError, Progress, Result, Status, Timings
from pocket3d.ops.progress_view import Lines, describe, follow, renderer


def status(word: Any, **more: Any) -> Status:
    given: dict[str, Any] = {"attempt": 0, **more}
    return Status(job_id="j", feature="echo", priority="normal", tenant="default", status=word, at="t", **given)


def progress(fraction: float | None, stage: str | None = None, attempt: int = 1) -> Progress:
    return Progress(
        job_id="j", feature="echo", attempt=attempt, agent_id="a", fraction=fraction, stage=stage, message=None, at="t"
    )


OK = Result(job_id="j", feature="echo", status="succeeded", timings=Timings(run_s=1.5))
BAD = Result(job_id="j", feature="echo", status="failed", error=JobError(code="timeout", message="too long"))


def test_steps_in_words() -> None:
    assert describe(status("queued")) == "queued"
    assert describe(status("queued", reason="no agent serves echo")) == "queued: no agent serves echo"
    assert describe(status("running", attempt=2, agent_id="a", device="d")) == "running on a d (attempt 2)"
    assert describe(progress(0.5, "inflate")) == " 50% inflate"
    assert describe(progress(None)) == "running"
    assert describe(OK) == "succeeded in 1.50 s"
    assert describe(BAD) == "failed: timeout: too long"


def test_lines_are_few_however_often_progress_is_told() -> None:
    lines: list[str] = []
    show = Lines(lines.append, {"j": "the job"})
    for percent in range(101):
        show(progress(percent / 100, "run"))
    assert 10 <= len(lines) <= 12
    assert lines[0] == "the job:   0% run"
    show(progress(0.0, "run", attempt=2))
    assert lines[-1] == "the job:   0% run", "another attempt begins anew"
    show(progress(0.0, "write", attempt=2))
    assert lines[-1] == "the job:   0% write"


def test_the_end_is_told_once() -> None:
    lines: list[str] = []
    show = Lines(lines.append, {})
    show(status("running", agent_id="a"))
    show(status("succeeded"))
    show(OK)
    assert lines == ["j: running on a", "j: succeeded in 1.50 s"]


async def test_json_lines_carry_the_messages() -> None:
    stream = io.StringIO()
    async with renderer("json", stream=stream) as show:
        show(status("queued"))
        show(progress(0.5))
        show(OK)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [each["type"] for each in told] == ["status", "progress", "result"]
    assert told[2]["message"]["status"] == "succeeded"


async def test_where_there_is_no_terminal_auto_means_lines() -> None:
    stream = io.StringIO()
    async with renderer("auto", stream=stream) as show:
        show(OK)
    assert stream.getvalue() == "j: succeeded in 1.50 s\n"


async def test_bars_show_names_and_ends() -> None:
    stream = io.StringIO()
    async with renderer("bars", stream=stream, names={"j": "[the job]"}) as show:
        show(status("queued", reason="waits"))
        show(progress(0.5, "inflate"))
        show(OK)
    assert "[the job]" in stream.getvalue()
    assert "succeeded in 1.50 s" in stream.getvalue()


class Told:
    """Stands for a handle: its story, and a result that may not come."""

    job_id = "j"

    def __init__(self, result: Result | None, story: list[Status]) -> None:
        self._result, self._story = result, story

    async def events(self) -> AsyncIterator[Status]:
        for each in self._story:
            yield each
        await asyncio.Event().wait()

    async def progress(self) -> AsyncIterator[Progress]:
        yield progress(0.5)
        await asyncio.Event().wait()

    async def result(self, timeout: float | None = None) -> Result:
        await asyncio.sleep(0)
        if self._result is None:
            raise WaitTimeout("j", timeout or 0, "it is queued")
        return self._result


async def test_following_ends_with_the_result_also_if_the_last_event_never_comes() -> None:
    lines: list[str] = []
    job = cast(JobHandle, Told(OK, [status("queued")]))
    assert await follow(job, Lines(lines.append, {})) == OK
    assert lines[0] == "j: queued"
    assert lines[-1] == "j: succeeded in 1.50 s"


async def test_progress_is_shown_after_the_steps_that_came_before_it() -> None:
    class Late(Told):
        async def events(self) -> AsyncIterator[Status]:
            for each in self._story:
                await asyncio.sleep(0.01)
                yield each

        async def result(self, timeout: float | None = None) -> Result:
            await asyncio.sleep(0.05)
            return OK

    lines: list[str] = []
    story = [status("queued"), status("running", agent_id="a"), status("succeeded")]
    await follow(cast(JobHandle, Late(OK, story)), Lines(lines.append, {}))
    assert lines == ["j: queued", "j: running on a", "j:  50% running", "j: succeeded in 1.50 s"]


def test_an_end_says_what_was_made_and_ignored() -> None:
    outputs = {"bone_count": 8, "rig_info": {"ignored": ["a camera"], "lost": ["names"]}}
    ended = Result(job_id="j", feature="auto_rig", status="succeeded", outputs=outputs)
    assert describe(ended) == "succeeded: 8 bones; ignored: a camera; lost: names"


def test_a_long_message_is_cut_in_a_list_of_steps() -> None:
    error = JobError(code="invalid_input", message="no such\nnoun " * 100)
    line = describe(Result(job_id="j", feature="echo", status="failed", error=error))
    assert len(line) < 200
    assert "\n" not in line


async def test_a_wait_that_times_out_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(WaitTimeout):
        await follow(cast(JobHandle, Told(None, [])), Lines(lambda _: None, {}), 0.0)
    assert asyncio.all_tasks() == before


async def test_without_the_right_to_read_progress_the_result_still_comes() -> None:
    class NoProgress(Told):
        async def progress(self) -> AsyncIterator[Progress]:
            raise Refused("read P3D_PROGRESS: stream not found", code=10059)
            yield progress(0.5)

    assert await follow(cast(JobHandle, NoProgress(OK, [])), Lines(lambda _: None, {})) == OK
