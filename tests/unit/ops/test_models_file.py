"""An entry is put into a `models.yaml` without touching what a person wrote."""

from __future__ import annotations

import pytest
import yaml

from pocket3d.ops.installer.models_file import with_entry

ENTRY = {"python": "/m/venv/bin/python", "config": {"root": "/m/Cat", "steps": 3}, "accept_license": True}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine\nbuiltins: true\n",
        "adapters:\n",
        "adapters:\n# nothing yet\nbuiltins: false\n",
        "adapters:\n  dog: {class: m.D}\n",
        "adapters:\n  dog:\n    class: m.D  # good\n    path:\n    - a\n\n# now\ndeployment:\n  preferred_adapters:\n",
        "adapters:\n    dog:\n        class: m.D",
        "adapters:\n  dog:\n    class: m.D\n    config:\n      text: |\n        one\n        two\n  # the last word\n",
        "deployment: {}\nadapters:\n  dog:\n    class: >-\n      m.D\nbuiltins: true\n",
    ],
)
def test_lines_are_added_and_none_is_changed(text: str) -> None:
    after = with_entry(text, "cat", ENTRY)
    assert after is not None
    before = yaml.safe_load(text) or {}
    assert yaml.safe_load(after) == {**before, "adapters": {**(before.get("adapters") or {}), "cat": ENTRY}}
    lines = iter(after.splitlines())
    assert all(line in lines for line in text.splitlines()), after


@pytest.mark.parametrize(
    "text",
    [
        "adapters:\n  cat: {class: m.C}\n",
        "adapters: {dog: {class: m.D}}\n",
        "{adapters: {}}\n",
        "- a\n",
        "adapters: [a]\n",
        "a: {\n",
    ],
)
def test_what_cannot_be_added_to_is_left_alone(text: str) -> None:
    assert with_entry(text, "cat", ENTRY) is None


def test_two_are_added_one_after_the_other() -> None:
    once = with_entry("", "cat", ENTRY)
    assert once is not None
    twice = with_entry(once, "dog", {"python": "p"})
    assert twice is not None
    assert yaml.safe_load(twice) == {"adapters": {"cat": ENTRY, "dog": {"python": "p"}}}
