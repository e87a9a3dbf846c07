"""`pocket3d chain` and its commands. What is none of them is the file or the name of a chain that is to be run."""

from __future__ import annotations

import click

from ..lazy import Entry, LazyGroup

CHAIN_COMMANDS: dict[str, Entry] = {
    "run": Entry("chain.run.command", "Run the steps of a file, or of a ready chain; `run` may be left out."),
    "status": Entry("chain.known.status", "Show where a chain stands, or list the latest."),
    "cancel": Entry("chain.known.cancel", "End chains, whatever their steps do."),
    "retry": Entry("chain.known.retry", "Start the steps of a chain anew that did not succeed."),
}


class ChainGroup(LazyGroup):
    """A group with a command for all that names none, options in front included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take options that are not the group's own for the chain that is to be run."""
        own = {name for each in self.get_params(ctx) for name in each.opts}
        if args and args[0].startswith("-") and args[0].partition("=")[0] not in own:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take what is no command for the chain that is to be run."""
        return super().resolve_command(ctx, args if args[0] in self._entries else ["run", *args])


@click.group("chain", cls=ChainGroup, entries=CHAIN_COMMANDS, invoke_without_command=True)
@click.option("--list", "listed", is_flag=True, help="List the ready chains and their inputs.")
@click.pass_context
def command(ctx: click.Context, listed: bool) -> None:
    """Run several jobs of which later ones take what earlier ones make.

    \b
    pocket3d chain --list                                        the ready ones
    pocket3d chain photo-to-textured-mesh image_path=cat.png     one of them
    pocket3d chain my-chain.yaml prompt='a dog' --download out   one of your own
    """
    if ctx.invoked_subcommand is None:
        if not listed:
            raise click.UsageError("name a chain, or a command; `pocket3d chain --list` lists the ready chains", ctx)
        from .run import print_ready

        print_ready()
    elif listed:
        raise click.UsageError("--list stands alone: pocket3d chain --list", ctx)
