"""Pocket3DStudio in another interpreter: our two packages and nothing else of the agent's environment."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pocket3d.gpu_agents.workers import environment
from pocket3d.gpu_agents.workers.environment import NamespaceError, child_environment, link_namespace


def installed(tmp_path: Path) -> Path:
    """site-packages as after `pip install` of the wheel: one folder with everything."""
    site = tmp_path / "site-packages"
    for name in ("contracts", "adapters", "gpu_agents"):
        package = site / "pocket3d" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"WHERE = {name!r}\n")
    (site / "secretly_installed.py").write_text("")
    return site


def test_an_installed_wheel_does_not_leak_its_neighbours(tmp_path: Path) -> None:
    site = installed(tmp_path)
    root = tmp_path / "root"
    # This module runs as it would where all packages are found in that folder.
    source = Path(str(environment.__file__)).read_text()
    needed = "from pocket3d.contracts.worker_frames import JOURNAL_VARIABLE"
    assert needed in source
    script = tmp_path / "link.py"
    twice = f"for _ in range(2): link_namespace(Path({str(root)!r}))\n"
    script.write_text(source.replace(needed, "JOURNAL_VARIABLE = ''") + twice)
    subprocess.run([sys.executable, "-S", str(script)], env={"PYTHONPATH": str(site)}, check=True)
    check = """
import pocket3d.contracts, pocket3d.adapters, importlib.util
print(pocket3d.contracts.WHERE, pocket3d.adapters.WHERE)
print(importlib.util.find_spec("secretly_installed"), importlib.util.find_spec("pocket3d.gpu_agents"))
"""
    env = {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-S", "-c", check], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["contracts", "adapters", "None", "None"]


def test_a_checkout_is_linked_and_links_are_renewed(tmp_path: Path) -> None:
    stale = tmp_path / "pocket3d" / "contracts"
    stale.parent.mkdir()
    stale.symlink_to(tmp_path)
    root = link_namespace(tmp_path)
    assert root == tmp_path
    assert (root / "pocket3d" / "contracts" / "worker_frames.py").is_file()
    assert sorted(p.name for p in (root / "pocket3d").iterdir()) == ["adapters", "contracts"]


def test_many_may_link_at_the_same_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: link_namespace(tmp_path), range(64))) == {tmp_path}
    assert sorted(p.name for p in (tmp_path / "pocket3d").iterdir()) == ["adapters", "contracts"]


def test_a_missing_component_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_COMPONENTS", ("contracts", "never_written"))
    with pytest.raises(NamespaceError, match=r"pocket3d\.never_written is not installed"):
        link_namespace(tmp_path)


def test_tools_beside_the_interpreter_come_first(tmp_path: Path) -> None:
    env = child_environment(
        {"PATH": "/bin", "VIRTUAL_ENV": "/agent"},
        python="/model/venv/bin/python",
        namespace=tmp_path,
        env={},
        path=[],
        visible="",
    )
    assert env["PATH"] == os.pathsep.join(["/model/venv/bin", "/bin"])
    assert "VIRTUAL_ENV" not in env and env["PYTHONPATH"] == str(tmp_path)


def test_a_worker_is_alone_whoever_started_the_agent(tmp_path: Path) -> None:
    """Under SLURM or torchrun Lightning would wait for the peers that these variables name."""
    launcher = {
        "SLURM_JOB_ID": "7",
        "SLURM_NTASKS": "4",
        "RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "x",
        "OMPI_COMM_WORLD_RANK": "1",
    }
    env = child_environment(
        {"PATH": "/bin", "HOME": "/home/me", "RANKING": "kept", **launcher},
        python="python3",
        namespace=tmp_path,
        env={"WORLD_SIZE": "1"},
        path=[],
        visible="GPU-1",
    )
    assert set(env) == {
        "PATH",
        "HOME",
        "RANKING",
        "WORLD_SIZE",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "CUDA_VISIBLE_DEVICES",
    }
    assert env["WORLD_SIZE"] == "1", "an adapter may say so itself"
