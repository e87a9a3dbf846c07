"""The adapter guide's code, taken from the text that people read: import lines and paths are changed, nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).resolve().parents[1] / "guide" / "ADAPTER_GUIDE.md"
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)

#: What stands in the guide's import lines, and where it is here: all that whoever wrote an adapter from it changes.
MODULES = {
    "core.models.mesh_models": "pocket3d.adapters.mesh_models",
    "core.models.texture_models": "pocket3d.adapters.texture_models",
    "core.models.rig_models": "pocket3d.adapters.rig_models",
    "core.models.segment_models": "pocket3d.adapters.segment_models",
    "config.adapter_registry": "pocket3d.adapters.registry",
    "core.scheduler": "pocket3d.ops.scheduler",
    "core.utils.metrics": "pocket3d.adapters.metrics",
    # The reader's own file.
    "adapters.my_model_adapter": "my_model_adapter",
}
#: Import lines that the guide leaves out, by block.
ADDED = {
    3: ["from pocket3d.adapters.registry import adapter_registry"],
    4: ["from pocket3d.adapters.registry import adapter_registry", "from pocket3d.ops.scheduler import JobRequest"],
    7: ["from pocket3d.adapters.registry import adapter_registry"],
    8: ["from pocket3d.adapters.base import ModelStatus"],
    9: ["from pocket3d.adapters.registry import adapter_registry"],
    10: ["import torch"],
    11: ["import asyncio"],
    12: ["import torch", "from pocket3d.adapters.mesh_models import TextToMeshModel"],
}


def blocks(language: str) -> list[str]:
    """The fenced blocks of that language, in order."""
    found = _BLOCK.finditer(GUIDE.read_text(encoding="utf-8"))
    return [match["text"] for match in found if match["language"] == language]


def adapted(number: int, paths: Mapping[str, str] | None = None) -> str:
    """Python block `number` (from 1) with import lines changed and added, and paths put in the place of its own."""
    text = blocks("python")[number - 1]
    for old, new in (paths or {}).items():
        assert f'"{old}"' in text
        text = text.replace(f'"{old}"', repr(new))
    lines = [_import_line(line) for line in text.splitlines()]
    return "\n".join([*ADDED.get(number, []), *lines, ""])


def _import_line(line: str) -> str:
    found = re.match(r"\s*(?:from|import) (?P<module>[\w.]+)", line)
    if found is None or found["module"] not in MODULES:
        return line
    return line.replace(found["module"], MODULES[found["module"]], 1)


async def run(source: str, **names: Any) -> dict[str, Any]:
    """Execute a source in which `await` may stand at the top level; returns the names that it leaves."""
    space: dict[str, Any] = {"__name__": "the_guide", **names}
    code = compile(source, str(GUIDE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    answer = eval(code, space)
    if inspect.isawaitable(answer):
        await answer
    return space
