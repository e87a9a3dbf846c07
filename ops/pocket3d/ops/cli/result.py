"""`pocket3d result`."""

from __future__ import annotations

from pathlib import Path

import click

from ..exit_codes import of_status
from .download import download_options, write_files
from .errors import runs
from .options import Target, connects, job_argument, json_option, seconds_option
from .output import print_json, print_result


@click.command("result")
@job_argument
@click.option("--wait", is_flag=True, help="Wait for the result.")
@seconds_option("--timeout", "Wait at most S seconds.")
@download_options
@json_option
@connects
@runs
async def command(
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
        result = await job.result(timeout if timeout is not None else None if wait else 0.0)
        if as_json:
            print_json(result)
        else:
            print_result(result)
        if download is not None and result.status == "succeeded":
            await write_files(job, download, overwrite=overwrite, as_json=as_json)
    raise click.exceptions.Exit(int(of_status(result.status)))
