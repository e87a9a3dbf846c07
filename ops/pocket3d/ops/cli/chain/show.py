"""Chains as people see them: a table of their steps, and a line whenever one changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pocket3d.bus.client import ChainHandle, ChainWaitTimeout
from pocket3d.contracts.chain_messages import CHAIN_TERMINAL, ChainStatus, StepStatus

from ...exit_codes import of_status
from ...terminal_text import printable
from ..errors import CliError
from ..output import print_fields, print_json, print_table


def print_chain(status: ChainStatus) -> None:
    """Where it stands, and each of its steps."""
    print_fields(
        [
            ("chain", status.chain_id),
            ("status", status.status + (", asked to end" if _ends(status) else "")),
            ("round", status.round if status.round > 1 else None),
            ("done", f"{status.fraction:.0%}"),
            ("reason", status.reason),
            ("submitted", status.submitted_at),
        ]
    )
    rows = [(step.name, step.feature, step.status, step.job_id, _note(step)) for step in status.steps]
    print_table(("STEP", "FEATURE", "STATUS", "JOB", "NOTE"), rows)


def _ends(status: ChainStatus) -> bool:
    return status.cancelling and status.status not in CHAIN_TERMINAL


def _note(step: StepStatus) -> str:
    if step.error is not None:
        code = "" if step.error.code == step.status else f"{step.error.code}: "
        return f"{code}{step.error.message}"
    if step.status == "running":
        done = "" if step.fraction is None else f"{step.fraction:.0%} "
        return f"{done}{step.stage or ''} on {step.agent_id}".strip()
    return step.reason or ""


async def wait_for(
    chain: ChainHandle, timeout: float | None, download: Path | None, *, overwrite: bool, as_json: bool
) -> None:
    """Follow a chain to its end, print it, write its files, and end with the exit code that tells it.

    Raises:
        ChainWaitTimeout: not in time.
        CliError: a file cannot be written.
    """
    try:
        status = await asyncio.wait_for(_follow(chain, quiet=as_json), timeout)
    except asyncio.TimeoutError as error:
        raise ChainWaitTimeout("chain", chain.chain_id, timeout or 0.0) from error
    if as_json:
        print_json(status)
    else:
        print_chain(status)
    if download is not None:
        try:
            files = await chain.download(download, partial=True, overwrite=overwrite)
        except FileExistsError as error:
            raise CliError(str(error), hint="--overwrite replaces it") from error
        except OSError as error:
            raise CliError(f"cannot write to {download}: {error.strerror or error}") from error
        for step, paths in files.items():
            for path in paths:
                click.echo(printable(f"{step}: wrote {path}"), err=as_json)
    raise click.exceptions.Exit(int(of_status(status.status)))


async def _follow(chain: ChainHandle, *, quiet: bool) -> ChainStatus:
    told: dict[str, tuple[str, str]] = {}
    async for status in chain.follow():
        for step in status.steps:
            note = _note(step)
            if not quiet and told.get(step.name) != (step.status, note) and step.status != "waiting":
                click.echo(printable(f"{step.name}: {step.status}{f' ({note})' if note else ''}"), err=True)
            told[step.name] = (step.status, note)
    return await chain.wait()
