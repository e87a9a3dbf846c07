"""`pocket3d topology`."""

from __future__ import annotations

import os

import click

from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.topology import Topology, TopologySettings, build
from pocket3d.contracts.codec import encode

from ..exit_codes import Exit
from ..settings import read
from ..topology_check import differences
from .errors import runs
from .options import Target, connects, json_option, set_option
from .output import print_table


@click.command("topology")
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if something differs.")
@click.option("--print", "only_print", is_flag=True, help="Print it as JSON without a server.")
@set_option("topology")
@json_option
@connects
@runs
async def command(target: Target, check: bool, only_print: bool, pairs: tuple[str, ...], as_json: bool) -> None:
    """Make the server's streams, consumers and buckets as they should be, and say what differs.

    Missing ones are created and narrower ones widened; nothing is ever shrunk or deleted. A coordinator does the same
    when it starts.
    """
    topology = build(target.subjects, read(TopologySettings, "topology", os.environ, pairs))
    if only_print:
        click.echo(encode(_plain(topology)).decode())
        return
    bus = await JetStreamBus.connect(target.options("cli:topology"))
    try:
        found = await (differences(bus, topology) if check else bus.ensure(topology))
    finally:
        await bus.close()
    if as_json:
        click.echo(encode({"differences": found, **_plain(topology)}).decode())
    else:
        print_table(
            ("STREAM", "SUBJECTS", "KEPT", "FOR"),
            [(s.name, " ".join(s.subjects) or "(sourced)", s.storage, s.description) for s in topology.streams],
        )
        for difference in found:
            click.echo(f"differs: {difference}")
        if not found:
            click.echo("the server is as it should be")
    if check and found:
        raise click.exceptions.Exit(int(Exit.ERROR))


def _plain(topology: Topology) -> dict[str, object]:
    return {
        "streams": [stream.config() for stream in topology.streams],
        "consumers": [{"stream": each.stream, **each.config()} for each in topology.consumers],
    }
