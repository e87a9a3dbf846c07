"""The reader's own files, as modules of this process: `my_model_adapter` from the guide's block, and `my_model`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import guide_my_model
from support.guide_source import adapted


class Reader:
    """A folder on this process's `sys.path`, as beside a script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meshes = folder / "outputs" / "meshes"
        self._journal = folder / "my_model.jsonl"
        self.modules: list[str] = []

    def write(self, module: str, source: str) -> None:
        (self.folder / f"{module}.py").write_text(source)
        self.modules.append(module)

    def write_my_model_adapter(self) -> None:
        source = Path(guide_my_model.__file__).read_text().replace("@JOURNAL@", str(self._journal))
        self.write("my_model", source)
        paths = {
            "/path/to/my/model": "/opt/weights/my-model",
            "/data/workspace/3DAIGC/Pocket3DStudio/backend/outputs/meshes": str(self.meshes),
        }
        self.write("my_model_adapter", adapted(2, paths))

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._journal.read_text().splitlines()]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    made = Reader(folder)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """What blocks do to this process's registry and logging ends with the test."""
    from pocket3d.adapters.registry import adapter_registry

    entries = dict(adapter_registry._entries)
    levels = {name: logging.getLogger(name).level for name in ("adapters", "core.models")}
    yield
    adapter_registry._entries = entries
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().out.splitlines()
