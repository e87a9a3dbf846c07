"""The page of formats says what conversions do."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("trimesh")
pytest.importorskip("PIL")

TOOL = Path(__file__).parents[2] / "ops" / "formats_page.py"

pytestmark = pytest.mark.torch


def test_the_page_of_formats_is_what_conversions_do() -> None:
    spec = importlib.util.spec_from_file_location("formats_page", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `python ops/formats_page.py`"
