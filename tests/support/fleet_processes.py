"""A real fleet for end-to-end tests: nats-server, coordinators and agents, each a process of its own.

The observer is a plain nats-py client: what the tests count does not go through our own library.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.js.api import ConsumerConfig, DeliverPolicy

from pocket3d.bus.nats_server.embedded import EmbeddedServer
from support.server_cluster import ServerCluster

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("contracts", "bus", "gpu_agents", "adapters", "coordinator", "ops")
#: Leases that fit a test: a lost agent is noticed in seconds.
QUICK = {
    "POCKET3D_COORDINATOR_AGENT_LEASE_S": "6",
    "POCKET3D_COORDINATOR_LEADER_LEASE_S": "2",
    "POCKET3D_COORDINATOR_LEADER_RENEW_S": "0.5",
}


async def until(condition: Callable[[], Any], timeout: float, what: str = "the condition") -> Any:
    """Poll until `condition()` (or its awaited answer) is true; its value."""
    began = time.monotonic()
    deadline = began + timeout
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        # What takes long is asked for less often: asking costs the servers and this process.
        await asyncio.sleep(min(0.2, max(0.02, (time.monotonic() - began) / 20)))


class Part:
    """One process of the fleet."""

    def __init__(self, name: str, arguments: list[str], env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pocket3d.ops.cli", *arguments],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """All processes below it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    async def terminate(self, timeout: float = 30) -> int:
        """SIGTERM, and wait for the end; the exit code."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, timeout)


class FleetProcesses:
    """Server, coordinators, agents and a plain observer."""

    def __init__(self, folder: Path, cluster: ServerCluster | None = None) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.mkdir()
        self.server: EmbeddedServer | ServerCluster = cluster or EmbeddedServer(folder / "store", port=0)
        self.parts: list[Part] = []
        self.nc: Any = None
        self.js: Any = None
        self._numbers: dict[str, int] = {}

    @property
    def url(self) -> str:
        return self.server.url

    async def start(self) -> None:
        await self.server.start()
        self.nc = await nats.connect(self.url.split(","), max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        self.js = self.nc.jetstream()

    async def restart_server(self) -> None:
        """kill -9 and start again on the same port and store."""
        assert isinstance(self.server, EmbeddedServer)
        port = self.server.port
        await self.server.kill()
        self.server = EmbeddedServer(self.folder / "store", port=port)
        await self.server.start()

    def env(self, **more: str) -> dict[str, str]:
        paths = [str(ROOT / c) for c in COMPONENTS] + [str(ROOT / "tests"), str(ROOT / "tests" / "support")]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("POCKET3D_", "NATS_"))}
        return {
            **kept,
            **QUICK,
            "PYTHONPATH": os.pathsep.join(paths),
            "POCKET3D_WORKER_JOURNAL": str(self.journal),
            "POCKET3D_STATE": str(self.folder / "state"),
            **more,
        }

    def _part(self, kind: str, arguments: list[str], env: dict[str, str]) -> Part:
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        part = Part(f"{kind}-{number}", arguments, env, self.folder)
        self.parts.append(part)
        return part

    def coordinator(self, *arguments: str, **env: str) -> Part:
        return self._part("coordinator", ["coordinator", "-s", self.url, *arguments], self.env(**env))

    def agent(
        self, agent_id: str, devices: str, models: Path | None = None, *, server: str | None = None, **env: str
    ) -> Part:
        """An agent; `server` is another way to the server than the straight one."""
        arguments = ["agent", "-s", server or self.url, "--agent-id", agent_id, "--devices", devices]
        if models is not None:
            arguments += ["--models", str(models)]
        return self._part(f"agent-{agent_id}", arguments, self.env(**env))

    def models(self, name: str, adapters: dict[str, dict[str, Any]], *, builtins: bool = False) -> Path:
        """Write a models.yaml (JSON is YAML)."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"adapters": adapters, "builtins": builtins}))
        return path

    # -- asking and counting, with plain nats-py

    async def ask(self, verb: str, body: dict[str, Any] | None = None, timeout: float = 3) -> dict[str, Any]:
        answer = await self.nc.request(f"p3d.api.{verb}", json.dumps(body or {}).encode(), timeout=timeout)
        return dict(json.loads(answer.data))

    async def until_led(self, agents: int = 0, timeout: float = 30) -> None:
        """Wait until a leader answers and has heard that many agents."""

        async def led() -> bool:
            with contextlib.suppress(Exception):
                found = (await self.ask("agents", timeout=1))["agents"]
                return len([a for a in found if a.get("adapters")]) >= agents
            return False

        await until(led, timeout, f"a leader with {agents} agents")

    async def submit(self, feature: str, body: dict[str, Any], priority: str = "normal") -> None:
        """Publish bare JSON; repeated until the stream has it (the server may be down)."""
        headers = {"Nats-Msg-Id": body["job_id"]} if "job_id" in body else {}
        for _ in range(100):
            try:
                await self.js.publish(
                    f"p3d.jobs.{priority}.{feature}", json.dumps(body).encode(), headers=dict(headers), timeout=2
                )
                return
            except Exception:  # noqa: BLE001  - whatever a dying server answers, the same id is sent again
                await asyncio.sleep(0.1)
        raise AssertionError("the job could not be published")

    async def results(self) -> list[dict[str, Any]]:
        """Everything in the results stream, from sequence 1."""
        return [json.loads(data) for _, data in await self.read_stream("P3D_RESULTS")]

    async def read_stream(self, stream: str, subject: str = ">") -> list[tuple[str, bytes]]:
        """All messages of a stream, in order, through an ephemeral consumer."""
        info = await self.js.stream_info(stream)
        if info.state.messages == 0:
            return []
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, filter_subject=subject, inactive_threshold=30)
        subscription = await self.js.pull_subscribe(subject, stream=stream, config=config)
        found: list[tuple[str, bytes]] = []
        try:
            while True:
                pending = (await subscription.consumer_info()).num_pending
                if not pending:
                    return found
                for msg in await subscription.fetch(min(pending, 500), timeout=5):
                    found.append((msg.subject, msg.data))
                    await msg.ack()
        finally:
            await subscription.unsubscribe()

    async def messages(self, stream: str) -> int:
        return int((await self.js.stream_info(stream)).state.messages)

    async def until_results(self, count: int, timeout: float) -> list[dict[str, Any]]:
        """Wait for that many results in the stream, then read them."""

        async def enough() -> bool:
            with contextlib.suppress(Exception):
                return await self.messages("P3D_RESULTS") >= count
            return False

        await until(enough, timeout, f"{count} results")
        return await self.results()

    async def result_of(self, job_id: str, timeout: float = 30) -> dict[str, Any]:
        """Wait for a job's result."""

        async def stored() -> dict[str, Any] | None:
            found = await self.read_stream("P3D_RESULTS", f"p3d.results.*.{job_id}")
            return json.loads(found[-1][1]) if found else None

        return dict(await until(stored, timeout, f"the result of {job_id}"))

    async def until_status(self, job_id: str, word: str, timeout: float = 20) -> dict[str, Any]:
        """Wait until the leader says that a job stands there; the status."""

        async def said() -> dict[str, Any] | None:
            status = await self.ask("status", {"job_id": job_id})
            return status if status.get("status") == word else None

        return dict(await until(said, timeout, f"{job_id} {word}"))

    async def story_of(self, job_id: str) -> list[str]:
        """The last tokens of a job's events, in order."""
        found = await self.read_stream("P3D_EVENTS", f"p3d.events.*.{job_id}.*")
        return [subject.rsplit(".", 1)[1] for subject, _ in found]

    def running_pids(self) -> dict[int, int]:
        """Live worker pid -> runs that it has begun and not ended, by the workers' own records."""
        running: dict[int, int] = {}
        for path in self.journal.glob("*.jsonl"):
            pid = int(path.stem)
            if not psutil.pid_exists(pid):
                continue
            open_runs: set[str] = set()
            for line in path.read_text().splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    record = json.loads(line)
                    if record["event"] == "run_start":
                        open_runs.add(record["run_id"])
                    elif record["event"] == "run_end":
                        open_runs.discard(record["run_id"])
            if open_runs:
                running[pid] = len(open_runs)
        return running

    async def stop(self) -> None:
        leftovers: list[psutil.Process] = []
        for part in reversed(self.parts):
            leftovers += part.children()
            if part.alive:
                part.process.send_signal(signal.SIGTERM)
                part.process.send_signal(signal.SIGCONT)
        for part in self.parts:
            try:
                await asyncio.to_thread(part.process.wait, 30)
            except subprocess.TimeoutExpired:
                part.kill()
        await self.nc.close()
        await self.server.stop()
        _, alive = psutil.wait_procs(leftovers, timeout=5)
        for process in alive:
            process.kill()
        assert not alive, f"processes left over: {alive}"


@contextlib.asynccontextmanager
async def fleet_processes(folder: Path) -> AsyncIterator[FleetProcesses]:
    """A started server and observer; everything is ended at exit."""
    fleet = FleetProcesses(folder)
    await fleet.start()
    try:
        yield fleet
    except BaseException:
        for part in fleet.parts:
            with contextlib.suppress(OSError):
                tail = part.log.read_text(errors="replace").splitlines()[-25:]
                print(f"---- {part.name} (exit {part.process.poll()})", *tail, sep="\n")
        raise
    finally:
        await fleet.stop()
