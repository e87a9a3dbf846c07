"""Who imports whom, read from the source by AST (nothing is imported)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COMPONENTS = ("contracts", "bus", "coordinator", "gpu_agents", "adapters", "ops")


class Import(NamedTuple):
    """One import statement's target."""

    #: Absolute dotted name; for `from x import y` it is `x.y`.
    name: str
    #: True at the module's top level: done as soon as the module is imported.
    at_import: bool
    line: int


class Module(NamedTuple):
    """One source file."""

    name: str
    component: str
    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]


@cache
def modules() -> dict[str, Module]:
    """All modules of the six components, by dotted name."""
    found = {}
    for component in COMPONENTS:
        base = ROOT / component
        for path in sorted((base / "pocket3d").rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
            package = name if is_package else name.rpartition(".")[0]
            found[name] = Module(name, component, path, tree, tuple(_imports(tree, package)))
    return found


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    top = set(map(id, _run_at_import(tree.body)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, id(node) in top, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                anchor = ".".join(parts[: len(parts) - node.level + 1])
                base = f"{anchor}.{base}" if base else anchor
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", id(node) in top, node.lineno)


def _run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported: not those in functions, nor under `if TYPE_CHECKING`."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _run_at_import(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _run_at_import(handler.body)


def resolve(name: str) -> str | None:
    """The module of ours that `import name` loads: `a.b.f` may be a function of `a.b`."""
    known = modules()
    while name.startswith("pocket3d."):
        if name in known:
            return name
        name = name.rpartition(".")[0]
    return None


def loaded_by(start: str) -> set[str]:
    """The modules of ours that are loaded when `start` is imported (with their packages)."""
    todo, seen = [start], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in modules():
            continue
        seen.add(name)
        todo.append(name.rpartition(".")[0])
        for found in modules()[name].imports:
            target = resolve(found.name)
            if found.at_import and target:
                todo.append(target)
    return seen


def targets(module: Module) -> set[str]:
    """The modules of ours that a module imports, at any depth."""
    return {target for found in module.imports if (target := resolve(found.name)) is not None}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that all lead to one another (Tarjan, 1972), each sorted."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], index[target])
        if lowest[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(found)
