"""`pocket3d doctor`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pocket3d.contracts.codec import encode

from ..doctor import Question, examine, worst
from ..exit_codes import Exit
from ..settings import state_folder
from .errors import runs
from .options import Target, connects, devices_option, json_option, models_option, up_options

_MARKS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}


@click.command("doctor")
@up_options("Check the port that `pocket3d up` would take.", "Check the folder that `pocket3d up` would keep all in.")
@devices_option
@models_option
@json_option
@connects
@runs
async def command(
    target: Target, port: int, store: Path | None, devices: str, models: Path | None, as_json: bool
) -> None:
    """Check this machine and the way to the server. Changes nothing; exit code 1 if something is broken."""
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
