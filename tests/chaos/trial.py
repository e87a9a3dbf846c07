"""One trial: a fleet under load whose parts are killed and started again, and the count at its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nats.errors import Error as NatsError

from support.fleet_processes import FleetProcesses, Part, until
from support.server_cluster import ServerCluster

_AGENTS = 3
_COORDINATORS = 2
#: Outputs that no result names are removed after so long, seconds.
_GRACE_S = 20.0
_KINDS = ("worker", "agent", "leader", "standby", "server")


class Trial:
    """A fleet, its load and its chaos.

    Args:
        folder: for stores, logs and the agents' files.
        jobs: published evenly over the time of the kills.
        seconds: for so long something is killed every 1 to 5 s.
        servers: 1, or 3 for a cluster.
        seed: of all chance.
    """

    def __init__(self, folder: Path, *, jobs: int, seconds: float, servers: int, seed: int) -> None:
        self.cluster = ServerCluster(folder / "servers") if servers == 3 else None
        self.fleet = FleetProcesses(folder, self.cluster)
        self.jobs = jobs
        self.seconds = seconds
        self.chance = random.Random(seed)
        self.ids: list[str] = []
        self.killed: Counter[str] = Counter()
        self.agents: dict[str, Part] = {}
        self.coordinators: list[Part] = []
        self._starts: set[asyncio.Task[None]] = set()
        self._models = Path()

    async def run(self) -> list[str]:
        """All of it; what is wrong in the end, in words."""
        await self.fleet.start()
        try:
            adapter = {
                "class": "writing_echo.WritingEcho",
                "path": [str(Path(__file__).parents[1] / "support")],
                "config": {"vram_requirement": 1000, "max_concurrent": 4},
            }
            self._models = self.fleet.models("models", {"writing-echo": adapter})
            for _ in range(_COORDINATORS):
                self._coordinator()
            for number in range(_AGENTS):
                self._agent(f"gpu-{number}")
            await self.fleet.until_led(agents=_AGENTS, timeout=120)
            ends_at = time.monotonic() + self.seconds
            await asyncio.gather(self._publish(), self._kill(ends_at))
            await asyncio.gather(*self._starts)
            began = time.monotonic()
            wrong = []
            try:
                await self.fleet.until_results(len(self.ids), timeout=max(300.0, self.seconds))
                print(f"the last result came {max(time.monotonic() - began, 0.0):.0f} s after the last kill")
            except AssertionError as error:
                wrong.append(str(error))
            return wrong + await self._count()
        finally:
            # A server that starts while the fleet stops would be left over.
            for task in self._starts:
                task.cancel()
            await asyncio.gather(*self._starts, return_exceptions=True)
            await self.fleet.stop()

    # -- the parts

    def _coordinator(self) -> None:
        arguments = ["--topology", "replicas=3"] if self.cluster is not None else []
        grace = {"POCKET3D_COORDINATOR_ORPHAN_GRACE_S": str(int(_GRACE_S))}
        self.coordinators.append(self.fleet.coordinator(*arguments, **grace))

    def _agent(self, agent_id: str) -> None:
        self.agents[agent_id] = self.fleet.agent(agent_id, "fixed:4000,4000", self._models)

    # -- the load

    async def _publish(self) -> None:
        pause = self.seconds / self.jobs
        due = time.monotonic()
        pending: set[asyncio.Task[None]] = set()
        for number in range(self.jobs):
            body = {
                "job_id": f"chaos-{number:05d}",
                "inputs": {"sleep_s": round(self.chance.uniform(0.1, 2.0), 2), "name": f"chaos-{number:05d}"},
                "retry": {"max_attempts": 60, "initial_s": 0.1, "cap_s": 1},
            }
            self.ids.append(str(body["job_id"]))
            task = asyncio.ensure_future(self.fleet.submit("echo", body))
            pending.add(task)
            task.add_done_callback(pending.discard)
            due += pause
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
        await asyncio.gather(*pending)

    # -- the chaos

    async def _kill(self, ends_at: float) -> None:
        while time.monotonic() < ends_at:
            await asyncio.sleep(self.chance.uniform(1.0, 5.0))
            kind = self.chance.choice(_KINDS)
            if await self._strike(kind):
                self.killed[kind] += 1

    async def _strike(self, kind: str) -> bool:
        """Kill one of that kind; false if there is none now."""
        if kind == "server":
            return await self._kill_server()
        if kind == "worker":
            running = sorted(self.fleet.running_pids())
            if not running:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(running), signal.SIGKILL)
            return True
        if kind == "agent":
            agent_id = self.chance.choice(sorted(self.agents))
            self.agents[agent_id].kill()
            self._agent(agent_id)
            return True
        leader = await self._leader()
        if leader is None:
            return False
        victims = [each for each in self.coordinators if (each.pid == leader) == (kind == "leader")]
        if not victims:
            return False
        victim = self.chance.choice(victims)
        self.coordinators.remove(victim)
        victim.kill()
        self._coordinator()
        return True

    async def _leader(self) -> int | None:
        with contextlib.suppress(NatsError, asyncio.TimeoutError):
            bucket = await self.fleet.js.key_value("P3D_LEADER")
            entry = await bucket.get("leader")
            return int(json.loads(entry.value)["pid"])
        return None

    async def _kill_server(self) -> bool:
        if self.cluster is None:
            await self.fleet.restart_server()
            return True
        up = self.cluster.up
        if len(up) < 3:
            # The other two are the quorum.
            return False
        number = self.chance.choice(up)
        self.cluster.kill_one(number)
        self._starts.add(asyncio.ensure_future(self._start_again(self.cluster, number)))
        return True

    async def _start_again(self, cluster: ServerCluster, number: int) -> None:
        await asyncio.sleep(self.chance.uniform(0.5, 3.0))
        cluster.start_one(number)

    # -- the count

    async def _count(self) -> list[str]:
        wrong: list[str] = []
        results = await self.fleet.results()
        by_id = Counter(result["job_id"] for result in results)
        lost = [job_id for job_id in self.ids if not by_id[job_id]]
        twice = [job_id for job_id, count in by_id.items() if count > 1]
        unwell = [(r["job_id"], r["status"], r["error"]) for r in results if r["status"] != "succeeded"]
        attempts = Counter(result["attempt"] for result in results)
        wrong += [f"{len(lost)} jobs were lost: {lost[:5]}"] if lost else []
        wrong += [f"{len(twice)} jobs have two results: {twice[:5]}"] if twice else []
        wrong += [f"{len(unwell)} jobs did not succeed: {unwell[:3]}"] if unwell else []
        named = {artifact["object"] for result in results for artifact in result["artifacts"]}

        async def no_orphans() -> bool:
            return not (await self._objects() - named)

        async def drained() -> bool:
            return await self.fleet.messages("P3D_JOBS") == 0

        before = len(await self._objects() - named)
        for condition, what, limit_s in ((drained, "an empty queue", 60.0), (no_orphans, "no orphans", 4 * _GRACE_S)):
            try:
                await until(condition, limit_s, what)
            except AssertionError as error:
                wrong.append(str(error))
        stored = await self._objects()
        wrong += [f"files of results are gone: {sorted(named - stored)[:5]}"] if named - stored else []
        kills = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.killed.items()))
        print(f"{sum(self.killed.values())} kills: {kills}")
        print(
            f"{len(self.ids)} jobs, {len(results)} results, {len(lost)} lost, {len(twice)} twice, {len(unwell)} failed"
        )
        print(f"attempts: {dict(sorted(attempts.items()))}")
        print(f"objects: {len(stored)}; without a result {before} after the last one, {len(stored - named)} at the end")
        return wrong

    async def _objects(self) -> set[str]:
        """Names in the outputs bucket."""
        found: set[str] = set()
        for _, data in await self.fleet.read_stream("OBJ_P3D_OUTPUTS", "$O.P3D_OUTPUTS.M.>"):
            info: dict[str, Any] = json.loads(data)
            (found.discard if info.get("deleted") else found.add)(info["name"])
        return found
