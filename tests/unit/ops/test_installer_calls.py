"""What the installer calls for each step, by an interpreter that writes down how it was called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.catalogue.recipe import Weights
from pocket3d.ops.installer.environments import Planned
from pocket3d.ops.installer.run import Installer, InstallError
from pocket3d.ops.installer.steps import CompileExtension, FetchWeights, PipInstall, Step

#: Appends its arguments and some variables; says what pip would of its list; fails where it is told to.
PYTHON = """#!/bin/sh
{ printf '{"words": ['; sep=; for word in "$@"; do
    printf '%s"%s"' "$sep" "$(printf %s "$word" | tr -d '\\n"\\\\')"; sep=', '
  done
  printf '], "env": {"HF_ENDPOINT": "%s", "HF_HUB_OFFLINE": "%s", "MAX_JOBS": "%s", "CUDA_HOME": "%s"}}\\n' \\
    "$HF_ENDPOINT" "$HF_HUB_OFFLINE" "$MAX_JOBS" "$CUDA_HOME"
} >> "$CALLS"
case "$*" in
  *list*) echo '[{"name": "Torch_X", "version": "2.0+cu124"}, {"name": "numpy", "version": "1.26.4"}]' ;;
  *broken*) echo 'no such package'; exit 1 ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    for name in ("HF_ENDPOINT", "MAX_JOBS", "CUDA_HOME"):
        monkeypatch.delenv(name, raising=False)
    # A person's own setting is for jobs.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def planned(*steps: tuple[Step, str | None]) -> list[Planned]:
    return [Planned(f"step {number}", step, f"key {number}", False, part) for number, (step, part) in enumerate(steps)]


def calls(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def test_pip_keeps_torch_the_lock_and_for_parts_all_that_is_there(folder: Path) -> None:
    lock = folder / "lock.txt"
    torch = PipInstall(requirements=("torch-x==2.0",), pins="named", locked=True)
    packages = PipInstall(requirements=("numpy",), pins="all", locked=True)
    compiled = PipInstall(
        requirements=("./kernels",), no_isolation=True, part=True, env={"CUDA_HOME": "/usr/local/cuda-12.4"}
    )
    Installer(folder, print, lock=lock, jobs=3).run(planned((torch, None), (packages, None), (compiled, "texture")))
    said = [each for each in calls(folder) if "install" in each["words"]]
    pip = ["-m", "pip", "install"]
    constraint, kept = str(folder / "constraints.txt"), str(folder / "kept-by-parts.txt")
    assert [each["words"] for each in said] == [
        [*pip, "--constraint", str(lock), "torch-x==2.0"],
        [*pip, "--constraint", str(lock), "--constraint", constraint, "numpy"],
        [*pip, "--constraint", constraint, "--constraint", kept, "--no-build-isolation", "./kernels"],
    ]
    assert (folder / "constraints.txt").read_text() == "torch-x==2.0+cu124\n"
    assert (folder / "kept-by-parts.txt").read_text() == "numpy==1.26.4\ntorch-x==2.0+cu124\n"
    assert [(each["env"]["CUDA_HOME"], each["env"]["MAX_JOBS"]) for each in said] == [
        ("", ""), ("", ""), ("/usr/local/cuda-12.4", "3")
    ]  # fmt: skip


def test_a_mirror_is_asked_in_the_hubs_place(folder: Path) -> None:
    step = FetchWeights(weights=Weights(repository="me/cat", folder="w", files=("a.ckpt",)), folder=str(folder / "w"))
    Installer(folder, print, weights_from="https://mirror.example/hf").run(planned((step, None)))
    (said,) = calls(folder)
    assert said["env"]["HF_ENDPOINT"] == "https://mirror.example/hf" and said["env"]["HF_HUB_OFFLINE"] == "0"
    assert "snapshot_download" in said["words"][1] and "me/cat" in said["words"][2]


def test_a_part_that_fails_does_not_stop_the_others(folder: Path) -> None:
    broken = PipInstall(requirements=("broken",))
    good = CompileExtension(source=str(folder / "a.cpp"), python=str(folder / "venv" / "bin" / "python"))
    told: list[str] = []
    failed = Installer(folder, told.append).run(planned((broken, "texture"), (good, "texture"), (good, "sound")))
    assert list(failed) == ["texture"]
    assert "step 1 of 3, step 0: `" in failed["texture"] and "no such package" in failed["texture"]
    assert "[2/3] step 1: left out, as texture failed" in told
    assert json.loads((folder / "installed.json").read_bytes()) == {"step 2": "key 2"}
    with pytest.raises(InstallError, match="no such package"):
        Installer(folder, told.append).run(planned((broken, None), (good, None)))
