"""Commands about jobs that were submitted: `pocket3d status`, `result`, `cancel`, `explain`, `jobs` and `watch`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import click

from pocket3d.bus.client import Client, JobHandle
from pocket3d.bus.port import Msg, Refused
from pocket3d.contracts.api import Explanation
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.features import FEATURE_PATTERN
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Progress, Result, Status
from pocket3d.contracts.variants import label

from ..exit_codes import Exit, of_status
from ..progress_view import Show, describe, follow_all, renderer
from ..terminal_text import printable
from .errors import CliError, goes_on, runs
from .job_metadata import having
from .options import (
    Target,
    check_job_ids,
    connects,
    download_options,
    job_argument,
    job_arguments,
    json_option,
    seconds_option,
    wait_option,
)
from .output import print_json, print_status, print_table, tell_result
from .times import since

#: Jobs that are asked for at a time.
_PAGE = 1000
#: Of a reason in the list; `pocket3d status` has all of it.
_REASON_CHARS = 80
_WORDS = ("queued", "running", "succeeded", "failed", "cancelled", "expired", "rejected")


@click.command("status")
@job_argument
@json_option
@connects
@runs
async def status(job_id: str, target: Target, as_json: bool) -> None:
    """Show where a job stands."""
    async with target.client("cli:status") as client:
        job = client.job(job_id)
        found = await job.status()
        progress = None if as_json else await _progress_of(job, found.status, found.attempt)
    if as_json:
        print_json(found)
    else:
        print_status(found, progress)


async def _progress_of(job: JobHandle, status: str, attempt: int | None = None) -> Progress | None:
    """How far a running job is, or that its model is being loaded; None where nothing is told of it."""
    if status not in ("running", "awarded"):
        return None
    try:
        progress = await job.latest()
    except Refused:
        # Progress is a comfort: without its stream, or the right to read it, the answer stands.
        return None
    return progress if progress is not None and attempt in (None, progress.attempt) else None


@click.command("result")
@job_argument
@click.option("--wait", is_flag=True, help="Wait for the result.")
@seconds_option("--timeout", "Wait at most S seconds.")
@download_options
@json_option
@connects
@runs
async def result(
    job_id: str,
    target: Target,
    wait: bool,
    timeout: float | None,
    download: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Show a job's result, and write its files; exit code 7 while there is none."""
    async with target.client("cli:result") as client:
        job = client.job(job_id)
        # Of a job that nobody knows there is nothing to wait for.
        await job.status()
        with goes_on(job_id):
            found = await job.result(timeout if timeout is not None else None if wait else 0.0)
        await tell_result(job, found, download, overwrite=overwrite, as_json=as_json)
    raise click.exceptions.Exit(int(of_status(found.status)))


@click.command("cancel")
@job_arguments
@click.option("--reason", help="Give a reason, which the result repeats.")
@click.option("--wait", is_flag=True, help="Wait until the jobs have ended.")
@json_option
@connects
@runs
async def cancel(job_ids: tuple[str, ...], target: Target, reason: str | None, wait: bool, as_json: bool) -> None:
    """End jobs, queued or running. Of a job that has ended nothing changes."""
    async with target.client("cli:cancel") as client:
        for job_id in job_ids:
            job = client.job(job_id)
            found = await job.cancel(reason)
            word = (await job.result()).status if wait else found.status
            if as_json:
                print_json(await job.status() if wait else found)
            else:
                click.echo(f"{job_id} {word}" + ("" if word in TERMINAL else ", asked to end"))


@click.command("explain")
@job_argument
@json_option
@connects
@runs
async def explain(job_id: str, target: Target, as_json: bool) -> None:
    """Say why a job is not running: which agents, which dimension, by how much; or where it runs."""
    async with target.client("cli:explain") as client:
        job = client.job(job_id)
        answer = await job.explain()
        progress = None if as_json else await _progress_of(job, answer.status)
    if as_json:
        print_json(answer)
        return
    _print_explanation(job_id, answer, progress)


def _print_explanation(job_id: str, answer: Explanation, progress: Progress | None) -> None:
    """Why, how far it is, and which agents; columns that are empty are left out."""
    # Of a job that has ended the summary says the status, too.
    status = "" if answer.status in TERMINAL else f" {answer.status}"
    click.echo(printable(f"{job_id}{status}: {answer.summary}"))
    if progress is not None:
        click.echo(f"{job_id} {describe(progress).strip()}")
    head = ("AGENT", "DEVICE", "ADAPTER", "REASON", "NEED MB", "HAVE MB", "SHORT MB", "MESSAGE")
    rows = [
        (
            r.agent_id,
            r.device,
            r.adapter_id and label(r.adapter_id, r.variant),
            r.code,
            r.need_mb,
            r.have_mb,
            r.short_mb,
            r.message,
        )
        for r in answer.reasons
    ]
    shown = [column for column in range(len(head)) if any(row[column] is not None for row in rows)]
    if rows:
        print_table([head[column] for column in shown], [[row[column] for column in shown] for row in rows])


