"""A worker host whose workers are `fake_worker.py`, and a record of what they say."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pocket3d.contracts.worker_frames import AdapterSpec, ModelLoaded, RunFinished, RunJob
from pocket3d.gpu_agents.devices.spec import DeviceSpec, fixed_devices, parse_devices
from pocket3d.gpu_agents.workers import WorkerExit, WorkerHost, WorkerLaunch

DEADLINE_S = 20.0


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Poll until it holds; fail when it does not in time."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture
def namespace(tmp_path: Path) -> Path:
    """The import root of workers: our contracts and the fake worker."""
    root = tmp_path / "fake-namespace"
    (root / "pocket3d" / "adapters").mkdir(parents=True)
    # A regular package: it wins over the real one of an environment in which the project is installed.
    (root / "pocket3d" / "adapters" / "__init__.py").touch()
    contracts = importlib.util.find_spec("pocket3d.contracts")
    assert contracts is not None and contracts.submodule_search_locations
    (root / "pocket3d" / "contracts").symlink_to(contracts.submodule_search_locations[0])
    shutil.copy(Path(__file__).with_name("fake_worker.py"), root / "pocket3d" / "adapters" / "worker.py")
    return root


class Workers:
    """The host, and all frames and exits in the order they came."""

    def __init__(self, host: WorkerHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.story: list[Any] = []
        self.pids: list[int] = []
        (self.device,) = fixed_devices(parse_devices("fixed:4000").fixed, None)

    def launch(self, name: str = "w", **changes: Any) -> WorkerLaunch:
        spec = AdapterSpec(adapter_id="fake", class_path="x.Y", config=changes.pop("config", {}))
        device: DeviceSpec = changes.pop("device", self.device)
        return WorkerLaunch(spec=spec, device=device, vram_mb=7, work_dir=str(self.folder / "run" / name), **changes)

    async def start(self, name: str = "w", *, loaded: bool = True, **changes: Any) -> int | None:
        pid = await self.host.start(name, self.launch(name, **changes), self.on_frame, self.story.append)
        if pid is not None:
            self.pids.append(pid)
        if loaded:
            await until(lambda: self.seen(ModelLoaded, name))
        return pid

    def on_frame(self, worker_id: str, frame: Any) -> None:
        self.story.append((worker_id, frame))

    def seen(self, kind: type, name: str = "w") -> list[Any]:
        pairs = (entry for entry in self.story if isinstance(entry, tuple))
        return [frame for worker, frame in pairs if worker == name and isinstance(frame, kind)]

    def exits(self) -> list[WorkerExit]:
        return [entry for entry in self.story if isinstance(entry, WorkerExit)]

    async def send(self, do: str, name: str = "w", run: str = "r1", **inputs: Any) -> bool:
        job = RunJob(
            run_id=run,
            job_id=f"job-{run}",
            attempt=2,
            feature="echo",
            inputs={"do": do, **inputs},
            job_dir="",
            output_dir="",
        )
        return await self.host.send(name, job)

    async def run(self, do: str, name: str = "w", run: str = "r1", **inputs: Any) -> dict[str, Any]:
        assert await self.send(do, name, run, **inputs)
        await until(lambda: any(f.run_id == run for f in self.seen(RunFinished, name)))
        return next(f.outputs for f in self.seen(RunFinished, name) if f.run_id == run)

    async def exit(self) -> WorkerExit:
        await until(self.exits)
        return self.exits()[0]


@pytest.fixture
async def workers(tmp_path: Path, namespace: Path) -> AsyncIterator[Workers]:
    host = WorkerHost(tmp_path / "host", "agent-1", namespace=namespace)
    held = Workers(host, tmp_path)
    yield held
    await host.aclose(grace_s=0.2)
    # Whatever a test did: all exits were told once, and nothing of any group is left.
    told_pids = [told.pid for told in held.exits() if told.pid is not None]
    assert len(told_pids) == len(set(told_pids))
    for pid in held.pids:
        assert pid in {told.pid for told in held.exits()}
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        members = [p.pid for p in psutil.process_iter() if alive(p.pid) and os.getpgid(p.pid) == pid]
        assert members == []
