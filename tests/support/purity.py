"""Which modules decide and which act, read from the source.

A module that decides gets time, ids and randomness as arguments: it awaits nothing, reads no clock, opens no file and
asks nothing of the machine. In coordinator and gpu_agents every module decides unless it is named in `ACTS`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from support.import_graph import Module, modules

#: What a module that decides must not import.
IMPURE = {
    "asyncio", "time", "random", "secrets", "uuid", "socket", "threading", "subprocess", "multiprocessing", "os",
    "signal", "select", "selectors", "concurrent", "shutil", "tempfile", "pathlib", "nats", "nkeys", "pynvml",
}  # fmt: skip
#: Libraries of arrays and models: what needs them computes shapes rather than decides.
HEAVY = {"torch", "trimesh", "scipy", "numpy", "PIL", "skimage", "pynvml"}

#: Services and what they are made of: they await, read clocks and files, and hold processes.
ACTS = {
    "pocket3d.contracts.schema_export",
    "pocket3d.coordinator.acks",
    "pocket3d.coordinator.api",
    "pocket3d.coordinator.effect_runner",
    "pocket3d.coordinator.leader_record_io",
    "pocket3d.coordinator.leader_term",
    "pocket3d.coordinator.service",
    "pocket3d.coordinator.tasks",
    "pocket3d.gpu_agents.describe",
    "pocket3d.gpu_agents.file_kinds",
    "pocket3d.gpu_agents.probes.cpu",
    "pocket3d.gpu_agents.probes.inventory",
    "pocket3d.gpu_agents.probes.nvml",
    "pocket3d.gpu_agents.service",
    "pocket3d.gpu_agents.service_control",
    "pocket3d.gpu_agents.service_files",
    "pocket3d.gpu_agents.service_folders",
    "pocket3d.gpu_agents.service_performer",
    "pocket3d.gpu_agents.service_ports",
    "pocket3d.gpu_agents.service_tasks",
    "pocket3d.gpu_agents.service_workers",
    "pocket3d.gpu_agents.workers.ending",
    "pocket3d.gpu_agents.workers.environment",
    "pocket3d.gpu_agents.workers.guardian",
    "pocket3d.gpu_agents.workers.guardian_process",
    "pocket3d.gpu_agents.workers.host",
    "pocket3d.gpu_agents.workers.memory",
    "pocket3d.gpu_agents.workers.pipes",
    "pocket3d.gpu_agents.workers.process",
}
#: Components of which every module is of one of the two kinds; of the others a module decides if it does so in fact.
DIVIDED = ("contracts", "coordinator", "gpu_agents")


def decides(name: str) -> bool:
    """True if that module is meant to decide."""
    module = modules()[name]
    if module.component in DIVIDED:
        return name not in ACTS
    if module.component not in ("bus", "adapters") or _of_a_model(name):
        return False
    return not list(impurities(module)) and not _heavy(module)


def deciding() -> list[str]:
    """All modules that decide and have something to decide with: a function."""
    return [
        name
        for name, module in modules().items()
        if decides(name) and any(isinstance(node, ast.FunctionDef) for node in ast.walk(module.tree))
    ]


def impurities(module: Module) -> Iterator[str]:
    """What a module does that one which decides must not do, each with its line."""
    for found in module.imports:
        if found.name.partition(".")[0] in IMPURE:
            yield f"line {found.line} imports {found.name}"
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)):
            yield f"line {node.lineno} is asynchronous"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            yield f"line {node.lineno} opens a file"
        elif isinstance(node, ast.expr) and _is_clock(node):
            yield f"line {node.lineno} reads a clock"


def _of_a_model(name: str) -> bool:
    """True in the folder of a model, beside its adapter: what is there computes shapes rather than decides."""
    folder = name.rpartition(".")[0]
    while folder.count(".") > 1:
        if f"{folder}.adapter" in modules():
            return True
        folder = folder.rpartition(".")[0]
    return False


def _heavy(module: Module) -> bool:
    return any(found.name.partition(".")[0] in HEAVY for found in module.imports)


def _is_clock(node: ast.expr) -> bool:
    """`datetime.now`, `date.today` and the like."""
    if not isinstance(node, ast.Attribute) or node.attr not in ("now", "utcnow", "today"):
        return False
    return ast.unparse(node.value).endswith(("datetime", "date"))
