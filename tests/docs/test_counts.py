"""Numbers that the pages state are those of the code."""

from __future__ import annotations

import re

import pytest

from pocket3d.adapters.weight_free.procedural.nouns import NOUNS
from support.pages import ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", ["concepts.md", "models.md"])
def test_the_nouns_of_the_shape_grammar(page: str) -> None:
    text = re.sub(r"\s+", " ", (DOCS / page).read_text(encoding="utf-8"))
    assert f"{len(NOUNS)} English nouns" in text
