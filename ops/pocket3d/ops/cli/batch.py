"""Runs a batch: submits its jobs side by side, waits for them and fetches their files."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from pocket3d.bus.client import Client, JobHandle, JobIdTaken, JobRefused
from pocket3d.bus.client.errors import ClientError
from pocket3d.bus.client.file_names import safe_name
from pocket3d.bus.file_digest import sha256_of
from pocket3d.bus.jetstream.objects.layout import input_name
from pocket3d.bus.port import BusError
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Result

from ..batch import Row, files_of, groups_of, job_ids, retried_id
from ..exit_codes import Exit, of_status
from ..inputs import LocalFile, with_files
from ..terminal_text import printable
from .errors import CliError, Stopped
from .output import print_json

T = TypeVar("T")

#: Submits, and waits with downloads, that are under way at a time.
_SUBMITS = 32
_WAITS = 64
#: For the group of jobs that are submitted already, seconds.
_GROUP_S = 10.0
#: Where the folder of a batch says which job is of which row.
TABLE = "jobs.csv"
#: A failure of one row is shown with so many characters; the table has all.
_SHOWN = 200


@dataclass
class Batch:
    """What is asked of all rows."""

    feature: str
    rows: Sequence[Row]
    #: Further arguments of `Client.submit`.
    request: Mapping[str, Any]
    metadata: Mapping[str, Any]
    wait: bool
    download: Path | None
    overwrite: bool
    #: Rows whose jobs ended without success are submitted anew, under another id.
    retry_failed: bool
    #: For all jobs together, seconds.
    timeout_s: float | None
    as_json: bool
    #: Whether progress is shown.
    shown: bool
    #: Of its source: its groups are called after it.
    name: str = ""


@dataclass
class _Job:
    """One row and what became of it."""

    row: Row
    job_id: str
    handle: JobHandle | None = None
    result: Result | None = None
    files: list[Path] = field(default_factory=list)
    #: Why it was not submitted, or its files not written.
    problem: str = ""

    @property
    def status(self) -> str:
        if self.result is not None:
            return self.result.status
        return "not submitted" if self.handle is None else "submitted"

    @property
    def error(self) -> str:
        told = self.result.error if self.result is not None else None
        return self.problem or (f"{told.code}: {told.message}" if told is not None else "")


async def run_batch(client: Client, batch: Batch) -> Exit:
    """Submit what is not known yet, and with `wait` follow all to their ends; the exit code of the worst.

    Raises:
        CliError: it was stopped by Ctrl-C, or nothing was submitted.
    """
    digests = {path: await asyncio.to_thread(sha256_of, path) for path in files_of(batch.rows)}
    ids = job_ids(batch.rows, batch.feature, batch.request, digests)
    jobs = [_Job(row, job_id) for row, job_id in zip(batch.rows, ids, strict=True)]
    teller = _Teller(len(jobs), shown=batch.shown)
    settled = asyncio.Event()
    try:
        await asyncio.wait_for(_run(client, batch, jobs, teller, digests, settled), batch.timeout_s)
    except asyncio.TimeoutError:
        if settled.is_set():
            teller.note(f"the list of groups may lack them: it was not told within {batch.timeout_s:g} s")
            return _end(batch, jobs)
        text = f"{_open(jobs)} of {len(jobs)} jobs have no result after {batch.timeout_s:g} s; they go on"
        raise CliError(text, Exit.WAIT_TIMED_OUT, hint=_AGAIN) from None
    except asyncio.CancelledError:
        left = _open(jobs)
        text = (
            f"stopped before the results of {left} of {len(jobs)} jobs were read; the jobs go on" if left else "stopped"
        )
        raise Stopped(text, Exit.INTERRUPTED, hint=_AGAIN) from None
    finally:
        teller.close()
        if batch.download is not None:
            await asyncio.to_thread(_write_table, batch.download, jobs)
    return _end(batch, jobs)


_AGAIN = "the same command goes on with them: nothing is submitted or fetched twice"


def _open(jobs: Sequence[_Job]) -> int:
    """Jobs that were submitted and whose results are not known."""
    return sum(job.handle is not None and job.result is None for job in jobs)


async def _run(
    client: Client,
    batch: Batch,
    jobs: Sequence[_Job],
    teller: _Teller,
    digests: Mapping[Path, str],
    settled: asyncio.Event,
) -> None:
    """Do what a batch is for, and set `settled`; then only the list of groups may have to be told still."""
    await _side_by_side(jobs, _SUBMITS, lambda job: _submit(client, batch, job, teller))
    grouping = asyncio.ensure_future(_group(client, batch, jobs, teller, digests))
    try:
        if batch.wait:
            await _side_by_side(jobs, _WAITS, lambda job: _follow(batch, job, teller))
        settled.set()
        await grouping
    finally:
        grouping.cancel()


async def _group(
    client: Client, batch: Batch, jobs: Sequence[_Job], teller: _Teller, digests: Mapping[Path, str]
) -> None:
    """Have the coordinator keep what was submitted as a group: one line in its list, one status, one end.

    The jobs are there already, each under its own id, and are taken as they are. So a batch depends on no coordinator,
    and a row that is no job costs the others nothing.
    """

    def reference(path: Path) -> dict[str, str]:
        return {"artifact": input_name(digests[path]), "filename": safe_name(path.name)}

    of_all = {key: value for key, value in batch.request.items() if value is not None and key != "tenant"}
    parts = (
        {
            "feature": batch.feature,
            "job_id": job.job_id,
            "inputs": {key: with_files(value, reference) for key, value in job.row.inputs.items()},
            "metadata": {**batch.metadata, **job.row.metadata},
            **of_all,
        }
        for job in jobs
        if job.handle is not None
    )
    for group in groups_of(batch.name, parts, client.bus.max_payload // 2):
        try:
            await client.submit_group(
                group.jobs, group_id=group.group_id, tenant=batch.request.get("tenant"), timeout=_GROUP_S
            )
        except (ClientError, BusError) as error:
            teller.note(f"they are not kept as a group: {error}")
            return
        teller.note(f"the page shows them as the batch {group.group_id}")


async def _side_by_side(jobs: Iterable[T], at_a_time: int, act: Callable[[T], Awaitable[None]]) -> None:
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await act(job)

    workers = [asyncio.ensure_future(work()) for _ in range(at_a_time)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _submit(client: Client, batch: Batch, job: _Job, teller: _Teller) -> None:
    inputs = {key: await _given(client, key, value) for key, value in job.row.inputs.items()}
    metadata = {**batch.metadata, **job.row.metadata} or None
    base, number = job.job_id, 1
    try:
        while True:
            job.handle = await client.submit(
                batch.feature, inputs, job_id=job.job_id, metadata=metadata, **batch.request
            )
            known = job.handle.known
            if known is None or known.status not in TERMINAL or known.status == "succeeded":
                break
            number += 1
            next_id = retried_id(base, number)
            tried = await client.bus.last(client.subjects.events_stream, client.subjects.events_of(next_id))
            if tried is None and not batch.retry_failed:
                break
            job.job_id = next_id
    except (JobRefused, JobIdTaken) as error:
        job.handle, job.problem = None, str(error)
        teller.failure(job)
        return
    teller.add(known=job.handle.known is not None)


async def _given(client: Client, key: str, value: Any) -> Any:
    if isinstance(value, LocalFile) and not key.endswith(("_path", "_paths")):
        return await client.upload(value.path)
    return with_files(value, lambda path: path)


async def _follow(batch: Batch, job: _Job, teller: _Teller) -> None:
    if job.handle is None:
        return
    job.result = await job.handle.result()
    if job.result.status == "succeeded" and batch.download is not None:
        try:
            job.files = await job.handle.download(batch.download, overwrite=batch.overwrite)
        except FileExistsError as error:
            job.problem = f"{error}; --overwrite replaces it"
        except (OSError, ClientError, BusError) as error:
            job.problem = f"its files could not be written: {error}"
    teller.end(job)


class _Teller:
    """Progress for a person: a bar on a terminal, else a line for each tenth; failures as they come."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self.total = total
        self.submitted = self.known = self.ended = 0
        self._shown = shown
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._tasks = {word: self._bar.add_task(word, total=total) for word in ("submitted", "ended")}

    def add(self, *, known: bool) -> None:
        self.submitted += 1
        self.known += known
        self._step("submitted", self.submitted)

    def end(self, job: _Job) -> None:
        self.ended += 1
        if job.error:
            self.failure(job)
        self._step("ended", self.ended)

    def note(self, line: str) -> None:
        self._say(printable(line, ""))

    def failure(self, job: _Job) -> None:
        error = job.error if len(job.error) <= _SHOWN else f"{job.error[: _SHOWN - 1]}…"
        self._say(printable(f"{job.row.place} ({job.job_id}) {job.status}: {error}", ""))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _step(self, word: str, count: int) -> None:
        if self._bar is not None:
            self._bar.update(self._tasks[word], completed=count)
        elif count == self.total or count * 10 // self.total > (count - 1) * 10 // self.total:
            known = f" ({self.known} known already)" if word == "submitted" and self.known else ""
            self._say(f"{count} of {self.total} {word}{known}")

    def _say(self, line: str) -> None:
        if not self._shown:
            return
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            click.echo(line, err=True)


