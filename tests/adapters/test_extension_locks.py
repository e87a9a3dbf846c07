"""Locks that killed workers leave in the folder where torch compiles extensions."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pocket3d.adapters.runtime.extension_locks import own_folder, remove_stale_locks

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def build(folder: Path, name: str, age_s: float) -> Path:
    lock = folder / name / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    return lock


def test_a_lock_is_removed_where_nobody_builds(tmp_path: Path) -> None:
    stale, young = build(tmp_path, "nvdiffrast_plugin", 3600), build(tmp_path, "other", 1)
    kept = stale.with_name("build.ninja")
    kept.touch()
    busy = build(tmp_path, "busy", 3600)
    # Stands for ninja, whose current folder is the build's.
    with subprocess.Popen(["cat"], cwd=busy.parent, stdin=subprocess.PIPE):
        remove_stale_locks(tmp_path)
        assert (stale.exists(), young.exists(), busy.exists(), kept.exists()) == (False, True, True, True)
    remove_stale_locks(tmp_path)
    assert not busy.exists() and young.exists()
    remove_stale_locks(tmp_path / "nowhere")


def test_each_environment_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert own_folder() == tmp_path / "torch_extensions"
    assert os.environ["TORCH_EXTENSIONS_DIR"] == str(tmp_path / "torch_extensions")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "given"))
    assert own_folder() == tmp_path / "given"
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", "")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert own_folder() is None
