"""The built page that is committed is that of the sources, and it asks no other host."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.import_graph import ROOT

WEB = ROOT / "ops" / "web"
PAGE = ROOT / "ops" / "pocket3d" / "ops" / "gateway" / "page"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digests(paths: list[Path], root: Path) -> dict[str, str]:
    files = [each for path in paths for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()]
    return dict(sorted((each.relative_to(root).as_posix(), _sha256(each.read_bytes())) for each in files))


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAGE / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_it_was_built_from_these_sources(manifest: dict[str, Any]) -> None:
    listed = re.search(r"const SOURCES = \[(.*?)\]", (WEB / "manifest.mjs").read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    names = re.findall(r'"([^"]+)"', listed[1])
    assert {"src", "index.html", "package-lock.json", "vite.config.ts"} <= set(names)
    text = "".join(f"{digest}  {name}\n" for name, digest in _digests([WEB / name for name in names], WEB).items())
    assert manifest["sources_sha256"] == _sha256(text.encode()), "the sources have changed: run `make web`"


def test_no_built_file_was_changed_by_hand(manifest: dict[str, Any]) -> None:
    there = _digests([PAGE], PAGE)
    del there["manifest.json"]
    assert there == manifest["files"]


def test_the_page_names_no_other_host() -> None:
    for path in PAGE.rglob("*"):
        if path.suffix in {".js", ".html", ".css"}:
            hosts = set(re.findall(r"\bhttps?://[\w.-]+", path.read_text(encoding="utf-8")))
            assert hosts <= {"http://www.w3.org"}, path.name  # names of XML namespaces


def test_the_page_needs_no_inline_script_and_no_eval() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
    assert not re.search(r"\son\w+=|\sstyle=|<style", html)
    for path in PAGE.rglob("*.js"):
        assert not re.search(r"\beval\(|new Function\(", path.read_text(encoding="utf-8")), path.name


def test_the_viewer_can_stand_inside_a_page() -> None:
    text = (PAGE / "viewer.js").read_text(encoding="utf-8")
    assert not re.search(r"</script|<!--", text, re.IGNORECASE)
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert "pocket3dViewer" in text


def test_the_frame_is_small_and_the_viewer_is_fetched_later() -> None:
    [frame] = (PAGE / "assets").glob("*.js")
    assert frame.stat().st_size < 150_000
    assert "viewer.js" in frame.read_text(encoding="utf-8")
    assert "viewer.js" not in (PAGE / "index.html").read_text(encoding="utf-8")
