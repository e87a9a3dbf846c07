"""`pocket3d adapters new` and `convert`, which write files."""

from __future__ import annotations

from pathlib import Path

import click

from ...exit_codes import Exit
from ..errors import CliError
from ..options import FILE, FOLDER, THIS_FILE, THIS_FOLDER


@click.command("new")
@click.argument("name")
@click.option("--feature", default="text_to_mesh", show_default=True, help="Let the adapter serve this feature.")
@click.option(
    "--dir", "folder", type=FOLDER, default=Path(), show_default=True, help="Make the package's folder in this one."
)
def new(name: str, feature: str, folder: Path) -> None:
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
    adapter_file = next(name for name in files if name.endswith("/adapter.py"))
    click.echo(f"next: cd {target} && python -m pytest, then put your model into {adapter_file}", err=True)


@click.command("convert")
@click.argument("file", type=THIS_FILE)
@click.option("-o", "--output", type=FILE, help="Write it to this new file.  [default: print it]")
@click.option(
    "--root",
    type=THIS_FOLDER,
    help="Resolve the file's relative paths from this folder of the former system.  [default: leave them as they are]",
)
def convert(file: Path, output: Path | None, root: Path | None) -> None:
    """Turn a models.yaml of 3DAIGC-API (or its fork) into ours. What could not be taken over is told on stderr."""
    from pocket3d.adapters.catalogue.parent_yaml import convert_parent_models

    if output is not None and output.exists():
        raise CliError(f"{output} is there already; nothing was written", Exit.USAGE)
    try:
        converted, notes = convert_parent_models(
            file.read_text(encoding="utf-8"), root=None if root is None else root.absolute(), file=file
        )
    except OSError as error:
        raise CliError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        # Not YAML, not of that form, or not UTF-8.
        raise CliError(str(error), Exit.USAGE) from error
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if output is None:
        click.echo(converted, nl=not converted.endswith("\n"))
        return
    output.write_text(converted, encoding="utf-8")
    click.echo(f"wrote {output}")
