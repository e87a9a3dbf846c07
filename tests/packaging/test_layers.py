"""The layering rule, held by walking the source: who may import whom, and what may be imported where."""

from __future__ import annotations

import sys

import pytest

from support.import_graph import COMPONENTS, ROOT, Module, loaded_by, modules, resolve
from support.purity import ACTS, DIVIDED, HEAVY, decides, impurities

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


@pytest.mark.parametrize("name", sorted(name for name, module in modules().items() if module.component in DIVIDED))
def test_a_module_decides_or_acts(name: str) -> None:
    """A new module that awaits, looks at a clock or opens a file is to be named among those that act."""
    found = list(impurities(modules()[name]))
    if decides(name):
        assert not found
    else:
        assert found, "it does nothing that a module which decides may not do: it need not be named"


def test_only_modules_that_exist_are_named_as_acting() -> None:
    assert set(modules()) >= ACTS


def test_what_decides_never_loads_what_acts() -> None:
    """Of the agent, its engine: some of its probes and workers are made of both kinds."""
    of_coordinator = [n for n, module in modules().items() if module.component == "coordinator" and decides(n)]
    for name in [*of_coordinator, "pocket3d.gpu_agents.engine"]:
        assert [loaded for loaded in loaded_by(name) if not decides(loaded)] == [], name


@pytest.mark.parametrize("component", ["coordinator", "gpu_agents"])
def test_there_is_an_engine_and_it_does_not_load_the_bus(component: str) -> None:
    loaded = loaded_by(f"pocket3d.{component}.engine")
    assert len(loaded) > 5
    assert {modules()[name].component for name in loaded} == {component, "contracts"}


@pytest.mark.parametrize("component", ["coordinator", "gpu_agents"])
def test_both_engines_ask_the_one_predicate_for_does_it_fit(component: str) -> None:
    askers = [
        name
        for name in loaded_by(f"pocket3d.{component}.engine")
        if any(found.name == "pocket3d.contracts.fit.fits" for found in modules()[name].imports)
    ]
    assert {modules()[name].component for name in askers} == {component}
