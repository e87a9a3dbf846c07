"""One version: what the wheel, the command line, adverts and micro services say is written in one place."""

from __future__ import annotations

import ast
import inspect

from pocket3d.contracts.version import VERSION
from pocket3d.coordinator.service import CoordinatorService
from pocket3d.gpu_agents.service import AgentService
from support.import_graph import ROOT, modules

#: A new adapter's own pyproject.toml begins with a version, too.
OTHERS = {"pocket3d.contracts.version", "pocket3d.adapters.kit.skeleton"}


def test_the_version_is_written_once() -> None:
    written = [
        name
        for name, module in modules().items()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and node.value == VERSION
    ]
    assert set(written) - OTHERS == set()
    assert f'"{VERSION}"' not in (ROOT / "pyproject.toml").read_text()


def test_services_tell_it_unless_told_otherwise() -> None:
    for service in (CoordinatorService, AgentService):
        assert inspect.signature(service).parameters["version"].default == VERSION
