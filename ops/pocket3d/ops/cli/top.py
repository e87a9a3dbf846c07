"""`pocket3d top`."""

from __future__ import annotations

import asyncio
import shutil
import time

import click

from pocket3d.bus.client import Client
from pocket3d.bus.client.errors import ClientError
from pocket3d.bus.port import BusError, Msg
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.messages import Progress

from ..fleet_picture import Snapshot, picture
from .errors import runs
from .options import Target, connects, seconds_option

#: The latest jobs that are asked for.
_JOBS = 500


@click.command("top")
@click.option("--once", is_flag=True, help="Print one picture and end.")
@seconds_option("--interval", "Draw it anew every S seconds.", least=0.2, default=2.0)
@connects
@runs
async def command(target: Target, once: bool, interval: float) -> None:
    """Show the fleet as it works: queue, devices with their memory, running jobs, rates, failures; Ctrl-C ends it."""
    async with target.client("cli:top") as client:
        latest = _Latest()
        await client.bus.subscribe(client.subjects.all_progress(), latest.progress_came)
        if once:
            for line in picture(await _look(client, latest), shutil.get_terminal_size((110, 40)).columns):
                click.echo(line)
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(), screen=True, auto_refresh=False) as live:
            while True:
                try:
                    lines = picture(await _look(client, latest), live.console.width)
                    foot = f"every {interval:g} s; Ctrl-C ends it"
                except (BusError, ClientError) as error:
                    # It comes back by itself; the last picture would be taken for the present one.
                    lines, foot = [str(error)], "asking again"
                live.update(Text("\n".join([*lines, "", foot])), refresh=True)
                await asyncio.sleep(interval)


class _Latest:
    """The latest progress of each job that is heard of."""

    def __init__(self) -> None:
        self.progress: dict[str, Progress] = {}

    async def progress_came(self, msg: Msg) -> None:
        try:
            progress = decode(Progress, msg.data)
        except WireError:
            return  # anybody may publish there
        self.progress[progress.job_id] = progress

    def keep(self, job_ids: set[str]) -> None:
        self.progress = {job_id: each for job_id, each in self.progress.items() if job_id in job_ids}


async def _look(client: Client, latest: _Latest) -> Snapshot:
    agents, page = await asyncio.gather(client.agents(), client.list(limit=_JOBS))
    running = {run.job_id for advert in agents.agents for run in advert.running}
    latest.keep(running)
    for job_id in list(running - latest.progress.keys())[:_JOBS]:
        # What was told before this began, or while nobody listened.
        progress = await client.job(job_id).latest()
        if progress is not None:
            latest.progress.setdefault(job_id, progress)
    unfinished = await _unfinished(client)
    return Snapshot(time.time(), agents.agents, page.jobs, page.next is not None, dict(latest.progress), unfinished)


async def _unfinished(client: Client) -> int | None:
    """How many jobs have not ended, as the jobs stream says: it holds exactly those."""
    try:
        return await client.bus.message_count(client.subjects.jobs_stream)
    except BusError:
        return None
