"""An agent reduced to its worker host, to be killed: starts workers, has each start a child, prints all process ids."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import structlog

from pocket3d.contracts.worker_frames import AdapterSpec, ModelLoaded, RunFinished, RunJob
from pocket3d.gpu_agents.devices.spec import fixed_devices, parse_devices
from pocket3d.gpu_agents.workers import WorkerHost, WorkerLaunch


async def main(root: Path, namespace: Path, workers: int, do: str) -> None:
    host = WorkerHost(root, "doomed", namespace=namespace)
    (device,) = fixed_devices(parse_devices("fixed:1000").fixed, None)
    pids: dict[str, Any] = {}
    everything = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_frame(worker_id: str, frame: Any) -> None:
        if isinstance(frame, ModelLoaded):
            job = RunJob(
                run_id="r", job_id="j", attempt=1, feature="echo", inputs={"do": do}, job_dir="", output_dir=""
            )
            held.add(loop.create_task(host.send(worker_id, job)))
        if isinstance(frame, RunFinished):
            pids[worker_id] = [host.pid(worker_id), frame.outputs["child"]]
            if len(pids) == workers:
                everything.set()

    held: set[asyncio.Task[bool]] = set()
    for number in range(workers):
        name = f"w{number}"
        launch = WorkerLaunch(
            spec=AdapterSpec(adapter_id="fake", class_path="x.Y"),
            device=device,
            vram_mb=1,
            env={"FAKE_STUBBORN": "1"},
            work_dir=str(root / name),
        )
        await host.start(name, launch, on_frame, lambda told: print(told, file=sys.stderr))
    await everything.wait()
    print(json.dumps(pids), flush=True)
    await asyncio.Event().wait()


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
