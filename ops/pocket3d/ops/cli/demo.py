"""`pocket3d demo`."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import click

from pocket3d.bus.client.errors import WaitTimeout

from .. import logging
from ..exit_codes import Exit
from ..up.child import ChildRefused
from ..up.demo import (
    HOW_TO_LOOK,
    PROMPTS,
    DemoJob,
    DemoPlan,
    example_photos,
    make_contact_sheet,
    report,
    run_demo,
)
from ..up.gateway_port import can_serve
from ..up.stopping import run_until_done
from ..up.supervisor import ENDS_WITHIN_S, NotReady
from .errors import CliError, explain_to_user
from .options import FOLDER, THIS_FILE, devices_option, models_option, seconds_option

#: How to have the system stay up.
KEEP_IT = "`make demo KEEP=1` in a checkout, else `pocket3d demo --keep`"


@click.command("demo")
@click.option("--out", type=FOLDER, default=Path("out"), show_default=True, help="Write the meshes to this folder.")
@click.option(
    "--prompt", "prompts", multiple=True, help=f"Make a mesh of this text; repeatable.  [default: {PROMPTS[0]}; ...]"
)
@click.option(
    "--photo",
    "photos",
    multiple=True,
    type=THIS_FILE,
    help="Make a mesh of this photograph; repeatable.  [default: examples/photos]",
)
@devices_option
@models_option
@click.option(
    "--progress",
    type=click.Choice(["auto", "bars", "lines"]),
    default="auto",
    show_default=True,
    help="Show progress as bars or as lines; auto is bars on a terminal.",
)
@click.option("--keep", is_flag=True, help="Stay up when the jobs are done, with the page and their results in it.")
@seconds_option("--timeout", "Give all jobs together S seconds.", least=1, default=600.0)
def command(
    out: Path,
    prompts: tuple[str, ...],
    photos: tuple[Path, ...],
    devices: str,
    models: Path | None,
    progress: str,
    keep: bool,
    timeout: float,
) -> None:
    """See real jobs cross the system: a whole one is started, runs some jobs, writes meshes, and stops.

    It uses a free port and a temporary store, and leaves nothing behind but the meshes and a log.
    """
    if keep and not can_serve():
        raise CliError("--keep needs the extra gateway: in a checkout, pip install '.[gateway]'", Exit.USAGE)
    logging.configure(level="error", role="demo")
    if not photos and not example_photos():
        click.echo("no photographs here (they lie in the repository's examples/photos): give your own with --photo")
    plan = DemoPlan(
        out=out,
        prompts=prompts or (PROMPTS if not photos else ()),
        photos=photos,
        devices=devices,
        models=models.absolute() if models else None,
        form="bars" if progress == "bars" else "lines" if progress == "lines" else "auto",
        timeout_s=timeout,
    )
    with explain_to_user():
        try:
            showing = run_demo(plan, click.echo, partial(_keep, out=out) if keep else None)
            done = run_until_done(showing, ends_within_s=ENDS_WITHIN_S)
        except ChildRefused as error:
            raise CliError(str(error), Exit.USAGE, hint=f"the log is {out / 'demo.log'}") from error
        except WaitTimeout as error:
            told = f"{error.job_id} was not done within {error.timeout_s:g} s; all of it is stopped"
            hint = f"--timeout gives it longer; the log is {out / 'demo.log'}"
            raise CliError(told, Exit.WAIT_TIMED_OUT, hint=hint) from error
        except NotReady as error:
            raise CliError(str(error), hint=f"the log is {out / 'demo.log'}") from error
    if keep:
        return
    _tell(done, out)
    click.echo()
    for line in HOW_TO_LOOK:
        click.echo(line)
    click.echo(f"or see it all in a browser: {KEEP_IT}")


def _tell(done: list[DemoJob], out: Path) -> None:
    """Say what became of the jobs.

    Raises:
        CliError: one did not succeed.
    """
    click.echo()
    for line in report(done):
        click.echo(line)
    if any(each.result.status == "succeeded" for each in done):
        click.echo(f"all of them on one picture: {make_contact_sheet(done, out).absolute()}")
    failed = [each for each in done if each.result.status != "succeeded"]
    if failed:
        raise CliError(f"{len(failed)} of {len(done)} jobs did not succeed", Exit.FAILED, hint=f"{out / 'demo.log'}")


async def _keep(done: list[DemoJob], url: str, out: Path) -> None:
    """Say where the page is, until Ctrl-C."""
    await asyncio.to_thread(_tell, done, out)
    click.echo()
    click.echo(f"the system stays up, with these results: open {url} in a browser; Ctrl-C stops it")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        # Of Ctrl-C: this is how it is meant to end.
        click.echo("stopping")
