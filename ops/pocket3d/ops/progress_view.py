"""Shows jobs to a person who waits: bars on a terminal, one line per step otherwise, or JSON lines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TextIO

import structlog

from pocket3d.bus.client import JobHandle
from pocket3d.bus.port import Refused
from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Progress, Result, Status

log = structlog.get_logger(__name__)

Form = Literal["auto", "bars", "lines", "json", "none"]

#: Least growth of a fraction that is worth a line of its own.
_STEP = 0.1


class Renderer:
    """Shows each job's events, progress and result, in the order in which they come; this one shows nothing."""

    def status(self, status: Status) -> None:
        """Show an event of a job."""

    def progress(self, progress: Progress) -> None:
        """Show how far a run is."""

    def result(self, result: Result) -> None:
        """Show how a job ended."""


class Lines(Renderer):
    """One line per step, and per tenth of a run."""

    def __init__(self, write: Callable[[str], None], names: dict[str, str]) -> None:
        self._write = write
        self._names = names
        self._shown: dict[str, tuple[int, float, str | None]] = {}

    def _name(self, job_id: str) -> str:
        return self._names.get(job_id, job_id)

    def status(self, status: Status) -> None:
        """Show an event of a job."""
        if status.status not in TERMINAL:
            self._write(f"{self._name(status.job_id)}: {describe(status)}")

    def progress(self, progress: Progress) -> None:
        """Show how far a run is."""
        attempt, fraction, stage = self._shown.get(progress.job_id, (0, -1.0, None))
        now = progress.fraction if progress.fraction is not None else fraction
        if (progress.attempt, progress.stage) == (attempt, stage) and now < fraction + _STEP:
            return
        self._shown[progress.job_id] = (progress.attempt, now, progress.stage)
        self._write(f"{self._name(progress.job_id)}: {describe_progress(progress)}")

    def result(self, result: Result) -> None:
        """Show how a job ended."""
        self._write(f"{self._name(result.job_id)}: {describe_result(result)}")


class JsonLines(Renderer):
    """Every message as `{"type": "status" | "progress" | "result", "message": {...}}`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def _emit(self, kind: str, message: Any) -> None:
        self._write(encode({"type": kind, "message": message}).decode())

    def status(self, status: Status) -> None:
        """Show an event of a job."""
        self._emit("status", status)

    def progress(self, progress: Progress) -> None:
        """Show how far a run is."""
        self._emit("progress", progress)

    def result(self, result: Result) -> None:
        """Show how a job ended."""
        self._emit("result", result)


class Bars(Renderer):
    """A bar per job."""

    def __init__(self, bars: Any, names: dict[str, str]) -> None:
        self._bars = bars
        self._names = names
        self._tasks: dict[str, Any] = {}

    def _task(self, job_id: str) -> Any:
        if job_id not in self._tasks:
            name = self._names.get(job_id, job_id)
            self._tasks[job_id] = self._bars.add_task(name, total=1.0, note="")
        return self._tasks[job_id]

    def status(self, status: Status) -> None:
        """Show an event of a job."""
        if status.status not in TERMINAL:
            again = {"completed": 0.0} if status.status == "queued" else {}
            self._bars.update(self._task(status.job_id), note=describe(status), **again)

    def progress(self, progress: Progress) -> None:
        """Show how far a run is."""
        fraction = {} if progress.fraction is None else {"completed": progress.fraction}
        note = progress.message or progress.stage or "running"
        self._bars.update(self._task(progress.job_id), note=note, **fraction)

    def result(self, result: Result) -> None:
        """Show how a job ended."""
        done = {"completed": 1.0} if result.status == "succeeded" else {}
        task = self._task(result.job_id)
        self._bars.update(task, note=describe_result(result), **done)
        self._bars.stop_task(task)


@asynccontextmanager
async def renderer(
    form: Form, *, stream: TextIO | None = None, names: dict[str, str] | None = None
) -> AsyncIterator[Renderer]:
    """What shows jobs in one form, for as long as they are followed.

    Args:
        form: `auto` is bars on a terminal and lines elsewhere.
        stream: default stderr, stdout for JSON.
        names: what to call jobs, by id.
    """
    target = stream or (sys.stdout if form == "json" else sys.stderr)

    def write(line: str) -> None:
        target.write(line + "\n")
        target.flush()

    if form == "auto":
        form = "bars" if target.isatty() else "lines"
    if form == "none":
        yield Renderer()
    elif form == "json":
        yield JsonLines(write)
    elif form == "lines":
        yield Lines(write, names or {})
    else:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with RichProgress(*columns, console=Console(file=target)) as bars:
            yield Bars(bars, names or {})


async def follow(job: JobHandle, show: Renderer, timeout: float | None = None) -> Result:
    """Show a job's events and progress until it has its result.

    Raises:
        WaitTimeout: it has none after `timeout` seconds.
    """

    async def story() -> None:
        async for status in job.events():
            show.status(status)

    async def progress() -> None:
        try:
            async for each in job.progress():
                show.progress(each)
        except Refused as error:
            # Progress is a comfort: without its stream, or the right to read it, the story and the result go on.
            log.info("the progress of a job cannot be shown", job_id=job.job_id, error=str(error))

    watching = [asyncio.ensure_future(story()), asyncio.ensure_future(progress())]
    try:
        result = await job.result(timeout)
        # The progress ends by itself with the result; the last event may come some milliseconds after it.
        await asyncio.wait(watching, timeout=1.0)
    finally:
        for task in watching:
            task.cancel()
        ended = await asyncio.gather(*watching, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome
    show.result(result)
    return result


async def follow_all(jobs: Sequence[JobHandle], show: Renderer, timeout: float | None = None) -> list[Result]:
    """`follow` for several at once; the results in the order of the jobs."""
    return list(await asyncio.gather(*(follow(job, show, timeout) for job in jobs)))


def describe(status: Status) -> str:
    """A step in words."""
    where = f" on {status.agent_id} {status.device or ''}".rstrip() if status.agent_id else ""
    why = f": {status.reason}" if status.reason else ""
    again = f" (attempt {status.attempt})" if status.attempt > 1 else ""
    return f"{status.status}{where}{again}{why}"


def describe_progress(progress: Progress) -> str:
    """How far, in words."""
    percent = "" if progress.fraction is None else f"{progress.fraction:4.0%} "
    return f"{percent}{progress.message or progress.stage or 'running'}"


def describe_result(result: Result) -> str:
    """An end in words."""
    run = result.timings.run_s
    took = f" in {run:.2f} s" if run is not None and result.status == "succeeded" else ""
    why = f": {result.error.code}: {result.error.message}" if result.error else ""
    return f"{result.status}{took}{why}"
