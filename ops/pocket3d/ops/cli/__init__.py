"""The command line `pocket3d`. Commands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click

__all__ = ["cli", "main"]


class _Entry(NamedTuple):
    module: str
    summary: str


#: Command -> where its function `command` is, and what `--help` says of it. In the order of `--help`.
COMMANDS: dict[str, _Entry] = {
    "up": _Entry("up", "Start everything on this machine: server, coordinator and agent."),
    "demo": _Entry("demo", "See real jobs cross the system and write meshes."),
    "coordinator": _Entry("coordinator", "Run a coordinator; of several, one leads."),
    "agent": _Entry("agent", "Run the agent of this GPU host."),
    "submit": _Entry("submit", "Submit a job: pocket3d submit text_to_mesh text_prompt='a red chair'."),
    "watch": _Entry("watch", "Follow jobs: their story and their progress."),
    "status": _Entry("status", "Where a job stands."),
    "result": _Entry("result", "A job's result and its files."),
    "cancel": _Entry("cancel", "End jobs, queued or running."),
    "jobs": _Entry("jobs", "List jobs."),
    "explain": _Entry("explain", "Why a job is not running."),
    "agents": _Entry("agents", "List agents, their devices and what they run."),
    "features": _Entry("features", "List what can be asked for, and its parameters."),
    "topology": _Entry("topology", "Set a NATS server up, or show how it differs."),
    "doctor": _Entry("doctor", "Check this machine and the way to the server."),
    "completion": _Entry("completion", "Print the completion script for a shell."),
}


class _LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(f".{entry.module}", __name__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else " `pocket3d --help` lists the commands."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ..version import version

        click.echo(f"pocket3d {version()}")
        ctx.exit()


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 ok, 1 other errors, 2 usage, 3 failed, 4 rejected, 5 cancelled or expired, 6 no server, "
    "7 the wait timed out.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def cli() -> None:
    """Run 3D generative models on a fleet of unlike GPUs: jobs, bids and results as messages on NATS."""


def main() -> None:
    """Entry point of the installed command."""
    cli(prog_name="pocket3d")
