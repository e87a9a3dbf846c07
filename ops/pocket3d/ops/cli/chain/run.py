"""`pocket3d chain FILE [KEY=VALUE]...`."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from pocket3d.contracts.subjects import CHAIN_ID_PATTERN

from ... import ready_chains
from ...chain_files import ChainFile, read_chain_file, steps_of, words_of
from ...exit_codes import Exit
from ...inputs import local_files
from ..errors import CliError, runs
from ..options import FOLDER, Target, connects, json_option, wait_option
from ..output import print_json, print_table
from .show import print_chain, wait_for


def _check_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not CHAIN_ID_PATTERN.fullmatch(value):
        raise click.BadParameter(f"{value!r}: want 1 to 40 of A-Z, a-z, 0-9, _ and -")
    return value


@click.command("run")
@click.argument("chain", metavar="FILE|NAME")
@click.argument("inputs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--chain-id",
    callback=_check_id,
    help="Name the chain: 1 to 40 of A-Z, a-z, 0-9, _ and -. Running a name again changes nothing.",
)
@click.option(
    "--priority", type=click.Choice(["high", "normal", "low"]), help="Put its jobs among those of this priority."
)
@click.option("--tenant", help="Share the fleet fairly under this label.")
@click.option("--wait", is_flag=True, help="Wait for its end; the exit code tells it.")
@wait_option
@click.option(
    "--download",
    type=FOLDER,
    metavar="DIR",
    help="Write the files of each step to DIR/JOB_ID once the chain has ended.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace files under DIR/JOB_ID that are not this step's; else they are kept."
)
@json_option
@connects
@runs
async def command(
    chain: str,
    inputs: tuple[str, ...],
    target: Target,
    chain_id: str | None,
    priority: str | None,
    tenant: str | None,
    wait: bool,
    timeout: float | None,
    download: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run the steps of a YAML file, or of a ready chain.

    \b
    KEY=VALUE    fills in one of its inputs, typed as its default is
    KEY:=JSON    any JSON value
    *_path=FILE  a file of this machine
    """
    found, folder = _find(chain)
    values = words_of(found, inputs)
    for path in local_files(values):
        if not path.is_file():
            raise CliError(f"no file {str(path)!r}", Exit.USAGE, hint="name a file that is there")
    name = chain_id or secrets.token_hex(8)
    more = dict(found.more)
    more |= {key: value for key, value in (("priority", priority), ("tenant", tenant)) if value is not None}
    async with target.client("cli:chain") as client:
        handle = await client.submit_chain(steps_of(found, values, folder), chain_id=name, **more)
        if not (wait or download):
            status = await handle.status()
            if as_json:
                print_json(status)
            else:
                print_chain(status)
                click.echo(f"hint: `pocket3d chain status {name}` shows how far it is", err=True)
            return
        await wait_for(handle, timeout, download, overwrite=overwrite, as_json=as_json)


def _find(name: str) -> tuple[ChainFile, Path]:
    """A chain, and the folder beside which its files lie."""
    path = Path(name)
    if name in ready_chains.NAMES and not path.is_file():
        return read_chain_file(ready_chains.text_of(name), name), Path()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CliError(
            f"cannot read {name}: {why}", Exit.USAGE, hint="`pocket3d chain --list` shows the ready chains"
        ) from error
    return read_chain_file(text, name), path.parent


def print_ready() -> None:
    """The ready chains: what each is for, and its inputs."""
    rows = []
    for name in ready_chains.NAMES:
        chain = read_chain_file(ready_chains.text_of(name), name)
        inputs = " ".join(f"{each.name}=..." if each.required else f"[{each.name}=...]" for each in chain.inputs)
        rows.append((name, inputs, " -> ".join(step["feature"] for step in chain.steps)))
    print_table(("CHAIN", "INPUTS", "STEPS"), rows)