def _since(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """A time, or how long ago it was, as RFC 3339."""
    at = since(context, option, text)
    return None if at is None else rfc3339(at)


def _pair(context: click.Context, option: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """`KEY=VALUE`, several of them."""
    found = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
    if len(found) != len(pairs):
        raise click.BadParameter(f"{', '.join(pairs)}: want KEY=VALUE, each key once")
    return found


@click.command("jobs")
@click.option("--status", type=click.Choice(_WORDS), help="List only jobs with this status.")
@click.option("--feature", help="List only jobs of this feature.")
@click.option("--tenant", help="List only jobs of this tenant.")
@click.option("--since", callback=_since, help="List only jobs submitted since: 30m, 2h, 7d, or an RFC 3339 time.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pair,
    help="List only jobs with this metadata; repeatable. The request or result of each job is read for it.",
)
@click.option("--count", is_flag=True, help="Count all jobs, by feature and status, instead of listing some.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="List at most so many jobs.")
@json_option
@connects
@runs
async def list_jobs(
    target: Target,
    status: str | None,
    feature: str | None,
    tenant: str | None,
    since: str | None,
    metadata: dict[str, str],
    count: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, the newest first. With --json one status per line."""
    filters = {"status": status, "feature": feature, "tenant": tenant, "since": since}
    more = False
    found: list[Status] = []
    async with target.client("cli:jobs") as client:
        pages = _pages(client, {key: value for key, value in filters.items() if value is not None})
        async with aclosing(pages):
            async for page in pages:
                found += await having(client, page, metadata) if metadata else page
                if len(found) > limit and not count:
                    more = True
                    break
    if count:
        _print_counts(found, as_json)
        return
    found = found[:limit]
    if as_json:
        for each in found:
            print_json(each)
        return
    print_table(
        ("JOB", "LABEL", "FEATURE", "PRIORITY", "STATUS", "ATTEMPT", "AGENT", "VARIANT", "SINCE", "REASON"),
        [
            (
                each.job_id,
                each.label,
                each.feature,
                each.priority,
                each.status,
                each.attempt or None,
                each.agent_id,
                each.variant,
                each.at,
                _reason(each),
            )
            for each in found
        ],
    )
    if more:
        click.echo(f"{limit} shown, there are more: --limit, --status, --feature or --since", err=True)


async def _pages(client: Client, filters: dict[str, str]) -> AsyncGenerator[list[Status], None]:
    after: str | None = None
    while True:
        page = await client.list(**filters, limit=_PAGE, after=after)
        yield page.jobs
        after = page.next
        if after is None:
            return


def _reason(status: Status) -> str | None:
    reason = status.error.message if status.error else status.reason
    if reason is None:
        return None
    reason = " ".join(reason.split())
    return reason if len(reason) <= _REASON_CHARS else f"{reason[: _REASON_CHARS - 1]}…"


def _print_counts(found: list[Status], as_json: bool) -> None:
    counts: dict[str, dict[str, int]] = {}
    for each in found:
        of_feature = counts.setdefault(each.feature, {})
        of_feature[each.status] = of_feature.get(each.status, 0) + 1
    if as_json:
        print_json({"total": len(found), "features": counts})
        return
    words = [word for word in (*_WORDS, "submitted", "awarded") if any(word in each for each in counts.values())]
    rows = [(name, *(of.get(word) for word in words), sum(of.values())) for name, of in sorted(counts.items())]
    total = [sum(of.get(word, 0) for of in counts.values()) for word in words]
    print_table(("FEATURE", *(word.upper() for word in words), "TOTAL"), [*rows, ("all", *total, len(found))])


@click.command("watch")
@click.argument("job_ids", nargs=-1, callback=check_job_ids, metavar="[JOB_ID]...")
@click.option("--feature", help="Follow only jobs of this feature, where no job ids are given.")
@wait_option
@json_option
@connects
@runs
async def watch(
    job_ids: tuple[str, ...], target: Target, feature: str | None, timeout: float | None, as_json: bool
) -> None:
    """Follow jobs to their end; without ids follow all jobs until Ctrl-C.

    With ids the exit code is that of the worst result. With --json every message is one line,
    `{"type": "status" | "progress" | "result", "message": {...}}`.
    """
    async with target.client("cli:watch") as client:
        if not job_ids:
            async with renderer("json" if as_json else "lines") as show:
                await _watch_all(client, feature, show, timeout)
            return
        for job_id in job_ids:
            await client.job(job_id).status()
        async with renderer("json" if as_json else "auto") as show:
            with goes_on(*job_ids):
                results = await follow_all([client.job(job_id) for job_id in job_ids], show, timeout)
        raise click.exceptions.Exit(max(int(of_status(result.status)) for result in results))


async def _watch_all(client: Client, feature: str | None, show: Show, timeout: float | None) -> None:
    if feature is not None and not FEATURE_PATTERN.fullmatch(feature):
        raise CliError(f"feature {feature!r}: want 1 to 48 of a-z, 0-9 and _", Exit.USAGE)

    async def read(kind: type[Status | Progress | Result], msg: Msg) -> None:
        try:
            message = decode(kind, msg.data)
        except WireError as error:
            click.echo(f"{msg.subject}: not of the wire's shape: {error}", err=True)
            return
        # The result tells how a job ended.
        if not (isinstance(message, Status) and message.status in TERMINAL):
            show(message)

    subjects = client.subjects
    await client.bus.subscribe(subjects.events_of("*", feature or "*"), partial(read, Status))
    await client.bus.subscribe(subjects.progress(feature or "*", "*"), partial(read, Progress))
    await client.bus.subscribe(subjects.result(feature or "*", "*"), partial(read, Result))
    click.echo(f"watching {feature or 'all features'}; Ctrl-C ends it", err=True)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), timeout)
