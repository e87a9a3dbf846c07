"""The table of GPU defects names tests that exist."""

from __future__ import annotations

import re

from support.pages import ROOT


def test_each_defect_has_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "gpu" / "defects.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", page, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 28))
    for number, cell in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell)
        assert named, f"defect {number} has no test"
        for path, test in named:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), test
