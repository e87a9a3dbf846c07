"""The README draws the tables as they are."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import pocket3d.gpu_agents.engine.engine as engine
from pocket3d.gpu_agents.engine.lifecycle import RUN_TRANSITIONS, WORKER_TRANSITIONS

HERE = Path(engine.__file__).parent
_ROW = re.compile(r"^ {4}(\S+) --> (\S+?)(?::|$)", re.MULTILINE)


def drawn(number: int) -> set[tuple[str, str]]:
    text = (HERE.parents[2] / "README.md").read_text()
    picture = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)[number]
    return {(a, b) for a, b in _ROW.findall(picture) if "[*]" not in (a, b)}


def rows(table: dict[Enum, frozenset[Enum]]) -> set[tuple[str, str]]:
    return {(start.value, finish.value) for start, finishes in table.items() for finish in finishes}


def test_the_pictures_are_the_tables() -> None:
    assert drawn(0) == rows(RUN_TRANSITIONS)  # type: ignore[arg-type]
    assert drawn(1) == rows(WORKER_TRANSITIONS)  # type: ignore[arg-type]
