"""`pocket3d explain`."""

from __future__ import annotations

import click

from .errors import runs
from .options import Target, connects, job_argument, json_option
from .output import print_json, print_table


@click.command("explain")
@job_argument
@json_option
@connects
@runs
async def command(job_id: str, target: Target, as_json: bool) -> None:
    """Say why a job is not running: which agents, which dimension, by how much; or where it runs."""
    async with target.client("cli:explain") as client:
        answer = await client.job(job_id).explain()
    if as_json:
        print_json(answer)
        return
    click.echo(f"{job_id} {answer.status}: {answer.summary}")
    if answer.reasons:
        print_table(
            ("AGENT", "DEVICE", "ADAPTER", "REASON", "NEED MB", "HAVE MB", "SHORT MB", ""),
            [
                (r.agent_id, r.device, r.adapter_id, r.code, r.need_mb, r.have_mb, r.short_mb, r.message)
                for r in answer.reasons
            ],
        )
