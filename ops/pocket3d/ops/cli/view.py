"""`pocket3d view`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from ..terminal_text import printable
from ..viewer_page import SUFFIXES, viewer_page
from .errors import CliError
from .options import FILE, THIS_FILE

#: The viewer of the gateway's page, one script.
SCRIPT = Path(__file__).parents[1] / "gateway" / "page" / "viewer.js"
#: A page holds the file in base64, and browsers stop at some hundred MB of text.
_MAX_MB = 300
_MARK = b'content="pocket3d view"'


@click.command("view")
@click.argument("file", type=THIS_FILE)
@click.option("--out", type=FILE, help="Write the page here.  [default: beside the file, with .html behind its name]")
@click.option("--overwrite", is_flag=True, help="Replace a file there that is no such page.")
@click.option("--open", "opens", is_flag=True, help="Open the page in this machine's browser.")
def command(file: Path, out: Path | None, overwrite: bool, opens: bool) -> None:
    """Write one HTML file that shows a mesh in a browser, without a network: to look at, to send on.

    \b
    pocket3d view out/JOB_ID/generated_mesh.glb
    """
    if file.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(
            f"{file.name}: the viewer reads {', '.join(SUFFIXES)}; the feature mesh_conversion makes a GLB of others"
        )
    target = out or file.with_name(f"{file.name}.html")
    if target.is_file() and not overwrite and not _is_page(target):
        raise CliError(f"{target} is another file", hint="--overwrite replaces it, --out names another place")
    try:
        script = SCRIPT.read_text(encoding="utf-8")
        if file.stat().st_size > _MAX_MB << 20:
            raise CliError(f"{file} has more than {_MAX_MB} MB, which no browser takes in one page")
        target.write_text(viewer_page(file.name, file.read_bytes(), script), encoding="utf-8")
    except FileNotFoundError as error:
        if error.filename == str(SCRIPT):
            raise CliError(f"this installation has no viewer ({SCRIPT})", hint="install the wheel again") from error
        raise CliError(f"{error.filename}: {error.strerror}") from error
    except OSError as error:
        raise CliError(f"{error.filename or target}: {error.strerror or error}") from error
    click.echo(printable(f"wrote {target}"))
    if opens and not webbrowser.open(target.absolute().as_uri()):
        raise CliError("no browser was found on this machine", hint=f"open {target} in one, here or elsewhere")


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK in file.read(1000)
