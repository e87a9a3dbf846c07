"""`pocket3d demo`: real jobs on real input, meshes that open, exit code 0; and what it says when one fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from support.command_line import ROOT, pocket3d

pytestmark = pytest.mark.torch

COFFEE = ROOT / "examples" / "photos" / "coffee.png"


def left_over(folder: Path) -> list[str]:
    lines = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


def test_the_demo_writes_meshes_of_a_prompt_and_of_a_photograph(tmp_path: Path) -> None:
    import trimesh

    out = tmp_path / "out"
    ran = pocket3d(
        *("demo", "--out", str(out), "--devices", "cpu:4096"),
        *("--prompt", "a red chair with four legs", "--photo", str(COFFEE)),
        timeout=180,
        TMPDIR=str(tmp_path),
    )
    assert ran.code == 0, ran
    assert (out / "contact-sheet.png").is_file()
    for name in ("a-red-chair-with-four-legs", "coffee"):
        [mesh] = out.glob(f"{name}-??????.glb")
        assert str(mesh) in ran.out
        made: Any = trimesh.load(mesh, force="mesh")
        assert len(made.faces) > 100
    for word in (
        "ran on",
        "cpu-0",
        "procedural-text-to-mesh",
        "silhouette-image-to-mesh",
        "loading",
        "running",
        "100%",
    ):
        assert word in ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "the temporary store is gone"
    assert not left_over(tmp_path)


def test_a_prompt_without_a_known_noun_fails_it_and_the_reason_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = pocket3d("demo", "--out", str(out), "--devices", "cpu:4096", "--prompt", "xyzzy plugh", timeout=180)
    assert ran.code == 3, ran
    assert "invalid_input" in ran.out
    assert "did not succeed" in ran.err


def test_one_that_takes_too_long_says_that_nothing_goes_on(tmp_path: Path) -> None:
    ran = pocket3d("demo", "--out", str(tmp_path), "--devices", "cpu:4096", "--prompt", "a chair", "--timeout", "1")
    assert ran.code == 7, ran
    assert "was not done within 1 s; all of it is stopped\nhint: --timeout gives it longer; the log is " in ran.err
