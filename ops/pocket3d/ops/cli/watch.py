"""`pocket3d watch`."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import click

from pocket3d.bus.client import Client
from pocket3d.bus.port import Msg
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.features import FEATURE_PATTERN
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Progress, Result, Status

from ..exit_codes import Exit, of_status
from ..progress_view import Renderer, follow_all, renderer
from .errors import CliError, runs
from .options import Target, check_job_ids, connects, json_option, wait_option

T = TypeVar("T")


@click.command("watch")
@click.argument("job_ids", nargs=-1, callback=check_job_ids, metavar="[JOB_ID]...")
@click.option("--feature", help="Follow only jobs of this feature, where no job ids are given.")
@wait_option
@json_option
@connects
@runs
async def command(
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
            results = await follow_all([client.job(job_id) for job_id in job_ids], show, timeout)
        raise click.exceptions.Exit(max(int(of_status(result.status)) for result in results))


async def _watch_all(client: Client, feature: str | None, show: Renderer, timeout: float | None) -> None:
    subjects = client.subjects

    async def event(msg: Msg) -> None:
        status = _read(Status, msg)
        if status is not None and status.status not in TERMINAL:
            show.status(status)

    async def progress(msg: Msg) -> None:
        each = _read(Progress, msg)
        if each is not None:
            show.progress(each)

    async def result(msg: Msg) -> None:
        each = _read(Result, msg)
        if each is not None:
            show.result(each)

    if feature is not None and not FEATURE_PATTERN.fullmatch(feature):
        raise CliError(f"feature {feature!r}: want 1 to 48 of a-z, 0-9 and _", Exit.USAGE)
    await client.bus.subscribe(subjects.events_of("*", feature or "*"), event)
    await client.bus.subscribe(subjects.progress(feature or "*", "*"), progress)
    await client.bus.subscribe(subjects.result(feature or "*", "*"), result)
    click.echo(f"watching {feature or 'all features'}; Ctrl-C ends it", err=True)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), timeout)
    except asyncio.TimeoutError:
        return


def _read(kind: type[T], msg: Msg) -> T | None:
    try:
        return decode(kind, msg.data)
    except WireError as error:
        click.echo(f"{msg.subject}: not of the wire's shape: {error}", err=True)
        return None
