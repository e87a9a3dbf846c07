"""The README draws the tables as they are, and the engine stays pure."""

from __future__ import annotations

import ast
import re
from enum import Enum
from pathlib import Path

import pytest

import pocket3d.gpu_agents.engine as engine
from pocket3d.gpu_agents.lifecycle import RUN_TRANSITIONS, WORKER_TRANSITIONS

HERE = Path(engine.__file__).parent
PURE = sorted(
    path
    for path in HERE.glob("*.py")
    if path.name.startswith("engine")
    or path.stem
    in {"ledger", "claims", "bidding", "estimates", "lifecycle", "events", "effects", "settings", "devices"}
)
_FORBIDDEN = {"asyncio", "time", "random", "socket", "os", "threading", "pathlib", "secrets", "subprocess", "nats"}
_ROW = re.compile(r"^ {4}(\S+) --> (\S+?)(?::|$)", re.MULTILINE)


def drawn(number: int) -> set[tuple[str, str]]:
    text = (HERE.parents[1] / "README.md").read_text()
    picture = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)[number]
    return {(a, b) for a, b in _ROW.findall(picture) if "[*]" not in (a, b)}


def rows(table: dict[Enum, frozenset[Enum]]) -> set[tuple[str, str]]:
    return {(start.value, finish.value) for start, finishes in table.items() for finish in finishes}


def test_the_pictures_are_the_tables() -> None:
    assert drawn(0) == rows(RUN_TRANSITIONS)  # type: ignore[arg-type]
    assert drawn(1) == rows(WORKER_TRANSITIONS)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_what_decides_neither_waits_nor_looks_outside(path: Path) -> None:
    assert len(PURE) > 15
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith), path.name
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & _FORBIDDEN, (path.name, names)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", path.name
