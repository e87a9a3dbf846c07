"""The table of what newcomers stumbled over names tests that exist; other pages say what it says they do."""

from __future__ import annotations

import re

import pytest

from pocket3d.bus.topology import TopologySettings
from support.pages import ROOT

PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([ABP]\d+) \|(.*)\|(.*)\|(.*)\|$", PAGE, re.M)
WANTED = [*(f"B{n}" for n in range(1, 7)), *(f"A{n}" for n in range(1, 21)), *(f"P{n}" for n in range(1, 15))]
#: What is left as it was.
WITHOUT_TEST = {"P13"}
_DAY = 86_400


def test_every_point_has_its_row() -> None:
    assert [number for number, *_ in ROWS] == WANTED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_point_has_a_test_that_exists(row: tuple[str, str, str, str]) -> None:
    number, _, done, cell = row
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell)
    if number in WITHOUT_TEST:
        assert not named
        assert "Left" in done
        return
    assert named, f"{number} has no test"
    for path, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), test


def test_a_prompt_that_names_nothing_known_is_told_what_the_generator_is() -> None:
    pytest.importorskip("numpy")
    from pocket3d.adapters.weight_free.procedural.attribute_words import PromptError
    from pocket3d.adapters.weight_free.procedural.grammar import parse

    with pytest.raises(PromptError, match=r"no (AI|trained) model.*`pocket3d adapters`") as told:
        parse("xyzzy plugh")
    assert len(str(told.value)) < 1000


def test_things_are_kept_as_long_as_the_page_says() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    settings = TopologySettings()
    ages = {
        "`P3D_RESULTS`": f"{settings.results_max_age_s / _DAY:.0f} days",
        "`P3D_EVENTS`": f"{(settings.results_max_age_s + settings.story_margin_s) / _DAY:.0f} days",
        "`OBJ_P3D_INPUTS`": f"{settings.inputs_max_age_s / _DAY:.0f} days",
        "`P3D_DEAD`": f"{settings.dead_max_age_s / _DAY / 7:.0f} weeks",
    }
    for place, age in ages.items():
        (line,) = [line for line in page.splitlines() if (line.startswith("|") and place in line and "pocket3d" in line)
                   or (line.startswith("|") and place in line and "nats object" in line)]  # fmt: skip
        assert age in line, line


def test_the_files_of_a_segmentation_are_described() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for word in ("_labels.npy", "int32", "_parts.json", "`label`", "`node`", "`faces`", "`area`", "`colour`"):
        assert word in page
