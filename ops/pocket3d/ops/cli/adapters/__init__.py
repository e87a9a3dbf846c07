"""`pocket3d adapters` and its commands."""

from __future__ import annotations

from pathlib import Path

import click

from ..agent_options import models_option
from ..lazy import Entry, LazyGroup
from ..options import json_option

ADAPTER_COMMANDS: dict[str, Entry] = {
    "list": Entry("adapters.list", "List all known adapters: requirement, licence, and why one is not available."),
    "show": Entry("adapters.show", "Show all about one adapter, with its parameters."),
    "new": Entry("adapters.new", "Write a working package for a new adapter, with its test."),
    "check": Entry("adapters.check", "Run one adapter without a server against its contract."),
    "install": Entry("adapters.install", "Prepare the environment of an adapter from its recipe."),
    "convert": Entry("adapters.convert", "Turn a models.yaml of 3DAIGC-API into ours."),
}


@click.group("adapters", cls=LazyGroup, entries=ADAPTER_COMMANDS, invoke_without_command=True)
@models_option
@json_option
@click.pass_context
def command(ctx: click.Context, models: Path | None, as_json: bool) -> None:
    """List the adapters of this machine; make, check and install them. Without a command: list."""
    if ctx.invoked_subcommand is None:
        from .list import command as list_command

        ctx.invoke(list_command, models=models, as_json=as_json)
    elif models is not None and ctx.get_parameter_source("models") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(
            f"write --models behind the command: pocket3d adapters {ctx.invoked_subcommand} --models"
        )
    elif as_json:
        raise click.UsageError(f"write --json behind the command: pocket3d adapters {ctx.invoked_subcommand} --json")
