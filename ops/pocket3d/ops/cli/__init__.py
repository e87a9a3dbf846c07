"""The command line `pocket3d`. Commands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import click

from pocket3d.contracts.version import VERSION

from .lazy import Entry, LazyGroup

__all__ = ["cli", "main"]


#: Command -> where its function is, and what `--help` says of it. In the order of `--help`.
COMMANDS: dict[str, Entry] = {
    "up": Entry("services.up", "Start everything on this machine: server, coordinator and agent."),
    "demo": Entry("demo.command", "See real jobs cross the system and write meshes."),
    "coordinator": Entry("services.coordinator", "Run a coordinator; of several, one leads."),
    "agent": Entry("services.agent", "Run the agent of this GPU host."),
    "gateway": Entry("gateway.command", "Serve HTTP beside NATS: the page, REST, events."),
    "submit": Entry("submit.command", "Submit a job: pocket3d submit text_to_mesh text_prompt='a red chair'."),
    "chain": Entry("chain.command", "Run several jobs of which later ones take what earlier ones make."),
    "watch": Entry("jobs.watch", "Follow jobs: their steps and their progress."),
    "status": Entry("jobs.status", "Show where a job stands."),
    "result": Entry("jobs.result", "Show a job's result, and write its files."),
    "cancel": Entry("jobs.cancel", "End jobs, queued or running."),
    "jobs": Entry("jobs.list_jobs", "List jobs."),
    "explain": Entry("jobs.explain", "Say why a job is not running."),
    "top": Entry("top.command", "Show the fleet as it works: queue, devices, rates, failures."),
    "agents": Entry("fleet.agents", "List agents, their devices and what they run."),
    "features": Entry("fleet.features", "List what can be asked for, and its parameters."),
    "adapters": Entry("adapters.command", "List the adapters of this machine; make, check and install them."),
    "mcp": Entry("mcp.command", "Serve the system's verbs as tools for agents (Model Context Protocol)."),
    "view": Entry("view.command", "Write a page that shows a mesh, for a browser without a network."),
    "purge": Entry("purge.command", "Remove ended jobs with their files, or models' environments."),
    "topology": Entry("checks.topology", "Set a NATS server up, or show how it differs."),
    "doctor": Entry("checks.doctor", "Check this machine and the way to the server."),
    "completion": Entry("completion.command", "Print the completion script for a shell."),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 ok, 1 other errors, 2 usage, 3 failed, 4 rejected, 5 cancelled or expired, 6 no server, "
    "7 the wait timed out, 8 the job id is that of another request.",
)
@click.version_option(VERSION, message="pocket3d %(version)s", help="Show the version.")
def cli() -> None:
    """Run 3D generative models on a fleet of unlike GPUs: jobs, bids and results as messages on NATS."""


def main() -> None:
    """Run it; `pocket3d.ops.entry_point` is what is installed, which says what is missing without click."""
    cli(prog_name="pocket3d")
