"""Commands that look at this machine and at a server: `pocket3d doctor` and `topology`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.topology import Topology, TopologySettings, build
from pocket3d.contracts.codec import encode

from .. import results_switch
from ..exit_codes import Exit
from ..settings import read, state_folder
from ..topology_check import Comparison, compare
from .errors import CliError, runs
from .options import Target, connects, devices_option, json_option, models_option, set_option, up_options
from .output import print_table

_MARKS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}


@click.command("doctor")
@up_options("Check the port that `pocket3d up` would take.", "Check the folder that `pocket3d up` would keep all in.")
@devices_option
@models_option
@json_option
@connects
@runs
async def doctor(
    target: Target, port: int, store: Path | None, devices: str, models: Path | None, as_json: bool
) -> None:
    """Check this machine and the way to the server. Changes nothing; exit code 1 if something is broken."""
    # Here, since it takes packages that `topology` can do without.
    from ..doctor import Question, examine, worst

    question = Question(
        store=(store or state_folder(os.environ) / "up").absolute(),
        port=port,
        options=target.options("cli:doctor"),
        subjects=target.subjects,
        models=models,
        devices=devices,
    )
    findings = await examine(question)
    if as_json:
        click.echo(encode([finding._asdict() for finding in findings]).decode())
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            click.echo(f"{_MARKS[finding.level]}  {finding.check:<{width}}  {finding.text}")
            if finding.advice:
                click.echo(f"      {'':<{width}}  -> {finding.advice}")
    if worst(findings) == "problem":
        raise click.exceptions.Exit(int(Exit.ERROR))


@click.command("topology")
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if something differs.")
@click.option("--print", "only_print", is_flag=True, help="Print it as JSON without a server.")
@click.option(
    "--switch-results",
    is_flag=True,
    help="Have the results stream of a former version take proposals, so that subscribers hear each result once.",
)
@set_option("topology")
@json_option
@connects
@runs
async def topology(
    target: Target, check: bool, only_print: bool, switch_results: bool, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Make the server's streams, consumers and buckets as they should be, and say what differs.

    Missing ones are created and narrower ones widened; nothing is ever shrunk or deleted but for P3D_PROGRESS, which is
    made anew in a file where an earlier version kept it in memory. A coordinator does the same when it starts.
    `--switch-results` changes nothing else; it is refused while an agent or a leader of a former
    version is there, and where a result stands twice.
    """
    wanted = build(target.subjects, read(TopologySettings, "topology", os.environ, pairs))
    if only_print:
        click.echo(encode(_plain(wanted)).decode())
        return
    bus = await JetStreamBus.connect(target.options("cli:topology"))
    try:
        if switch_results:
            await _switch(bus, target, wanted, check)
        found = await compare(bus, wanted) if check or switch_results else Comparison(await bus.ensure(wanted), [])
    finally:
        await bus.close()
    if as_json:
        click.echo(encode({**found._asdict(), **_plain(wanted)}).decode())
    else:
        print_table(
            ("STREAM", "SUBJECTS", "KEPT", "FOR"),
            [(s.name, " ".join(s.subjects) or "(sourced)", s.storage, s.description) for s in wanted.streams],
        )
        for difference in found.differences:
            click.echo(f"differs: {difference}")
        for wider in found.kept:
            click.echo(f"kept: {wider}")
        if not found.differences:
            click.echo("the server is as it should be")
    if check and found.differences:
        raise click.exceptions.Exit(int(Exit.ERROR))


async def _switch(bus: JetStreamBus, target: Target, wanted: Topology, check: bool) -> None:
    against = await results_switch.switch_results(bus, target.subjects, wanted, only_check=check)
    if against:
        stream = target.subjects.results_stream
        hint = "nothing was changed; results are stored as before"
        raise CliError("\n".join((f"{stream} is not switched to proposals:", *against)), hint=hint)


def _plain(topology: Topology) -> dict[str, object]:
    return {
        "streams": [stream.config() for stream in topology.streams],
        "consumers": [{"stream": each.stream, **each.config()} for each in topology.consumers],
    }
