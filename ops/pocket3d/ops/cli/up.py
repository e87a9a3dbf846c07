"""`pocket3d up`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from .. import logging
from ..exit_codes import Exit
from ..settings import state_folder
from ..up.child import ChildRefused
from ..up.running import AgentPlan, check_agent_id, default_agent_id
from ..up.stopping import run_until_done
from ..up.supervisor import NotReady, Supervisor, UpPlan
from .agent_options import agent_options
from .errors import CliError, explain_to_user
from .options import log_options, namespace_option, set_option, up_options


@click.command("up")
@up_options("Let clients connect to this port; 0 picks a free one.", "Keep jobs, results and logs in this folder.")
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Serve the NATS server's monitoring pages on this port; 0 picks a free one.",
)
@agent_options
@set_option("agent")
@namespace_option
@log_options
def command(
    port: int,
    store: Path | None,
    http_port: int,
    agent_id: str | None,
    devices: str,
    models: Path | None,
    memory_buffer: int | None,
    pairs: tuple[str, ...],
    namespace: str,
    log_level: str,
    log_format: logging.Format,
) -> None:
    """Start a NATS server, a coordinator and an agent on this machine; Ctrl-C stops them all.

    Prints one line, `ready nats://127.0.0.1:PORT`, once jobs can be submitted. Jobs and results are kept in the store
    and are there at the next `up`. The server listens on this machine only.
    """
    logging.configure(level=log_level, form=log_format, role="up")
    with explain_to_user():
        plan = UpPlan(
            store=(store or state_folder(os.environ) / "up").absolute(),
            agent=AgentPlan(
                check_agent_id(agent_id or default_agent_id()),
                devices,
                models.absolute() if models else None,
                memory_buffer,
                None,
                pairs,
            ),
            port=port,
            http_port=http_port,
            namespace=namespace,
            log_level=log_level,
            log_format=log_format,
        )
        try:
            run_until_done(_up(plan))
        except asyncio.CancelledError:
            return
        except ChildRefused as error:
            raise CliError(str(error), Exit.USAGE) from error
        except NotReady as error:
            raise CliError(str(error), hint="their log above says why; `pocket3d doctor` checks") from error


async def _up(plan: UpPlan) -> None:
    async with Supervisor(plan) as up:
        await up.until_ready()
        click.echo(f"ready {up.url}")
        await up.until_failure()
