"""`pocket3d mcp`: the system's verbs as tools for agents."""

from __future__ import annotations

from pathlib import Path

import click

from ..exit_codes import Exit
from ..up.gateway_port import is_free
from .errors import CliError, runs
from .options import FOLDER, Target, connects


@click.command("mcp")
@click.option(
    "--folder",
    type=FOLDER,
    envvar="POCKET3D_MCP_FOLDER",
    show_envvar=True,
    help="Let tools read the files of this folder and write results into it; without it they touch no file.",
)
@click.option(
    "--http-port",
    type=click.IntRange(1, 65535),
    help="Serve http://127.0.0.1:PORT/mcp (streamable HTTP, this machine only) instead of stdin and stdout.",
)
@connects
@runs
async def command(target: Target, folder: Path | None, http_port: int | None) -> None:
    """Serve the tools of an agent (Model Context Protocol) on stdin and stdout until they are closed.

    An agent's configuration names this command: {"command": "pocket3d", "args": ["mcp", "--folder", "meshes"]}.
    """
    # Here, since the SDK is slow to import.
    from ..mcp.folder import Folder, FolderError
    from ..mcp.server import build

    if http_port is not None and not is_free(http_port):
        raise CliError(f"--http-port {http_port}: that port is taken", Exit.USAGE)
    try:
        allowed = None if folder is None else Folder(folder)
    except FolderError as error:
        raise CliError(str(error), Exit.USAGE) from error
    async with target.client("mcp") as client:
        server = build(client, allowed)
        if http_port is None:
            await server.run_stdio_async()
        else:
            click.echo(f"tools at http://127.0.0.1:{http_port}/mcp", err=True)
            await server.run_streamable_http_async(host="127.0.0.1", port=http_port)
