"""`pocket3d jobs`."""

from __future__ import annotations

import click

from pocket3d.contracts.messages import Status

from .errors import runs
from .options import Target, connects, json_option
from .output import print_json, print_table

_WORDS = ("queued", "running", "succeeded", "failed", "cancelled", "expired", "rejected")


@click.command("jobs")
@click.option("--status", type=click.Choice(_WORDS), help="List only jobs with this status.")
@click.option("--feature", help="List only jobs of this feature.")
@click.option("--tenant", help="List only jobs of this tenant.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="List at most so many jobs.")
@json_option
@connects
@runs
async def command(
    target: Target, status: str | None, feature: str | None, tenant: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, the longest unchanged first. With --json one status per line."""
    found: list[Status] = []
    after: str | None = None
    async with target.client("cli:jobs") as client:
        while len(found) < limit:
            page = await client.list(
                status=status, feature=feature, tenant=tenant, limit=min(limit - len(found), 1000), after=after
            )
            found += page.jobs
            after = page.next
            if after is None:
                break
    if as_json:
        for each in found:
            print_json(each)
        return
    print_table(
        ("JOB", "FEATURE", "PRIORITY", "STATUS", "ATTEMPT", "AGENT", "SINCE", "REASON"),
        [
            (
                each.job_id,
                each.feature,
                each.priority,
                each.status,
                each.attempt or None,
                each.agent_id,
                each.at,
                each.error.message if each.error else each.reason,
            )
            for each in found
        ],
    )
    if after is not None:
        click.echo(f"{limit} shown, there are more: --limit, --status or --feature", err=True)
