"""`pocket3d submit`."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import secrets
from pathlib import Path
from typing import Any

import click

from pocket3d.bus.client import Client, JobHandle
from pocket3d.bus.client.errors import ApiRefused, JobRefused, NoLeader
from pocket3d.contracts.features import canonical
from pocket3d.contracts.messages import JobError, Result, Status

from ..exit_codes import Exit, of_status
from ..inputs import InputError, LocalFile, local_files, parse_inputs, with_files, with_results
from ..progress_view import follow, renderer
from ..terminal_text import printable
from .errors import CliError, runs
from .options import Target, connects, download_options, json_option, wait_option
from .output import print_json, print_status, tell_result

#: How long a submit without --wait looks for the coordinator's first word, seconds.
_FIRST_WORD_S = 2.0
#: The same where the feature is not known: a leader that is new waits for some adverts before it rejects it.
_DOUBT_S = 5.0
#: How long the adapters' parameters are asked for before everything is taken as text, seconds.
_FEATURES_S = 2.0


@click.command("submit")
@click.argument("feature")
@click.argument("inputs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--job-id", help="Name the job: 1 to 64 of A-Z, a-z, 0-9, _ and -. Submitting a name again changes nothing."
)
@click.option(
    "--priority",
    type=click.Choice(["high", "normal", "low"]),
    default="normal",
    show_default=True,
    help="Put the job among those of this priority.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="ADAPTER",
    help="Let only this adapter run it; repeat it for others, in order of preference.",
)
@click.option("--vram-mb", type=click.IntRange(min=0), help="Reserve so many MB instead of what the adapter declares.")
@click.option("--commercial-only", is_flag=True, help="Let only adapters run it whose licence allows commercial use.")
@click.option(
    "--variant", metavar="NAME", help="Run it in this variant of the adapter.  [default: the best that can start]"
)
@click.option("--cache", is_flag=True, help="Take the result of an earlier job that made the same, if there is one.")
@click.option("--tenant", help="Share the fleet fairly under this label.")
@click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", help="Attach a value that comes back with the result; repeatable."
)
@click.option("--schedule-to-start", type=float, metavar="S", help="Expire if not started within S seconds.")
@click.option(
    "--start-to-close", type=float, metavar="S", help="Fail a run that takes longer than S seconds.  [default: 3600]"
)
@click.option(
    "--load-timeout",
    type=float,
    metavar="S",
    help="Fail a load of the model that takes longer than S seconds.  [default: 900]",
)
@click.option("--max-attempts", type=click.IntRange(1, 100), help="Try it at most so many times.  [default: 3]")
@click.option("--wait", is_flag=True, help="Wait for the result; the exit code tells it.")
@wait_option
@download_options
@click.option("--progress/--no-progress", default=None, help="Show progress while waiting.  [default: unless --json]")
@json_option
@connects
@runs
async def command(
    feature: str,
    inputs: tuple[str, ...],
    target: Target,
    job_id: str | None,
    priority: str,
    models: tuple[str, ...],
    vram_mb: int | None,
    commercial_only: bool,
    variant: str | None,
    cache: bool,
    tenant: str | None,
    metadata: tuple[str, ...],
    schedule_to_start: float | None,
    start_to_close: float | None,
    load_timeout: float | None,
    max_attempts: int | None,
    wait: bool,
    timeout: float | None,
    download: Path | None,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Submit a job.

    \b
    KEY=VALUE    typed by the adapters' parameters, else a text
    KEY:=JSON    any JSON value
    KEY=@FILE    a file of this machine; *_path=FILE needs no @
    KEY=@JOB     the file that a job makes, once it has; KEY=@JOB/NAME one of several
    """
    job_id = job_id or secrets.token_hex(8)
    limits = {"schedule_to_start_s": schedule_to_start, "start_to_close_s": start_to_close, "load_s": load_timeout}
    async with target.client("cli:submit") as client:
        schemas = await _schemas(client, feature)
        parsed = parse_inputs(inputs, schemas or [])
        values = {key: with_results(value, Path.is_file) for key, value in parsed.items()}
        given = await _upload_others(client, values)
        try:
            job = await client.submit(
                feature,
                given,
                priority=priority,
                job_id=job_id,
                model_preference=(models[0] if len(models) == 1 else list(models)) if models else None,
                vram_mb=vram_mb,
                commercial_only=commercial_only,
                variant=variant,
                limits={key: value for key, value in limits.items() if value is not None} or None,
                retry=None if max_attempts is None else {"max_attempts": max_attempts},
                metadata=_metadata(metadata),
                tenant=tenant,
                cache=cache,
            )
        except JobRefused as error:
            if as_json and (wait or download):
                # In the wire's form of a rejection, so that scripts read one form.
                told = JobError(code=error.code.value, message=error.message, field=error.field)
                print_json(Result(job_id=job_id, feature=feature, status="rejected", error=told))
            raise
        if not (wait or download):
            await _first_word(client, job, feature, as_json, doubtful=schemas is None)
            return
        shown = progress if progress is not None else not as_json
        async with renderer("auto" if shown else "none") as show:
            result = await follow(job, show, timeout)
        await tell_result(job, result, download, overwrite=overwrite, as_json=as_json)
        if result.error:
            await _hint(client, feature, result.error)
        raise click.exceptions.Exit(int(of_status(result.status)))


