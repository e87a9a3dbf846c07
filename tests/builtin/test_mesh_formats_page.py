"""The page on what formats keep is what real conversions give."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from support.import_graph import ROOT

pytest.importorskip("torch")
pytest.importorskip("trimesh")

pytestmark = pytest.mark.torch
TOOL = ROOT / "ops" / "mesh_formats_page.py"


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mesh_formats_page", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_the_page_says_what_conversions_keep_and_lose() -> None:
    tool = _tool()
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `python ops/mesh_formats_page.py`"
