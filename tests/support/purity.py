"""Which modules decide and which act, read from the source.

A module that decides gets time, ids and randomness as arguments: it awaits nothing, reads no clock, opens no file and
asks nothing of the machine.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from support import module_kinds
from support.import_graph import Module, modules

#: What a module that decides must not import.
IMPURE = {
    "asyncio", "time", "random", "secrets", "uuid", "socket", "threading", "subprocess", "multiprocessing", "os",
    "signal", "select", "selectors", "concurrent", "shutil", "tempfile", "nats", "nkeys", "pynvml",
}  # fmt: skip
#: Libraries of arrays and models: what needs them computes shapes rather than decides.
HEAVY = {"torch", "trimesh", "scipy", "numpy", "PIL", "skimage", "pynvml"}


def decides(name: str) -> bool:
    """True if that module is meant to decide; one of the adapters is, if it does so in fact."""
    module = modules()[name]
    if module.component in module_kinds.LISTED:
        return module_kinds.kind_of(name) is module_kinds.DECIDING
    if module.component != "adapters" or _of_a_model(name):
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
        elif isinstance(node, ast.Call) and _is_file_access(node):
            yield f"line {node.lineno} reads or writes a file"
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


def _is_file_access(node: ast.Call) -> bool:
    """A call of `open`, or of a path's method that reads or writes."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in ("read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "iterdir")
    return isinstance(node.func, ast.Name) and node.func.id == "open"