def _metadata(pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """`key=text` and `key:=JSON`; no files here."""
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.rstrip(":"):
            raise InputError(f"--metadata {pair!r}: want KEY=VALUE")
        if key.endswith(":"):
            given |= parse_inputs([pair])
        else:
            given[key] = text
    return given or None


async def _schemas(client: Client, feature: str) -> list[dict[str, Any] | None] | None:
    """The parameters of the adapters that serve the feature; None if the feature is not known.

    Nothing is known of parameters if nobody answers at once.
    """
    from pocket3d.contracts.api import EmptyRequest, FeatureList

    try:
        known = await client.api("features", EmptyRequest(), FeatureList, _FEATURES_S)
    except (NoLeader, ApiRefused):
        return []
    wanted = canonical(feature)
    found = [each for each in known.features if each.feature == wanted]
    return [adapter.parameters for each in found for adapter in each.adapters] if found else None


async def _upload_others(client: Client, values: dict[str, Any]) -> dict[str, Any]:
    """Paths under `*_path` keys for the client to upload, and what `key=@file` names uploaded here."""
    for path in local_files(values):
        if not path.is_file():
            raise CliError(f"no file {str(path)!r}", Exit.USAGE, hint="name a file that is there, or write key:=JSON")
    given: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, LocalFile) and not key.endswith(("_path", "_paths")):
            given[key] = await client.upload(value.path)
        else:
            given[key] = with_files(value, lambda path: path)
    return given


async def _first_word(client: Client, job: JobHandle, feature: str, as_json: bool, *, doubtful: bool) -> None:
    """Print where the job stands once somebody has taken it; a rejection is told at once.

    `doubtful`: the feature is not known, so a rejection may follow and is waited for.
    """
    heard: list[Status] = []

    async def listen() -> None:
        async for status in job.events():
            heard.append(status)
            if not doubtful:
                return

    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(listen(), _DOUBT_S if doubtful else _FIRST_WORD_S)
    if not heard:
        if as_json:
            print_json({"job_id": job.job_id, "feature": feature, "status": "submitted"})
        else:
            click.echo(f"{job.job_id} submitted; no coordinator has taken it yet")
            click.echo(
                "hint: the job is stored and waits; `pocket3d up` or `pocket3d coordinator` starts one", err=True
            )
        return
    status = heard[-1]
    if as_json:
        print_json(status)
    elif status.status == "queued":
        click.echo(printable(f"{job.job_id} queued" + (f": {status.reason}" if status.reason else "")))
    else:
        print_status(status)
    if status.error:
        await _hint(client, feature, status.error)
        raise click.exceptions.Exit(int(of_status(status.status)))


async def _hint(client: Client, feature: str, error: JobError) -> None:
    """What to do about a failure, where we know something."""
    if error.code == "unknown_feature":
        try:
            known = sorted(each.feature for each in (await client.features()).features)
        except (NoLeader, ApiRefused):
            return
        near = difflib.get_close_matches(feature, known, n=2)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        click.echo(f"hint: {meant}known here: {', '.join(known)}", err=True)
    elif error.code == "no_capacity" and error.field is None:
        click.echo("hint: `pocket3d agents` shows who is there and with how much memory", err=True)
    elif error.code == "adapter_unavailable":
        click.echo("hint: `pocket3d doctor` tells why adapters of this machine are not available", err=True)
