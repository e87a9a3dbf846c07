"""`pocket3d adapters` and its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..lazy import Entry, LazyGroup
from ..options import commercial_option, json_option, models_option

ADAPTER_COMMANDS: dict[str, Entry] = {
    "list": Entry(
        "adapters.known.list_known", "List all known adapters: requirement, licence, and why one is not available."
    ),
    "show": Entry("adapters.known.show", "Show all about one adapter, with its parameters."),
    "new": Entry("adapters.write.new", "Write a working package for a new adapter, with its test."),
    "check": Entry("adapters.check.command", "Run one adapter without a server against its contract."),
    "install": Entry("adapters.install.command", "Prepare the environment of an adapter from its recipe."),
    "convert": Entry("adapters.write.convert", "Turn a models.yaml of 3DAIGC-API into ours."),
}


@click.group("adapters", cls=LazyGroup, entries=ADAPTER_COMMANDS, invoke_without_command=True)
@models_option
@commercial_option
@json_option
@click.pass_context
def command(ctx: click.Context, models: Path | None, commercial_only: bool, as_json: bool) -> None:
    """List the adapters of this machine; make, check and install them. Without a command: list."""
    if ctx.invoked_subcommand is None:
        from .known import list_known

        ctx.invoke(list_known, models=models, commercial_only=commercial_only, as_json=as_json)
        return
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    below = ctx.command.get_command(ctx, ctx.invoked_subcommand) if isinstance(ctx.command, click.Group) else None
    taken = {each.name for each in below.params} if below is not None else set()
    for name in sorted(given - taken):
        if name == "commercial_only":
            raise click.UsageError("--commercial-only is for the list: pocket3d adapters list --commercial-only")
        flag = f"--{'json' if name == 'as_json' else name.replace('_', '-')}"
        raise click.UsageError(f"{flag} means nothing to pocket3d adapters {ctx.invoked_subcommand}")
    # What stands in front of a command counts for it.
    ctx.default_map = {ctx.invoked_subcommand: {name: _text(ctx.params[name]) for name in given}}


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
