"""`pocket3d cancel`."""

from __future__ import annotations

import click

from pocket3d.contracts.lifecycle import TERMINAL

from .errors import runs
from .options import Target, connects, job_arguments, json_option
from .output import print_json


@click.command("cancel")
@job_arguments
@click.option("--reason", help="Give a reason, which the result repeats.")
@click.option("--wait", is_flag=True, help="Wait until the jobs have ended.")
@json_option
@connects
@runs
async def command(job_ids: tuple[str, ...], target: Target, reason: str | None, wait: bool, as_json: bool) -> None:
    """End jobs, queued or running. Of a job that has ended nothing changes."""
    async with target.client("cli:cancel") as client:
        for job_id in job_ids:
            job = client.job(job_id)
            status = await job.cancel(reason)
            word = (await job.result()).status if wait else status.status
            if as_json:
                print_json(await job.status() if wait else status)
            else:
                click.echo(f"{job_id} {word}" + ("" if word in TERMINAL else ", asked to end"))
