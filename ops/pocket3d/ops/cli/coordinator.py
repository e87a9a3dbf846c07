"""`pocket3d coordinator`."""

from __future__ import annotations

import asyncio

import click

from .. import logging
from ..up import stopping
from ..up.running import run_coordinator
from .errors import explain_to_user
from .options import SERVICE_CONNECT_S, Target, connects, log_options, set_option


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
def command(
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
                target.options(f"coordinator:{coordinator_id or 'new'}", wait_s=SERVICE_CONNECT_S),
                target.subjects,
                coordinator_id=coordinator_id,
                pairs=pairs,
                topology_pairs=topology_pairs,
            )
        )
