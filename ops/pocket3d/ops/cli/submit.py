"""`pocket3d submit`."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pocket3d.bus.client import Client, JobHandle
from pocket3d.bus.client.errors import ApiRefused, JobRefused, NoLeader
from pocket3d.contracts.api import EmptyRequest, FeatureInfo, FeatureList
from pocket3d.contracts.features import canonical
from pocket3d.contracts.jobs import Rejection
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import JobError, Result, Status

from ..batch import read_batch
from ..exit_codes import Exit, of_status
from ..inputs import InputError, LocalFile, local_files, parse_inputs, with_files, with_results
from ..precheck import problem
from ..progress_view import follow, renderer
from ..terminal_text import printable
from .batch import Batch, run_batch
from .errors import CliError, goes_on, runs
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
    "--job-id",
    help="Name the job: 1 to 64 of A-Z, a-z, 0-9, _ and -. The same request again changes nothing, another is refused.",
)
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Submit a job for each row of a .csv or line of a .jsonl, or for each file of a folder; again: go on.",
)
@click.option("--retry-failed", is_flag=True, help="Submit those rows of a batch anew whose jobs did not succeed.")
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
@click.option("--unchecked", is_flag=True, help="Submit it even if no adapter of the present fleet takes it.")
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
    batch: Path | None,
    retry_failed: bool,
    unchecked: bool,
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
    KEY=@FILE    a file of this machine; *_path=FILE needs no @; *_paths=FILE once for each
    KEY=@JOB     the file that a job makes, once it has; KEY=@JOB/NAME one of several

    \b
    pocket3d submit text_to_mesh text_prompt='a red chair' --wait --download out
    pocket3d submit image_to_mesh image_path=cat.png seed=7 --priority high
    pocket3d submit text_to_mesh --batch prompts.csv --download out
    """
    if batch is not None and job_id is not None:
        raise click.UsageError("--job-id names one job; the jobs of a batch are named by what they ask for")
    if retry_failed and batch is None:
        raise click.UsageError("--retry-failed goes with --batch")
    limits = {"schedule_to_start_s": schedule_to_start, "start_to_close_s": start_to_close, "load_s": load_timeout}
    request: dict[str, Any] = {
        "priority": priority,
        "model_preference": (models[0] if len(models) == 1 else list(models)) if models else None,
        "vram_mb": vram_mb,
        "commercial_only": commercial_only,
        "variant": variant,
        "limits": {key: value for key, value in limits.items() if value is not None} or None,
        "retry": None if max_attempts is None else {"max_attempts": max_attempts},
        "tenant": tenant,
        "cache": cache,
    }
    shown = progress if progress is not None else not as_json
    async with target.client("cli:submit") as client:
        known, info = await _feature_info(client, feature)
        schemas = [adapter.parameters for adapter in info.adapters] if info is not None else []
        parsed = parse_inputs(inputs, schemas)
        values = {key: with_results(value, Path.is_file) for key, value in parsed.items()}
        if batch is not None:
            if known and info is None and not unchecked:
                raise CliError(
                    f"no feature {feature!r} is known here", Exit.REJECTED, hint="`pocket3d features` lists them"
                )
            rows = await asyncio.to_thread(read_batch, batch, feature, values, schemas)
            if not unchecked:
                for row in rows:
                    _check(info, row.inputs, models, variant, row.place)
            wanted = Batch(
                feature=feature,
                rows=rows,
                request=request,
                metadata=_metadata(metadata) or {},
                wait=wait or download is not None,
                download=download,
                overwrite=overwrite,
                retry_failed=retry_failed,
                timeout_s=timeout,
                as_json=as_json,
                shown=shown,
                name=batch.stem,
            )
            raise click.exceptions.Exit(int(await run_batch(client, wanted)))
        chosen, job_id = job_id is not None, job_id or secrets.token_hex(8)
        try:
            if not unchecked:
                _check(info, values, models, variant)
            given = await _upload_others(client, values)
            job = await client.submit(feature, given, job_id=job_id, metadata=_metadata(metadata), **request)
        except JobRefused as error:
            if as_json and (wait or download):
                # In the wire's form of a rejection, so that scripts read one form.
                told = JobError(code=error.code.value, message=error.message, field=error.field)
                print_json(Result(job_id=job_id, feature=feature, status="rejected", error=told))
            raise
        if chosen and job.known is not None and not as_json:
            since = f", submitted {job.known.submitted_at}" if job.known.submitted_at else ""
            click.echo(f"{job_id} is known already{since}: {job.known.status}; nothing new was submitted", err=True)
        if info is not None and not info.adapters:
            waits = f"no agent serves {feature} now; the job waits for one: `pocket3d explain {job_id}`"
            click.echo(f"hint: {waits}", err=True)
        if not (wait or download):
            await _first_word(client, job, feature, as_json, doubtful=known and info is None)
            return
        async with renderer("auto" if shown else "none") as show:
            with goes_on(job_id):
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


async def _feature_info(client: Client, feature: str) -> tuple[bool, FeatureInfo | None]:
    """Whether somebody answers at once, and what the fleet says of a feature; None if it does not know it."""
    try:
        known = await client.api("features", EmptyRequest(), FeatureList, _FEATURES_S)
    except (NoLeader, ApiRefused):
        return False, None
    return True, next((each for each in known.features if each.feature == canonical(feature)), None)


def _check(
    info: FeatureInfo | None,
    inputs: Mapping[str, Any],
    models: Sequence[str],
    variant: str | None,
    place: str | None = None,
) -> None:
    """Refuse what no adapter of the fleet takes.

    Raises:
        JobRefused: it would be rejected, or wait for ever; `place` is the row of a batch.
    """
    found = problem(info, _with_references(inputs), models, variant)
    if found is not None:
        text = found.message
        if found.field in ("model_preference", "variant"):
            text += "; --unchecked submits it, for an agent that may join"
        message = text if place is None else f"{text} ({place}; nothing was submitted)"
        raise JobRefused(Rejection(found.code, found.field, message))


def _with_references(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as they will be judged: in place of each file of this machine a reference, of no file yet."""
    return {
        key: with_files(value, lambda path: {"artifact": f"sha256-{'0' * 64}", "filename": path.name})
        for key, value in inputs.items()
    }


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
    # Of a job that was known already the latest counts, not its first word.
    status = job.known if job.known is not None and job.known.status in TERMINAL else heard[-1]
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
