"""`kill -9` of the agent: its workers and their children are gone within 5 s, even those that would rather stay."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from .conftest import Workers, alive, until


def component_roots(*names: str) -> str:
    found = [importlib.util.find_spec(f"pocket3d.{name}") for name in names]
    return os.pathsep.join(str(Path(str(spec.origin)).parents[2]) for spec in found if spec is not None)


@pytest.mark.parametrize("child", ["child", "daemon"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_nothing_outlives_the_agent(tmp_path: Path, namespace: Path, how: signal.Signals, child: str) -> None:
    script = Path(__file__).with_name("agent_process.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), str(namespace), "3", child],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": component_roots("contracts", "gpu_agents")},
    ) as agent:
        assert agent.stdout is not None
        workers = json.loads(agent.stdout.readline())
        pids = [pid for pair in workers.values() for pid in pair]
        guardians = [p.pid for p in psutil.Process(agent.pid).children() if p.pid not in pids]
        assert len(pids) == 6 and len(guardians) == 1
        assert all(alive(pid) for pid in [*pids, *guardians])
        agent.send_signal(how)
        agent.wait()
        await until(lambda: not any(alive(pid) for pid in [*pids, *guardians]), deadline_s=5.0)


async def test_a_guardian_that_is_killed_is_replaced(workers: Workers) -> None:
    own = psutil.Process()
    # A server that another module's fixture started may be a child of this process too.
    others = {child.pid for child in own.children()}
    await workers.start("a")
    (guardian,) = [p for p in own.children() if p.pid not in {*workers.pids, *others}]
    guardian.kill()
    await until(lambda: not alive(guardian.pid))
    await workers.start("b")
    (fresh,) = [p for p in own.children() if p.pid not in {*workers.pids, *others, guardian.pid}]
    # The new one knows both: without the agent's goodbye it ends both.
    fresh_pids = list(workers.pids)
    assert all(alive(pid) for pid in fresh_pids)
    await workers.host._guardian.aclose()
    await until(lambda: not any(alive(pid) for pid in fresh_pids))
    await until(lambda: len(workers.exits()) == 2)
    assert {told.returncode for told in workers.exits()} == {-signal.SIGKILL}
    assert not alive(fresh.pid)
