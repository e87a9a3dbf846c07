"""Writes docs/settings.md, the reference of all settings, from their declarations: `python ops/settings_page.py`.

Each field's default is read from the code, its meaning from the `#:` comment above it; fields below one comment share
it. A test compares the page with what this would write.
"""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

from pocket3d.bus.topology import TopologySettings
from pocket3d.coordinator.settings import CoordinatorSettings, TenantSettings
from pocket3d.gpu_agents.settings import AgentSettings
from pocket3d.ops.gateway.settings import GatewaySettings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

_HEAD = """# All settings

Those that people change, and how they are set, are in [operating](operating.md#settings). Durations are seconds, ages
too; `null` means none. (This page is written by `python ops/settings_page.py`.)
"""

_PARTS = (
    ("Coordinator", "`POCKET3D_COORDINATOR_<FIELD>`, or `coordinator --set field=value`.", CoordinatorSettings),
    ("Tenants", "The entries of the coordinator's `tenants`.", TenantSettings),
    ("Agent", "`POCKET3D_AGENT_<FIELD>`, `agent --set field=value`, or `up --set field=value`.", AgentSettings),
    (
        "Streams and buckets",
        "`POCKET3D_TOPOLOGY_<FIELD>`, or `coordinator --topology field=value`. -1 means no limit, sizes are bytes.",
        TopologySettings,
    ),
    (
        "Gateway",
        "`POCKET3D_GATEWAY_<FIELD>`, or `gateway --set field=value`. Sizes are bytes.",
        GatewaySettings,
    ),
)


def page() -> str:
    """The text of the page."""
    return "\n".join([_HEAD, *(_part(*each) for each in _PARTS)])


def _part(title: str, how: str, kind: type) -> str:
    defaults = kind()
    rows = [
        f"| {_names(names)} | {', '.join(_shown(getattr(defaults, name)) for name in names)} | {meaning} |"
        for names, meaning in _fields(kind)
    ]
    return "\n".join([f"## {title}", "", how, "", "| field | default | meaning |", "|---|---|---|", *rows, ""])


def _fields(kind: type) -> list[tuple[list[str], str]]:
    """The fields in their order, those below one comment together, with its text."""
    source = inspect.getsource(kind)
    lines = source.splitlines()
    (declared,) = ast.parse(source).body
    assert isinstance(declared, ast.ClassDef)
    found: list[tuple[list[str], str]] = []
    for node in declared.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        assert isinstance(node.target, ast.Name)
        comment: list[str] = []
        above = node.lineno - 2
        while lines[above].strip().startswith("#:"):
            comment.insert(0, lines[above].strip().removeprefix("#:").strip())
            above -= 1
        if comment or not found:
            found.append(([], " ".join(comment).replace("|", "\\|")))
        found[-1][0].append(node.target.id)
    return found


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(value: Any) -> str:
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
