"""`pocket3d adapters new`."""

from __future__ import annotations

from pathlib import Path

import click

from ...exit_codes import Exit
from ..errors import CliError


@click.command("new")
@click.argument("name")
@click.option("--feature", default="text_to_mesh", show_default=True, help="Let the adapter serve this feature.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default=True,
    help="Make the package's folder in this one.",
)
def command(name: str, feature: str, folder: Path) -> None:
    """Write a working package for a new adapter, with its test. NAME becomes the adapter's id."""
    from pocket3d.adapters.kit.skeleton import skeleton_files

    try:
        files = skeleton_files(name, feature)
    except ValueError as error:
        raise CliError(str(error), Exit.USAGE) from error
    target = folder / name
    try:
        target.mkdir(parents=True)
        for relative, text in files.items():
            path = target / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {path}")
    except FileExistsError as error:
        raise CliError(
            f"{target} is there already; nothing was written", hint="choose another name or --dir"
        ) from error
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}") from error
    click.echo(f"next: cd {target} && python -m pytest, then put your model into {_adapter_file(files)}", err=True)


def _adapter_file(files: dict[str, str]) -> str:
    return next(name for name in files if name.endswith("/adapter.py"))
