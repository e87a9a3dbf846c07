"""`pocket3d gateway`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from .. import logging
from ..exit_codes import Exit
from ..up import stopping
from .errors import CliError, explain_to_user
from .options import FILE, SERVICE_CONNECT_S, Target, connects, log_options, set_option


@click.command("gateway")
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    envvar="POCKET3D_LISTEN",
    show_envvar=True,
    metavar="HOST:PORT",
    help="Listen there; port 0 picks a free one. Where other machines reach it, it wants --tokens.",
)
@click.option("--tokens", type=FILE, help="Answer only who has one of the tokens of this file (which holds digests).")
@click.option(
    "--new-token",
    metavar="TENANT:RIGHT",
    help="Make a token, add its digest to the file of --tokens, print it and end. Rights: read, submit, admin.",
)
@set_option("gateway")
@log_options
@connects
def command(
    target: Target,
    listen: str,
    tokens: Path | None,
    new_token: str | None,
    pairs: tuple[str, ...],
    log_level: str,
    log_format: logging.Format,
) -> None:
    """Serve HTTP beside NATS until Ctrl-C or SIGTERM: the page, REST, server-sent events.

    It keeps nothing and decides nothing; any number of gateways may run.
    """
    from ..gateway.serving import new_token as make_token
    from ..gateway.serving import parse_listen, run_gateway
    from ..gateway.tokens import TokenError

    if new_token is not None:
        if tokens is None:
            raise CliError("--new-token needs --tokens FILE", Exit.USAGE)
        tenant, _, right = new_token.partition(":")
        try:
            click.echo(make_token(tokens, tenant, right))
        except TokenError as error:
            raise CliError(f"--new-token {new_token}: {error}; e.g. studio:submit", Exit.USAGE) from error
        except OSError as error:
            raise CliError(f"--tokens {tokens}: {error.strerror}", Exit.USAGE) from error
        return
    logging.configure(level=log_level, form=log_format, role="gateway")
    supervised = stopping.die_with_parent()
    if tokens is not None:
        pairs = (f"tokens_file={tokens}", *pairs)

    async def run() -> None:
        await run_gateway(
            target.options("gateway", wait_s=SERVICE_CONNECT_S),
            target.namespace,
            parse_listen(listen),
            stopping.stop_on_signals(),
            pairs=pairs,
            # What a part of `up` prints is in a log that has one JSON object a line, this address among them.
            ready=lambda url: None if supervised else click.echo(f"ready {url}"),
        )

    with explain_to_user():
        try:
            asyncio.run(run())
        except OSError as error:
            raise CliError(f"--listen {listen}: {error.strerror or error}", Exit.USAGE) from error
