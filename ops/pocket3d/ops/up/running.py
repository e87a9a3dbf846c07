"""Builds a coordinator or an agent from settings and runs it: the composition root of both services."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.contracts.subjects import AGENT_ID_PATTERN, Subjects

from ..settings import SettingsError, state_folder
from .stopping import stop_on_signals

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AgentPlan:
    """What an agent is started with, as it was written on the command line."""

    agent_id: str
    #: The `--devices` text.
    devices: str = "auto"
    #: A `models.yaml`; None for the built-in adapters.
    models: Path | None = None
    #: MB kept free on every device; None for the kind's default.
    memory_buffer: int | None = None
    #: Folder for jobs' and workers' files; None for one in the state folder.
    work_dir: Path | None = None
    #: `field=value` of the agent's settings.
    pairs: tuple[str, ...] = field(default=())


def default_agent_id() -> str:
    """This host's name as one subject token."""
    name = "".join(c if (c.isalnum() and c.isascii()) or c in "-_" else "-" for c in socket.gethostname())
    return name[:64].strip("-") or "agent"


def check_agent_id(agent_id: str) -> str:
    """The id, if it is one.

    Raises:
        SettingsError
    """
    if not AGENT_ID_PATTERN.fullmatch(agent_id):
        raise SettingsError(f"agent id {agent_id[:80]!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and - (one subject token)")
    return agent_id


async def run_coordinator(
    options: ConnectOptions,
    subjects: Subjects,
    *,
    coordinator_id: str | None = None,
    pairs: tuple[str, ...] = (),
    topology_pairs: tuple[str, ...] = (),
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Run a coordinator until Ctrl-C or SIGTERM.

    Raises:
        SettingsError: a setting is wrong.
        Disconnected, Refused, ConnectError: as `JetStreamBus.connect`.
        BusError: the server cannot be set up.
    """
    from pocket3d.bus.topology import TopologySettings
    from pocket3d.coordinator.service import CoordinatorService, new_coordinator_id
    from pocket3d.coordinator.settings import CoordinatorSettings

    from ..settings import read

    settings = read(CoordinatorSettings, "coordinator", environ, pairs)
    leader_lease = f"leader_lease_s={settings.leader_lease_s}"
    topology = read(TopologySettings, "topology", environ, (leader_lease, *topology_pairs))
    # Known before the connection, so that the server's reports tell one coordinator from another.
    name = coordinator_id or new_coordinator_id()
    if not AGENT_ID_PATTERN.fullmatch(name):
        raise SettingsError(f"coordinator id {name[:80]!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and - (one subject token)")
    stop = stop_on_signals()
    bus = await JetStreamBus.connect(options.named(f"coordinator:{name}"))
    try:
        service = CoordinatorService(bus, subjects, settings, topology_settings=topology, coordinator_id=name)
        await service.run(stop)
    finally:
        await bus.close()


async def run_agent(
    options: ConnectOptions, subjects: Subjects, plan: AgentPlan, *, environ: Mapping[str, str] = os.environ
) -> None:
    """Run an agent until it has drained (Ctrl-C or SIGTERM; a second one ends its jobs, a third one the process).

    Raises:
        SettingsError, DeviceSpecError, ModelsFileError: what was asked for is wrong; the message says what.
        Disconnected, Refused, ConnectError: as `JetStreamBus.connect`.
    """
    from pocket3d.adapters.catalogue.models_yaml import builtin_models, load_models_yaml
    from pocket3d.gpu_agents.devices.probes.inventory import open_devices
    from pocket3d.gpu_agents.devices.spec import parse_devices
    from pocket3d.gpu_agents.io.describe import DeclaredAdapter
    from pocket3d.gpu_agents.service import AgentService
    from pocket3d.gpu_agents.settings import AgentSettings
    from pocket3d.gpu_agents.workers import WorkerHost

    from ..settings import read

    check_agent_id(plan.agent_id)
    settings = read(AgentSettings, "agent", environ, plan.pairs)
    request = parse_devices(plan.devices)
    models = await asyncio.to_thread(load_models_yaml, plan.models) if plan.models else builtin_models()
    inventory = await asyncio.to_thread(open_devices, request, memory_buffer=plan.memory_buffer, environ=environ)
    for note in inventory.notes:
        log.info("devices were found", note=note)
    work_dir = plan.work_dir or state_folder(environ) / "agents" / plan.agent_id
    bus = await JetStreamBus.connect(options)
    try:
        service = AgentService(
            bus,
            subjects,
            plan.agent_id,
            devices=inventory.devices,
            probe=inventory.probe,
            workers=WorkerHost(work_dir / "import", plan.agent_id),
            declared=[DeclaredAdapter(spec=a.spec, python=a.python, env=a.env) for a in models.adapters],
            work_dir=work_dir / "lives",
            preferred=models.preferred,
            settings=settings,
        )
        await service.run(stop_on_signals(service.drain))
    finally:
        await bus.close()
        inventory.probe.close()
