"""The GPU under test, and programs that look at it in processes of their own: this one never opens CUDA."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pocket3d.gpu_agents.devices.probes.nvml import NvmlProbe, NvmlUnavailableError
from pocket3d.gpu_agents.devices.probes.port import Reading

REHEARSAL = os.environ.get("GPU_SUITE_REHEARSAL") == "1"
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
COMPONENTS = ("contracts", "bus", "gpu_agents", "adapters", "coordinator", "ops")


class Card(NamedTuple):
    """One GPU."""

    uuid: str
    name: str
    total_mb: int
    driver: str
    #: False in a rehearsal.
    real: bool

    def reading(self) -> Reading:
        """What the driver says of it now, by the agent's own probe."""
        probe = NvmlProbe()
        try:
            return probe.read()[self.uuid]
        finally:
            probe.close()


def find_card() -> Card:
    """The GPU; the test is skipped where there is none."""
    try:
        probe = NvmlProbe()
    except NvmlUnavailableError as error:
        pytest.skip(f"no GPU: {error}")
    try:
        if not probe.gpus:
            pytest.skip("the driver shows no GPU")
        gpu = probe.gpus[0]
    finally:
        probe.close()
    return Card(gpu.uuid, gpu.name, gpu.total_mb, _driver(), not REHEARSAL)


def _driver() -> str:
    if REHEARSAL:
        return "a stand-in"
    import pynvml

    pynvml.nvmlInit()
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def environment(visible: str | None = None, **more: str) -> dict[str, str]:
    """For a process that imports Pocket3DStudio and the models of these tests."""
    path = [*(str(ROOT / each) for each in COMPONENTS), str(ROOT / "tests"), str(HERE / "models")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POCKET3D_", "NATS_"))}
    if visible is not None:
        kept["CUDA_VISIBLE_DEVICES"] = visible
    return {**kept, "PYTHONPATH": os.pathsep.join(path), **more}


def program(name: str, *arguments: str, visible: str | None = None, timeout: float = 50, **more: str) -> dict[str, Any]:
    """Run one of `models/*.py` with arguments; the JSON of its last line."""
    ran = run_program([sys.executable, str(HERE / "models" / f"{name}.py"), *arguments], visible, timeout, more)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def run_program(
    command: list[str], visible: str | None, timeout: float, more: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command, and keep what it printed."""
    env = environment(visible, **more)
    timeout = 300 if REHEARSAL else timeout
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, check=False)
