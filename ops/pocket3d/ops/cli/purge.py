"""`pocket3d purge`."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import click
import msgspec

from pocket3d.bus.client import Client
from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import Refused, Stored
from pocket3d.contracts.chain_messages import CHAIN_TERMINAL
from pocket3d.contracts.codec import WireError
from pocket3d.contracts.messages import Result, read_result
from pocket3d.contracts.subjects import ChainKind

from ..purging import Ended, due, ended_job, environments_in_use, named_in, with_own_files
from ..settings import state_folder
from .errors import CliError, runs
from .options import FILE, Target, connects
from .output import print_table, size
from .times import since

_PAGE = 256
#: Chains or groups of one page.
_LISTED = 100
#: Jobs whose results are read, or that are removed, side by side.
_AT_A_TIME = 16


@click.command("purge")
@click.option(
    "--older-than",
    callback=since,
    metavar="AGE",
    default="28d",
    show_default=True,
    help="Remove what ended so long ago or before a time: 30m, 2h, 7d, 0s, 2026-11-28T12:00:00Z.",
)
@click.option("--jobs", is_flag=True, help="Remove ended jobs: their files, results, histories and dead letters.")
@click.option("--files", is_flag=True, help="Remove the files of ended jobs; results and histories stay.")
@click.option("--environments", is_flag=True, help="Remove the folders of models that no models.yaml here names.")
@click.option("--models", type=FILE, envvar="POCKET3D_MODELS", help="Keep the environments that this file names.")
@click.option("--yes", is_flag=True, help="Remove it. Without this everything is only listed.")
@connects
@runs
async def command(
    target: Target,
    older_than: float,
    jobs: bool,
    files: bool,
    environments: bool,
    models: Path | None,
    yes: bool,
) -> None:
    """Remove ended jobs with their files, or models' environments; first it only lists them.

    Unfinished jobs, and ended ones whose files an unfinished job or chain needs, are never removed; files that a
    later job got from the cache stay as long as that one.
    """
    if not (jobs or files or environments):
        raise click.UsageError("say what is to go: --files, --jobs (with their files) or --environments")
    if jobs or files:
        async with target.client("cli:purge") as client:
            await _purge_jobs(client, older_than, whole=jobs, yes=yes)
    if environments:
        await asyncio.to_thread(_purge_environments, models, yes)
    if not yes:
        click.echo("nothing was removed; --yes removes it", err=True)


async def _purge_jobs(client: Client, before: float, *, whole: bool, yes: bool) -> None:
    known = [job async for job in _ended(client)]
    # Read last: a job that came meanwhile names what it needs before its source is looked at.
    leaving = due(known, before, await _needed(client) | await _needed_by_chains(client))
    gone = {job.job_id for job in leaving}
    found = with_own_files(leaving, (job for job in known if job.job_id not in gone))
    if not whole:
        found = [job for job in found if job.artifacts]
    print_table(
        ("JOB", "FEATURE", "STATUS", "ENDED", "FILES", "SIZE"),
        [(j.job_id, j.feature, j.status, _utc(j.ended_at), len(j.artifacts), size(j.size)) for j in found],
    )
    what = "jobs with their files" if whole else "jobs' files"
    click.echo(f"{len(found)} {what}, {size(sum(job.size for job in found))}")
    if not yes:
        return
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def remove(job: Ended) -> None:
        async with gate:
            for artifact in job.artifacts:
                await client.bus.delete_object(artifact.bucket, artifact.object)
            if whole:
                await _remove_story(client, job.job_id)

    try:
        await asyncio.gather(*map(remove, found))
    except Refused as error:
        raise CliError(
            f"not all could be removed: {error}", hint="an operator's rights are needed: docs/operating.md"
        ) from error
    click.echo(f"removed {len(found)} {what}")


async def _ended(client: Client) -> AsyncGenerator[Ended, None]:
    """All ended jobs that the coordinator lists, with what their results name."""
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def result_of(job_id: str) -> Result | None:
        async with gate:
            stored = await client.bus.last(client.subjects.results_stream, client.subjects.result_of(job_id))
        try:
            return read_result(stored.data, job_id) if stored is not None else None
        except WireError:
            return None

    after: str | None = None
    while True:
        page = await client.list(limit=1000, after=after)
        results = await asyncio.gather(*(result_of(each.job_id) for each in page.jobs))
        for status, result in zip(page.jobs, results, strict=True):
            job = ended_job(status, result)
            if job is not None:
                yield job
        after = page.next
        if after is None:
            return


async def _needed(client: Client) -> frozenset[str]:
    """Jobs whose results unfinished jobs name."""
    found: frozenset[str] = frozenset()
    for subject in client.subjects.all_jobs():
        messages = _messages(client, client.subjects.jobs_stream, subject)
        async with aclosing(messages):
            async for message in messages:
                try:
                    body = msgspec.json.decode(message.data)
                except msgspec.DecodeError:
                    continue
                if isinstance(body, dict):
                    found |= named_in(body)
    return found


async def _needed_by_chains(client: Client) -> frozenset[str]:
    """Jobs of unfinished chains and groups, and those whose results these name: steps that wait are not published."""
    found: frozenset[str] = frozenset()
    unfinished: list[tuple[ChainKind, str]] = []
    after: str | None = None
    while True:
        chains = await client.chains(limit=_LISTED, after=after)
        unfinished += [("chain", each.chain_id) for each in chains.chains if each.status not in CHAIN_TERMINAL]
        if (after := chains.next) is None:
            break
    while True:
        groups = await client.groups(limit=_LISTED, after=after)
        unfinished += [("group", each.group_id) for each in groups.groups if each.status not in CHAIN_TERMINAL]
        if (after := groups.next) is None:
            break
    for kind, name in unfinished:
        if kind == "chain":
            found |= {each.job_id for each in (await client.chain(name).status()).steps}
        else:
            found |= {each.job_id for each in (await client.group(name).status()).jobs}
        subject = client.subjects.chain_event(kind, name, "submitted")
        request = await client.bus.last(client.subjects.chains_stream, subject)
        body = msgspec.json.decode(request.data) if request is not None else {}
        for part in body.get("steps") or body.get("jobs") or ():
            found |= named_in(part)
    return found


async def _messages(client: Client, stream: str, subject: str) -> AsyncGenerator[Stored, None]:
    start = 1
    while page := await client.bus.pages(stream, subject, start=start, limit=_PAGE):
        for message in page:
            yield message
        start = page[-1].seq + 1


async def _remove_story(client: Client, job_id: str) -> None:
    """All messages about a job. The story goes last: as long as there is one, its id is known."""
    subjects = client.subjects
    places = (
        (subjects.progress_stream, subjects.progress_of(job_id)),
        (subjects.dead_stream, subjects.dead("*", job_id)),
        (subjects.results_stream, subjects.result_of(job_id)),
        (kv_stream(subjects.status_bucket), kv_subject(subjects.status_bucket, job_id)),
        (subjects.events_stream, subjects.events_of(job_id)),
    )
    for stream, subject in places:
        for message in [each async for each in _messages(client, stream, subject)]:
            await client.bus.delete(stream, message.seq)


def _purge_environments(models: Path | None, yes: bool) -> None:
    root = state_folder(os.environ) / "models"
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    pythons: list[str | None] = []
    if models is not None:
        # It needs a package that the command line alone has not.
        from pocket3d.adapters.catalogue.models_yaml import load_models_yaml

        pythons = [each.python for each in load_models_yaml(models).adapters]
    kept = environments_in_use(pythons, folders)
    print_table(
        ("ENVIRONMENT", "SIZE", ""),
        [(folder, size(_bytes(folder)), f"kept: {models} names it" if folder in kept else None) for folder in folders],
    )
    if models is None and folders and yes:
        raise CliError(
            "no models.yaml was named, so nobody knows which of these are in use", hint="--models FILE names it"
        )
    for folder in folders:
        if yes and folder not in kept:
            shutil.rmtree(folder)
            click.echo(f"removed {folder}")


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
