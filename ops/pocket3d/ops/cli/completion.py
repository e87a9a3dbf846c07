"""`pocket3d completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from . import cli


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash  eval "$(pocket3d completion bash)"       in ~/.bashrc
    zsh   eval "$(pocket3d completion zsh)"        in ~/.zshrc
    fish  pocket3d completion fish > ~/.config/fish/completions/pocket3d.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "pocket3d", "_POCKET3D_COMPLETE").source())
