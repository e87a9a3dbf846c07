"""`pocket3d result`."""

from __future__ import annotations

from pathlib import Path

import click

from ..exit_codes import of_status
from .errors import runs
from .options import Target, connects, job_argument, json_option
from .output import print_json, print_result


@click.command("result")
@job_argument
@click.option("--wait", is_flag=True, help="Wait for it.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait at most S seconds.")
@click.option(
    "--download", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write its files there."
)
@json_option
@connects
@runs
async def command(
    job_id: str, target: Target, wait: bool, timeout: float | None, download: Path | None, as_json: bool
) -> None:
    """A job's result and its files; exit code 7 while there is none."""
    async with target.client("cli:result") as client:
        job = client.job(job_id)
        # Of a job that nobody knows there is nothing to wait for.
        await job.status()
        result = await job.result(timeout if timeout is not None else None if wait else 0.0)
        if as_json:
            print_json(result)
        else:
            print_result(result)
        if download is not None and result.status == "succeeded":
            for path in await job.download(download):
                click.echo(f"wrote {path}", err=as_json)
    raise click.exceptions.Exit(int(of_status(result.status)))
