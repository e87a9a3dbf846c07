"""Adapters described in their own interpreters; what goes wrong there is that adapter's reason and nobody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec
from pocket3d.gpu_agents.io.describe import DeclaredAdapter, describe_adapters

from .conftest import alive, until
from .test_agent_killed import component_roots


def declare(adapter_id: str, mode: str = "fine", **changes: Any) -> DeclaredAdapter:
    config = {"describe": mode, **changes.pop("config", {})}
    spec = AdapterSpec(adapter_id=adapter_id, class_path="x.Y", config=config, path=changes.pop("path", []))
    return DeclaredAdapter(spec=spec, **changes)


def pid_of(description: AdapterDescription) -> int:
    assert description.parameters is not None
    return int(description.parameters["pid"])


async def test_adapters_of_one_interpreter_are_asked_together_and_in_order(namespace: Path) -> None:
    declared = [declare("a"), declare("b", env={"MARK": "1"}), declare("c"), declare("d", path=["/repo"])]
    found = await describe_adapters(declared, namespace=namespace)
    assert [d.adapter_id for d in found] == ["a", "b", "c", "d"]
    assert all(d.available for d in found)
    assert pid_of(found[0]) == pid_of(found[2])
    assert len({pid_of(d) for d in found}) == 3
    assert [d.parameters["env"] for d in found if d.parameters] == [None, "1", None, None]
    assert {d.parameters["cuda"] for d in found if d.parameters} == {""}


async def test_one_bad_adapter_costs_only_itself(namespace: Path) -> None:
    declared = [declare("good"), declare("bad", "crash"), declare("worse", "segfault"), declare("left-out", "omit")]
    found = {d.adapter_id: d for d in await describe_adapters(declared, namespace=namespace)}
    assert found["good"].available
    assert "exited with status 3" in str(found["bad"].reason) and "boom" in str(found["bad"].reason)
    assert "killed by signal 11" in str(found["worse"].reason)
    assert found["left-out"].reason == "its interpreter did not describe it"
    assert not any(found[name].available for name in ("bad", "worse", "left-out"))


@pytest.mark.parametrize("changes", [{"env": {"A=B": "x"}}, {"env": {"A": "x\0y"}}, {"python": "/bin/a\0b"}])
async def test_what_no_process_can_be_started_with_is_the_adapters_reason(
    namespace: Path, changes: dict[str, Any]
) -> None:
    bad, fine = await describe_adapters([declare("bad", **changes), declare("fine")], namespace=namespace)
    assert not bad.available and "cannot be started" in str(bad.reason)
    assert fine.available


async def test_what_keeps_an_interpreter_from_answering(namespace: Path) -> None:
    spec = AdapterSpec(adapter_id="gone", class_path="x.Y", feature="auto_rig", devices=["cuda"])
    declared = [
        DeclaredAdapter(spec=spec, python="/nowhere/python"),
        declare("bare", "no_msgspec", env={"A": "1"}),
        declare("nonsense", "nonsense", env={"A": "2"}),
    ]
    gone, bare, nonsense = await describe_adapters(declared, namespace=namespace)
    assert "/nowhere/python cannot be started" in str(gone.reason)
    assert (gone.feature, gone.devices) == ("auto_rig", ["cuda"])
    assert f"{sys.executable} -m pip install msgspec" in str(bare.reason)
    assert "no description" in str(nonsense.reason)


async def test_a_description_that_never_comes_is_given_up(namespace: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    declared = [declare("slow", "hang", config={"pid_file": str(pid_file)}), declare("quick", env={"A": "1"})]
    slow, quick = await describe_adapters(declared, timeout_s=2.0, namespace=namespace)
    assert quick.available
    assert slow.reason == f"{sys.executable} did not describe it within 2 s"
    await until(lambda: not alive(int(pid_file.read_text())))


async def test_a_daemon_started_at_import_holds_nothing_up(namespace: Path) -> None:
    (found,) = await describe_adapters([declare("d", "daemon")], timeout_s=10.0, namespace=namespace)
    assert found.available


async def test_a_daemon_that_left_the_group_at_import_holds_nothing_up_and_is_ended(
    namespace: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    daemon = declare("d", "daemon_of_its_own_session", config={"pid_file": str(pid_file)})
    (found,) = await describe_adapters([daemon], timeout_s=10.0, namespace=namespace)
    assert found.available
    await until(lambda: not alive(int(pid_file.read_text())))


async def test_nothing_declared_is_nothing_asked(namespace: Path) -> None:
    assert await describe_adapters([], namespace=namespace) == []


def test_the_agent_imports_neither_torch_nor_adapters_nor_the_driver() -> None:
    code = """
import importlib, pkgutil, sys
import pocket3d.gpu_agents
for module in pkgutil.walk_packages(pocket3d.gpu_agents.__path__, "pocket3d.gpu_agents."):
    importlib.import_module(module.name)
from pathlib import Path
import tempfile
from pocket3d.gpu_agents.workers.environment import link_namespace
with tempfile.TemporaryDirectory() as folder:
    link_namespace(Path(folder))
names = sorted(sys.modules)
foreign = ("torch", "pynvml", "trimesh", "numpy")
bad = [n for n in names if n.split(".")[0] in foreign or n.startswith("pocket3d.adapters")]
print(bad, "pocket3d.gpu_agents.workers.host" in names)
"""
    roots = component_roots("contracts", "bus", "gpu_agents", "adapters")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": roots}, check=False
    )
    assert done.stdout.strip() == "[] True", done.stderr
