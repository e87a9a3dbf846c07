"""What strangers read first names only what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from support.import_graph import ROOT, modules, resolve

TEXTS = ("CONTRIBUTING.md", "SECURITY.md")
_MODULE = re.compile(r"pocket3d(?:\.[a-z_0-9]+)+")
_PATH = re.compile(r"(?<![\w./-])(?:tests|contracts|ops|bus|docs|examples|\.ci)/[\w./-]*\w")


@pytest.mark.parametrize("name", TEXTS)
def test_modules_and_files_that_are_named_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not [found for found in _MODULE.findall(text) if resolve(found) != found]
    assert not [found for found in _PATH.findall(text) if not (ROOT / found).exists()]
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_files_of_the_host_can_be_read() -> None:
    files = [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"]
    assert len(files) >= 5
    for path in files:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path


def test_hooks_run_what_is_there() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    for hook in (hook for repository in config["repos"] for hook in repository["hooks"]):
        for word in hook["entry"].split():
            if word.startswith("pocket3d."):
                assert word in modules(), hook["id"]
            elif word.startswith("tests/"):
                assert (ROOT / word).exists(), hook["id"]


def test_the_licence_is_apache_2_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert (len(text.splitlines()), Path(ROOT / "LICENSE").stat().st_size) == (202, 11358)
