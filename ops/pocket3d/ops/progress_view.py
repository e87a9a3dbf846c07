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

from .result_remarks import made, remarks
from .terminal_text import printable

log = structlog.get_logger(__name__)

Form = Literal["auto", "bars", "lines", "json", "none"]

#: Least growth of a fraction that is worth a line of its own.
_STEP = 0.1
#: Of a reason or an error.
_CHARS = 160


#: Steps before which there is no progress.
_BEFORE_RUN = ("submitted", "queued", "awarded")

#: An event of a job, how far a run is, or how a job ended; shown in the order in which they come.
Shown = Status | Progress | Result
Show = Callable[[Shown], None]


class Lines:
    """One line per step, and per tenth of a run."""

    def __init__(self, write: Callable[[str], None], names: dict[str, str]) -> None:
        self._write = write
        self._names = names
        self._shown: dict[str, tuple[int, float, str | None]] = {}

    def __call__(self, message: Shown) -> None:
        """Show it."""
        job_id = message.job_id
        if isinstance(message, Status) and message.status in TERMINAL:
            return
        if isinstance(message, Progress):
            attempt, fraction, stage = self._shown.get(job_id, (0, -1.0, None))
            now = message.fraction if message.fraction is not None else fraction
            if (message.attempt, message.stage) == (attempt, stage) and now < fraction + _STEP:
                return
            self._shown[job_id] = (message.attempt, now, message.stage)
        self._write(f"{self._names.get(job_id, job_id)}: {describe(message)}")


class Bars:
    """A bar per job."""

    def __init__(self, bars: Any, names: dict[str, str]) -> None:
        self._bars = bars
        self._names = names
        self._tasks: dict[str, Any] = {}

    def __call__(self, message: Shown) -> None:
        """Show it."""
        job_id, note = message.job_id, describe(message)
        done: float | None = None
        if isinstance(message, Progress):
            done, note = message.fraction, message.message or message.stage or "running"
        elif isinstance(message, Result):
            done = 1.0 if message.status == "succeeded" else None
        elif message.status in TERMINAL:
            return
        elif message.status == "queued":
            done = 0.0
        if job_id not in self._tasks:
            self._tasks[job_id] = self._bars.add_task(self._names.get(job_id, job_id), total=1.0, note="")
        # rich takes None for no change.
        self._bars.update(self._tasks[job_id], note=note, completed=done)
        if isinstance(message, Result):
            self._bars.stop_task(self._tasks[job_id])


@asynccontextmanager
async def renderer(
    form: Form, *, stream: TextIO | None = None, names: dict[str, str] | None = None
) -> AsyncIterator[Show]:
    """What shows jobs in one form, for as long as they are followed.

    `auto` is bars on a terminal and lines elsewhere. The stream is stderr by default, stdout for JSON. `names` says
    what to call jobs, by id.
    """
    target = stream or (sys.stdout if form == "json" else sys.stderr)

    def write(line: str) -> None:
        target.write(line + "\n")
        target.flush()

    if form == "auto":
        form = "bars" if target.isatty() else "lines"
    if form == "none":
        yield lambda message: None
    elif form == "json":
        yield lambda message: write(encode({"type": type(message).__name__.lower(), "message": message}).decode())
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


async def follow(job: JobHandle, show: Show, timeout: float | None = None) -> Result:
    """Show a job's events and progress until it has its result.

    Raises:
        WaitTimeout: it has none after `timeout` seconds.
    """

    # What the stream keeps of the progress is read at once, and would be shown before the steps that came before it.
    begun = asyncio.Event()

    async def story() -> None:
        try:
            async for status in job.events():
                show(status)
                if status.status not in _BEFORE_RUN:
                    begun.set()
        finally:
            begun.set()

    async def progress() -> None:
        await begun.wait()
        try:
            async for each in job.progress():
                show(each)
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
    show(result)
    return result


async def follow_all(jobs: Sequence[JobHandle], show: Show, timeout: float | None = None) -> list[Result]:
    """`follow` for several at once; the results in the order of the jobs."""
    return list(await asyncio.gather(*(follow(job, show, timeout) for job in jobs)))


def describe(message: Shown) -> str:
    """A step, how far a run is, or an end, in words; safe on a terminal."""
    return printable(_words(message))


def _words(message: Shown) -> str:
    if isinstance(message, Progress):
        percent = "" if message.fraction is None else f"{message.fraction:4.0%} "
        return f"{percent}{message.message or message.stage or 'running'}"
    if isinstance(message, Result):
        run = message.timings.run_s
        took = f" in {run:.2f} s" if run is not None and message.status == "succeeded" else ""
        why = f": {message.error.code}: {_short(message.error.message)}" if message.error else ""
        what = made(message)
        told = "".join(f"; {each}" for each in remarks(message))
        return f"{message.status}{took}{f': {what}' if what else ''}{why}{told}"
    where = f" on {message.agent_id} {message.device or ''}".rstrip() if message.agent_id else ""
    why = f": {_short(message.reason)}" if message.reason else ""
    again = f" (attempt {message.attempt})" if message.attempt > 1 else ""
    return f"{message.status}{where}{again}{why}"


def _short(text: str) -> str:
    """A message on one line of a list of steps; `pocket3d result` has all of it."""
    text = " ".join(text.split())
    return text if len(text) <= _CHARS else f"{text[: _CHARS - 1]}…"
