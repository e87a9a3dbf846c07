"""`pocket3d chain status`, `cancel` and `retry`."""

from __future__ import annotations

from typing import Any

import click

from pocket3d.contracts.chain_messages import CHAIN_TERMINAL
from pocket3d.contracts.subjects import CHAIN_ID_PATTERN

from ...exit_codes import of_status
from ..errors import runs
from ..options import Target, connects, json_option
from ..output import print_json, print_table
from .show import print_chain


def _check_ids(_: click.Context, __: click.Parameter, value: Any) -> Any:
    for each in value if isinstance(value, tuple) else (value,):
        if each is not None and not CHAIN_ID_PATTERN.fullmatch(each):
            raise click.BadParameter(f"{each!r}: want 1 to 40 of A-Z, a-z, 0-9, _ and -")
    return value


@click.command("status")
@click.argument("chain_id", required=False, callback=_check_ids)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="List so many of the latest.")
@json_option
@connects
@runs
async def status(chain_id: str | None, target: Target, limit: int, as_json: bool) -> None:
    """Show where a chain stands and each of its steps; without an id list the latest chains."""
    async with target.client("cli:chain status") as client:
        if chain_id is not None:
            found = await client.chain(chain_id).status()
            if as_json:
                print_json(found)
            else:
                print_chain(found)
            return
        page = await client.chains(limit=limit)
    if as_json:
        print_json(page)
        return
    rows = [
        (each.chain_id, each.status, f"{each.fraction:.0%}", each.tenant, each.submitted_at, len(each.steps))
        for each in page.chains
    ]
    print_table(("CHAIN", "STATUS", "DONE", "TENANT", "SUBMITTED", "STEPS"), rows)


@click.command("cancel")
@click.argument("chain_ids", nargs=-1, required=True, callback=_check_ids, metavar="CHAIN_ID...")
@click.option("--reason", help="Give a reason, which the status repeats.")
@click.option("--wait", is_flag=True, help="Wait until the chains have ended.")
@json_option
@connects
@runs
async def cancel(chain_ids: tuple[str, ...], target: Target, reason: str | None, wait: bool, as_json: bool) -> None:
    """End chains: jobs that run are stopped, steps that wait never start. What has succeeded stays."""
    async with target.client("cli:chain cancel") as client:
        for chain_id in chain_ids:
            chain = client.chain(chain_id)
            found = await chain.cancel(reason)
            if wait:
                found = await chain.wait()
            if as_json:
                print_json(found)
            else:
                click.echo(f"{chain_id} {found.status}" + ("" if found.status in CHAIN_TERMINAL else ", asked to end"))


@click.command("retry")
@click.argument("chain_id", callback=_check_ids)
@click.option("--wait", is_flag=True, help="Wait for its end; the exit code tells it.")
@json_option
@connects
@runs
async def retry(chain_id: str, target: Target, wait: bool, as_json: bool) -> None:
    """Start the steps of a chain anew that failed or were cancelled; what has succeeded is kept and used."""
    async with target.client("cli:chain retry") as client:
        chain = client.chain(chain_id)
        found = await chain.retry()
        if wait:
            found = await chain.wait()
    if as_json:
        print_json(found)
    else:
        print_chain(found)
    if wait:
        raise click.exceptions.Exit(int(of_status(found.status)))
