"""`make bench`: echo jobs through everything, beside a plain two-hop JetStream pipeline, in one run.

Everything: nats-server, a coordinator, an agent and its worker process, each a process of its own. Jobs are published
and results timed by the same plain nats-py client for all. Figures are medians of rounds that alternate; on a shared
machine only the ratios mean something. Latency is that of one job at a time: at rest, when all processes together are
near idle, and straight after a burst, when acks and the server's clean-up of that burst are still on their way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / c) for c in ("contracts", "bus", "gpu_agents", "adapters", "coordinator", "ops", "tests")]

from support.fleet_processes import FleetProcesses, Part, until

if TYPE_CHECKING:
    from bench import plain_pipeline, scale
    from bench.processes import cpu_seconds, rss_mb, until_at_rest
else:
    sys.path.insert(0, str(HERE))
    import plain_pipeline
    import scale
    from processes import cpu_seconds, rss_mb, until_at_rest

WINDOW = 256


class Pipeline:
    """Publishes jobs on one subject and times the results that come on another."""

    def __init__(self, fleet: FleetProcesses, jobs: str, results: str) -> None:
        self.fleet = fleet
        self.jobs = jobs
        self.results = results
        self.done: dict[str, float] = {}
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.failed = 0

    async def listen(self) -> None:
        async def on_result(msg: Any) -> None:
            job_id = msg.subject.rsplit(".", 1)[1]
            if b'"status":"' in msg.data and b'"status":"succeeded"' not in msg.data:
                self.failed += 1
            self.done[job_id] = time.perf_counter()
            waiting = self.waiting.pop(job_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        await self.fleet.nc.subscribe(self.results, cb=on_result)
        await self.fleet.nc.flush()

    async def run_one(self, job_id: str) -> float:
        future = self.waiting[job_id] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        body = json.dumps({"job_id": job_id, "inputs": {"n": 1}}).encode()
        await self.fleet.js.publish(self.jobs.replace("ID", job_id), body, timeout=30)
        try:
            await asyncio.wait_for(future, 60)
        except asyncio.TimeoutError as error:
            raise TimeoutError(f"{self.jobs}: {job_id} has no result after 60 s") from error
        return self.done[job_id] - began

    async def throughput(self, prefix: str, jobs: int) -> float:
        """Jobs per second with `WINDOW` jobs in flight."""
        room = asyncio.Semaphore(WINDOW)

        async def one(n: int) -> None:
            async with room:
                await self.run_one(f"{prefix}-{n}")

        began = time.perf_counter()
        await asyncio.gather(*(one(n) for n in range(jobs)))
        return jobs / (time.perf_counter() - began)

    async def latency(self, prefix: str, jobs: int) -> list[float]:
        """Submit to result, seconds, one job at a time."""
        return [await self.run_one(f"{prefix}-{n}") for n in range(jobs)]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def pipelines(folder: Path, jobs: int, rounds: int) -> None:
    fleet = FleetProcesses(folder)
    await fleet.start()
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("plain", "pipelined"):
            await plain_pipeline.create(fleet.js, name)
            command = [sys.executable, str(HERE / "plain_pipeline.py"), fleet.url, name]
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
            workers.append(worker)
            assert worker.stdout is not None
            await asyncio.to_thread(worker.stdout.readline)
        config = {"vram_requirement": 16, "max_concurrent": 64}
        models = fleet.models("models", {"echo": {"class": "pocket3d.adapters.echo.EchoAdapter", "config": config}})
        quiet = {"POCKET3D_WORKER_JOURNAL": ""}
        coordinator = fleet.coordinator(**quiet)
        agent = fleet.agent("bench", "cpu:4096", models, **quiet)
        await fleet.until_led(agents=1, timeout=60)
        ours = Pipeline(fleet, "p3d.jobs.normal.echo", "p3d.results.echo.*")
        plain = Pipeline(fleet, "plain.jobs.ID", "plain.results.*")
        pipelined = Pipeline(fleet, "pipelined.jobs.ID", "pipelined.results.*")
        everything = {"plain": plain, "pipelined": pipelined, "ours": ours}
        for pipeline in everything.values():
            await pipeline.listen()
            await pipeline.throughput("warm", 64)
        rates: dict[str, list[float]] = {name: [] for name in everything}
        delays: dict[str, list[float]] = {name: [] for name in everything}
        after_burst: dict[str, list[float]] = {name: [] for name in everything}
        for n in range(rounds):
            for name, pipeline in everything.items():
                await until_at_rest()
                rates[name].append(await pipeline.throughput(f"t{n}", jobs))
                after_burst[name] += await pipeline.latency(f"b{n}", 200)
            await until_at_rest()
            for name, pipeline in everything.items():
                delays[name] += await pipeline.latency(f"l{n}", 200)
        assert ours.failed == 0, f"{ours.failed} jobs did not succeed"
        rate = {name: statistics.median(values) for name, values in rates.items()}
        p50 = {name: percentile(values, 0.50) * 1000 for name, values in delays.items()}
        p99 = {name: percentile(values, 0.99) * 1000 for name, values in delays.items()}
        p50_after = {name: percentile(values, 0.50) * 1000 for name, values in after_burst.items()}
        print(f"{rounds} rounds of {jobs} jobs, {WINDOW} in flight; latency one by one, {200 * rounds} jobs each")
        print(f"{'':22}{'plain':>9}{'pipelined':>11}{'pocket3d':>10}   ratio to plain   to reach")
        for label, row, digits, aim in (
            ("jobs/s", rate, 0, ">= 0.3"),
            ("p50 at rest, ms", p50, 2, "<= 4"),
            ("p99 at rest, ms", p99, 2, ""),
            ("p50 after a burst, ms", p50_after, 2, ""),
        ):
            ratio = row["ours"] / row["plain"]
            cells = f"{row['plain']:9.{digits}f}{row['pipelined']:11.{digits}f}{row['ours']:10.{digits}f}"
            print(f"{label:22}{cells}{ratio:17.2f}   {aim}")
        print(f"memory after it, MB: coordinator {rss_mb(coordinator.pid):.0f}, agent {rss_mb(agent.pid):.0f}")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()
        await fleet.stop()


def tree(part: Part) -> list[psutil.Process]:
    return [psutil.Process(part.pid), *part.children()]


async def idle(folder: Path, seconds: float) -> None:
    """CPU and memory of `pocket3d up` with nothing to do."""
    fleet = FleetProcesses(folder)
    env = fleet.env()
    up = Part(
        "up",
        [
            "up",
            "--port",
            "0",
            "--store",
            str(folder / "idle"),
            "--devices",
            "cpu:4096",
            "--no-contexts",
            "--no-gateway",
        ],
        env,
        folder,
    )
    try:
        await until(lambda: "ready nats://" in up.log.read_text(), 60, "up to be ready")
        await asyncio.sleep(3)  # what starting costs is not idling

        before = cpu_seconds(tree(up))
        await asyncio.sleep(seconds)
        after = cpu_seconds(tree(up))
        names = {p.pid: " ".join(p.cmdline())[-60:] for p in tree(up)}
        share = sum(after[pid] - before.get(pid, 0) for pid in after) / seconds
        print(f"idle `pocket3d up`: {100 * share:.2f} % of a core over {seconds:.0f} s   to reach < 3")
        for process in tree(up):
            used = 100 * (after.get(process.pid, 0) - before.get(process.pid, 0)) / seconds
            print(f"  {rss_mb(process.pid):6.0f} MB {used:5.2f} %  {names.get(process.pid, '')}")
    finally:
        await up.terminate()


async def backlog(folder: Path, jobs: int) -> None:
    """The coordinator's memory under a backlog that nobody can take."""
    fleet = FleetProcesses(folder)
    await fleet.start()
    try:
        coordinator = fleet.coordinator()
        await fleet.until_led(timeout=60)
        before = rss_mb(coordinator.pid)
        began = time.perf_counter()
        for n in range(jobs):
            body = json.dumps({"job_id": f"b-{n}", "inputs": {}}).encode()
            await fleet.nc.publish("p3d.jobs.normal.echo", body)
            if n % 500 == 0:
                await fleet.nc.flush()

        async def read() -> bool:
            return await fleet.messages("P3D_EVENTS") >= jobs

        await until(read, 300, "all jobs queued")
        took = time.perf_counter() - began
        after = rss_mb(coordinator.pid)
        print(
            f"backlog of {jobs} jobs: coordinator {before:.0f} -> {after:.0f} MB "
            f"({(after - before) * 2**20 / jobs:.0f} bytes a job), queued in {took:.1f} s"
        )
    finally:
        await fleet.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3, help="of the pipelines; 0 to skip")
    parser.add_argument("--idle", type=float, default=20, help="seconds to watch an idle system; 0 to skip")
    parser.add_argument("--backlog", type=int, default=100_000, help="queued jobs; 0 to skip")
    parser.add_argument("--scale", default="1000,10000,100000,200000", help="queued jobs of each row; empty to skip")
    parser.add_argument("--scale-seconds", type=float, default=15, help="for how long each row counts results")
    arguments = parser.parse_args()

    def fresh() -> Path:
        return Path(tempfile.mkdtemp(prefix="pocket3d-bench-"))

    if arguments.rounds:
        asyncio.run(pipelines(fresh(), arguments.jobs, arguments.rounds))
    if arguments.idle:
        asyncio.run(idle(fresh(), arguments.idle))
    if arguments.backlog:
        asyncio.run(backlog(fresh(), arguments.backlog))
    rows: list[scale.Row] = []
    for queued in filter(None, arguments.scale.split(",")):
        rows.append(asyncio.run(scale.measure(fresh(), int(queued), arguments.scale_seconds)))
        print(scale.table(rows), flush=True)


if __name__ == "__main__":
    main()
