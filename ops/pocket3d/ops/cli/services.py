"""Commands that run services until they are stopped: `pocket3d up`, `coordinator` and `agent`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click
import structlog

from .. import logging
from ..exit_codes import Exit
from ..settings import state_folder
from ..up import stopping
from ..up.child import ChildRefused
from ..up.gateway_port import DEFAULT_PORT, can_serve, is_free, usual_port
from ..up.running import AgentPlan, check_agent_id, default_agent_id, run_agent, run_coordinator
from ..up.supervisor import ENDS_WITHIN_S, NotReady, Supervisor, UpPlan
from .errors import CliError, explain_to_user
from .options import (
    FOLDER,
    SERVICE_CONNECT_S,
    Target,
    agent_options,
    connects,
    log_options,
    namespace_option,
    set_option,
    up_options,
)

log = structlog.get_logger(__name__)


@click.command("up")
@up_options("Let clients connect to this port; 0 picks a free one.", "Keep jobs, results and logs in this folder.")
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Serve the NATS server's monitoring pages on this port; 0 picks a free one.",
)
@click.option(
    "--contexts/--no-contexts",
    default=True,
    envvar="POCKET3D_CONTEXTS",
    show_envvar=True,
    help="Write contexts for the nats CLI, pocket3d and pocket3d-sys; those of others are left as they are.",
)
@click.option(
    "--gateway/--no-gateway", default=True, help="Serve the page and HTTP on this machine.", show_default=True
)
@click.option(
    "--gateway-port",
    type=click.IntRange(0, 65535),
    help=f"Serve HTTP on this port; 0 picks a free one.  [default: {DEFAULT_PORT}, or a free one]",
)
@agent_options
@set_option("agent")
@namespace_option
@log_options
def up(
    port: int,
    store: Path | None,
    http_port: int,
    contexts: bool,
    gateway: bool,
    gateway_port: int | None,
    agent_id: str | None,
    models: Path | None,
    namespace: str,
    log_level: str,
    log_format: logging.Format,
    **of_agent: Any,
) -> None:
    """Start a NATS server, a coordinator and an agent on this machine; Ctrl-C stops them all.

    Prints `ready nats://127.0.0.1:PORT` once jobs can be submitted, and `page http://127.0.0.1:PORT`. Jobs and results
    are kept in the store and are there at the next `up`. All of it listens on this machine only.
    """
    logging.configure(level=log_level, form=log_format, role="up")
    with explain_to_user():
        plan = UpPlan(
            store=(store or state_folder(os.environ) / "up").absolute(),
            agent=AgentPlan(
                check_agent_id(agent_id or default_agent_id()), models=models.absolute() if models else None, **of_agent
            ),
            port=port,
            http_port=http_port,
            namespace=namespace,
            gateway_port=_gateway_port(gateway_port) if gateway else None,
            contexts=contexts,
            log_level=log_level,
            log_format=log_format,
        )
        try:
            stopping.run_until_done(_up(plan), ends_within_s=ENDS_WITHIN_S)
        except asyncio.CancelledError:
            return
        except ChildRefused as error:
            raise CliError(str(error), Exit.USAGE) from error
        except NotReady as error:
            raise CliError(str(error), hint="their log above says why; `pocket3d doctor` checks") from error


def _gateway_port(given: int | None) -> int | None:
    """The port for the gateway: what was given, else the usual one or a free one; None where its packages are not."""
    if not can_serve():
        if given is not None:
            raise CliError("HTTP needs the extra gateway: in a checkout, pip install '.[gateway]'", Exit.USAGE)
        log.info("no page and no HTTP: the extra gateway is not installed (in a checkout, pip install '.[gateway]')")
        return None
    if given:
        if not is_free(given):
            raise CliError(f"the port {given} for HTTP is taken", Exit.USAGE, hint="--gateway-port 0 picks a free one")
        return given
    return usual_port() if given is None else 0


def ready_lines(url: str, *, terminal: bool) -> list[str]:
    """What `up` prints once jobs can be submitted. Scripts wait for the first line; a person is told what to do."""
    if not terminal:
        return [f"ready {url}"]
    return [
        click.style(f"ready {url}", fg="green", bold=True),
        "  in another terminal: pocket3d submit text_to_mesh text_prompt='a red chair' --wait --download out",
        "  pocket3d top shows it at work; Ctrl-C here stops everything and keeps jobs and results",
    ]


async def _up(plan: UpPlan) -> None:
    async with Supervisor(plan) as running:
        await running.until_ready()
        for line in ready_lines(running.url, terminal=sys.stdout.isatty()):
            click.echo(line)
        if running.gateway_url is not None:
            click.echo(f"page {running.gateway_url}")
        await running.until_failure()


@click.command("coordinator")
@click.option("--coordinator-id", help="Name the coordinator.  [default: this host's name and a random part]")
@set_option("coordinator")
@click.option(
    "--topology",
    "topology_pairs",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a setting of streams and buckets, e.g. replicas=3; POCKET3D_TOPOLOGY_<FIELD> does the same.",
)
@log_options
@connects
def coordinator(
    target: Target,
    coordinator_id: str | None,
    pairs: tuple[str, ...],
    topology_pairs: tuple[str, ...],
    log_level: str,
    log_format: logging.Format,
) -> None:
    """Run a coordinator until Ctrl-C or SIGTERM.

    It sets the server up, takes the lead (or stands by until the leader is gone) and gives jobs to agents.
    """
    logging.configure(level=log_level, form=log_format, role="coordinator")
    stopping.die_with_parent()
    with explain_to_user():
        asyncio.run(
            run_coordinator(
                target.options("coordinator", wait_s=SERVICE_CONNECT_S),
                target.subjects,
                coordinator_id=coordinator_id,
                pairs=pairs,
                topology_pairs=topology_pairs,
            )
        )


@click.command("agent")
@agent_options
@set_option("agent")
@click.option(
    "--work-dir",
    type=FOLDER,
    envvar="POCKET3D_WORK_DIR",
    help="Keep jobs' and workers' files in this folder.  [default: in the user's state folder]",
)
@log_options
@connects
def agent(target: Target, agent_id: str | None, log_level: str, log_format: logging.Format, **of_agent: Any) -> None:
    """Run the agent of this GPU host until Ctrl-C or SIGTERM.

    The first signal lets it finish what runs (bounded) and hand back the rest; the second ends its jobs.
    """
    name = agent_id or default_agent_id()
    logging.configure(level=log_level, form=log_format, role="agent", agent_id=name)
    stopping.die_with_parent()
    with explain_to_user():
        options = target.options(f"agent:{name}", wait_s=SERVICE_CONNECT_S)
        asyncio.run(run_agent(options, target.subjects, AgentPlan(name, **of_agent)))