def _end(batch: Batch, jobs: Sequence[_Job]) -> Exit:
    if batch.as_json:
        for job in jobs:
            told = job.result or {"job_id": job.job_id, "status": job.status, "place": job.row.place}
            print_json(told)
    else:
        new = sum(job.handle is not None and job.handle.known is None for job in jobs)
        click.echo(f"{len(jobs)} jobs, {new} submitted now: {_counts(jobs)}")
        if batch.download is not None:
            click.echo(
                f"their files are in folders named by job in {batch.download}; {TABLE} there says whose they are"
            )
    codes = [of_status(job.result.status) for job in jobs if job.result is not None]
    codes += [Exit.REJECTED for job in jobs if job.handle is None]
    codes += [Exit.ERROR for job in jobs if job.problem and job.handle is not None]
    return max(codes, default=Exit.OK)


def _counts(jobs: Sequence[_Job]) -> str:
    counts = Counter(job.status for job in jobs)
    return ", ".join(f"{count} {word}" for word, count in counts.most_common())


def _write_table(folder: Path, jobs: Sequence[_Job]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(("row", "job_id", "status", "error", "files"))
    for job in jobs:
        table.writerow(
            (
                job.row.place,
                job.job_id,
                job.status,
                job.error,
                " ".join(str(each.relative_to(folder)) for each in job.files),
            )
        )
    part = folder / f".{TABLE}.part"
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(folder / TABLE)
