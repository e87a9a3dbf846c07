"""`pocket3d agent`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from .. import logging
from ..up import stopping
from ..up.running import AgentPlan, default_agent_id, run_agent
from .agent_options import agent_options
from .errors import explain_to_user
from .options import SERVICE_CONNECT_S, Target, connects, log_options, set_option


@click.command("agent")
@agent_options
@set_option("agent")
@click.option(
    "--work-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="POCKET3D_WORK_DIR",
    help="Keep jobs' and workers' files in this folder.  [default: in the user's state folder]",
)
@log_options
@connects
def command(
    target: Target,
    agent_id: str | None,
    devices: str,
    models: Path | None,
    memory_buffer: int | None,
    pairs: tuple[str, ...],
    work_dir: Path | None,
    log_level: str,
    log_format: logging.Format,
) -> None:
    """Run the agent of this GPU host until Ctrl-C or SIGTERM.

    The first signal lets it finish what runs (bounded) and hand back the rest; the second ends its jobs.
    """
    name = agent_id or default_agent_id()
    logging.configure(level=log_level, form=log_format, role="agent", agent_id=name)
    stopping.die_with_parent()
    plan = AgentPlan(name, devices, models, memory_buffer, work_dir, pairs)
    with explain_to_user():
        options = target.options(f"agent:{name}", wait_s=SERVICE_CONNECT_S)
        asyncio.run(run_agent(options, target.subjects, plan))
