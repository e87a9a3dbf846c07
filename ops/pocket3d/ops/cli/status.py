"""`pocket3d status`."""

from __future__ import annotations

import click

from .errors import runs
from .options import Target, connects, job_argument, json_option
from .output import print_json, print_status


@click.command("status")
@job_argument
@json_option
@connects
@runs
async def command(job_id: str, target: Target, as_json: bool) -> None:
    """Show where a job stands."""
    async with target.client("cli:status") as client:
        status = await client.job(job_id).status()
    if as_json:
        print_json(status)
    else:
        print_status(status)
