"""`pocket3d view`: one page with the viewer and the file in it."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pocket3d.ops.cli import cli
from pocket3d.ops.viewer_page import viewer_page

SCRIPT = "globalThis.pocket3dViewer = {show: async () => {}}; // ünïcode { }"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "viewer.js"
    path.write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setattr("pocket3d.ops.cli.view.SCRIPT", path)
    return path


def view(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["view", *map(str, arguments)])


def test_the_page_holds_script_and_file_and_fetches_nothing() -> None:
    page = viewer_page("a </script><b>.glb", b"glTF\x00\xff", SCRIPT)
    assert SCRIPT in page
    assert base64.b64encode(b"glTF\x00\xff").decode() in page
    assert page.count("</script>") == 2
    assert "<title>a &lt;/script&gt;&lt;b&gt;.glb</title>" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=|https?://", page)


def test_a_script_that_would_end_its_element_is_refused() -> None:
    with pytest.raises(ValueError, match="end of a script"):
        viewer_page("a.glb", b"", "x = '</SCRIPT>'")


def test_it_is_written_beside_the_file_and_may_be_written_again(tmp_path: Path, script: Path) -> None:
    (tmp_path / "chair.glb").write_bytes(b"glTF")
    for _ in range(2):
        result = view(tmp_path / "chair.glb")
        assert (result.exit_code, result.output) == (0, f"wrote {tmp_path / 'chair.glb.html'}\n")


def test_another_file_is_kept(tmp_path: Path, script: Path) -> None:
    (tmp_path / "chair.glb").write_bytes(b"glTF")
    mine = tmp_path / "mine.html"
    mine.write_text("my own page")
    refused = view(tmp_path / "chair.glb", "--out", mine)
    assert (refused.exit_code, "is another file" in refused.output) == (1, True)
    assert mine.read_text() == "my own page"
    assert view(tmp_path / "chair.glb", "--out", mine, "--overwrite").exit_code == 0
    assert SCRIPT in mine.read_text(encoding="utf-8")


def test_what_cannot_be_shown_is_told(tmp_path: Path, script: Path) -> None:
    (tmp_path / "chair.fbx").write_bytes(b"")
    refused = view(tmp_path / "chair.fbx")
    assert (refused.exit_code, "mesh_conversion makes a GLB" in refused.output) == (2, True)
    (tmp_path / "chair.glb").write_bytes(b"glTF")
    nowhere = view(tmp_path / "chair.glb", "--out", tmp_path / "no" / "page.html")
    assert (nowhere.exit_code, "no/page.html: No such file" in nowhere.output) == (1, True)
    script.unlink()
    assert "this installation has no viewer" in view(tmp_path / "chair.glb").output
