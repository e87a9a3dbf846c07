"""The host with the real worker entry point, through the import root that an agent makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.contracts.worker_frames import (
    AdapterSpec,
    CancelRun,
    Hello,
    ModelLoaded,
    RunFailed,
    RunFinished,
    RunJob,
    Shutdown,
)
from pocket3d.gpu_agents.devices.spec import fixed_devices, parse_devices
from pocket3d.gpu_agents.io.describe import DeclaredAdapter, describe_adapters
from pocket3d.gpu_agents.workers import WorkerExit, WorkerHost, WorkerLaunch

from .conftest import until

ECHO = AdapterSpec(adapter_id="echo", class_path="pocket3d.adapters.echo.EchoAdapter")


async def test_an_adapter_is_described_runs_is_cancelled_and_shuts_down(tmp_path: Path) -> None:
    broken = AdapterSpec(adapter_id="broken", class_path="nowhere.Model")
    found = await describe_adapters([DeclaredAdapter(spec=ECHO), DeclaredAdapter(spec=broken)])
    assert [(d.adapter_id, d.available) for d in found] == [("echo", True), ("broken", False)]
    assert found[0].feature == "echo" and "nowhere" in str(found[1].reason)

    frames: list[Any] = []
    exits: list[WorkerExit] = []
    host = WorkerHost(tmp_path / "host", "agent-1")
    (device,) = fixed_devices(parse_devices("fixed:1000").fixed, None)
    launch = WorkerLaunch(spec=ECHO, device=device, vram_mb=16, work_dir=str(tmp_path / "work"))

    def job(run_id: str, **inputs: Any) -> RunJob:
        folder = tmp_path / run_id
        (folder / "out").mkdir(parents=True)
        return RunJob(
            run_id=run_id,
            job_id=run_id,
            attempt=1,
            feature="echo",
            inputs=inputs,
            job_dir=str(folder),
            output_dir=str(folder / "out"),
        )

    def ended(run_id: str) -> Any:
        return next((f for f in frames if isinstance(f, RunFinished | RunFailed) and f.run_id == run_id), None)

    try:
        pid = await host.start("w", launch, lambda _, frame: frames.append(frame), exits.append)
        await until(lambda: any(isinstance(f, ModelLoaded) for f in frames))
        assert isinstance(frames[0], Hello) and frames[0].pid == pid
        assert await host.send("w", job("quick", x=1))
        assert await host.send("w", job("long", sleep_s=60))
        await until(lambda: ended("quick"))
        assert ended("quick").outputs["success"] is True
        assert await host.send("w", CancelRun(run_id="long"))
        await until(lambda: ended("long"))
        assert ended("long").code == "cancelled"
        assert await host.send("w", Shutdown())
        await until(lambda: exits)
        assert (exits[0].returncode, exits[0].asked) == (0, True), exits[0].message
    finally:
        await host.aclose(grace_s=1.0)
