"""Real worker processes on the GPU, spoken to as an agent does; and what the fleet's tests say of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocket3d.adapters.kit.checked_process import CheckedWorker
from pocket3d.contracts.worker_frames import AdapterSpec, ModelLoaded, RunFinished
from support.fleet_processes import FleetProcesses, until

from .card import HERE, Card, environment

GPU_MODEL = "gpu_models.GpuModel"


def declared(vram_mb: int, hold_mb: int = 64, **more: Any) -> dict[str, Any]:
    """An entry of models.yaml."""
    config = {"vram_requirement": vram_mb, "hold_mb": hold_mb, **more}
    return {"class": GPU_MODEL, "path": [str(HERE / "models")], "config": config}


class GpuWorker(CheckedWorker):
    """A worker that sees the card."""

    def __init__(self, card: Card, folder: Path) -> None:
        super().__init__(sys.executable, environment(card.uuid), folder)

    def __enter__(self) -> GpuWorker:
        return self

    def hold(self, hold_mb: int, vram_mb: int) -> ModelLoaded:
        """Load a model that holds so much."""
        config = {"hold_mb": hold_mb, "vram_requirement": vram_mb}
        answer = self.load(AdapterSpec(adapter_id="g", class_path=GPU_MODEL, config=config), "cuda", vram_mb, 60)
        assert isinstance(answer, ModelLoaded), answer
        return answer

    def finished(self, run_id: str, **inputs: Any) -> RunFinished:
        """Run a request to its good end."""
        self.run(run_id, "gpu_test", inputs)
        end = self.end(run_id, 60)
        assert isinstance(end, RunFinished), end
        return end


def seconds_until(condition: Callable[[], bool], within: float) -> float:
    """How long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within, f"not within {within} s"
        time.sleep(0.02)
    return round(time.monotonic() - started, 2)


async def started(fleet: FleetProcesses, adapters: dict[str, dict[str, Any]]) -> None:
    """A coordinator and one agent with all GPUs and these adapters."""
    fleet.coordinator()
    fleet.agent("gpu-host", "nvml", fleet.models("models", adapters))
    await fleet.until_led(agents=1, timeout=60)


async def outcome(fleet: FleetProcesses, job_id: str, timeout: float = 60, **inputs: Any) -> dict[str, Any]:
    """Submit a job that is tried once, or as `retry` says, and wait for its result."""
    retry = inputs.pop("retry", {"max_attempts": 1})
    preference = inputs.pop("adapter", None)
    body = {"job_id": job_id, "inputs": inputs, "retry": retry, "model_preference": preference}
    await fleet.submit("gpu_test", body)
    return await fleet.result_of(job_id, timeout=timeout)


async def device_of(fleet: FleetProcesses) -> dict[str, Any]:
    """The agent's first device, as its record says."""
    agents = (await fleet.ask("agents"))["agents"]
    found: dict[str, Any] = agents[0]["devices"][0]
    return found


async def running(fleet: FleetProcesses, job_id: str) -> None:
    """Wait until a job runs."""
    await fleet.until_status(job_id, "running", timeout=60)
    await until(lambda: bool(fleet.running_pids()), 30, f"a worker that runs {job_id}")
