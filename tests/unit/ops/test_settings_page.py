"""The page of all settings says what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

TOOL = Path(__file__).parents[3] / "ops" / "settings_page.py"


def test_the_page_of_settings_is_what_the_declarations_say() -> None:
    spec = importlib.util.spec_from_file_location("settings_page", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `python ops/settings_page.py`"
