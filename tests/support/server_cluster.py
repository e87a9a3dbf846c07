"""Three nats-servers as a cluster, each a process on 127.0.0.1 with a store of its own."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from pathlib import Path

import nats

from pocket3d.bus.nats_server.files import find_server, pick_port

_CONFIG = """\
server_name: n{number}
host: 127.0.0.1
port: {port}
log_file: "{folder}/server.log"
jetstream {{ store_dir: "{folder}" }}
cluster {{
  name: chaos
  host: 127.0.0.1
  port: {route}
  routes: [{routes}]
}}
"""


class ServerCluster:
    """What `FleetProcesses` needs of its server, and each of the three to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: list[int] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """All three, separated by commas."""
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.ports)

    @property
    def up(self) -> list[int]:
        """Numbers of those that run."""
        return [number for number, process in self._processes.items() if process.poll() is None]

    async def start(self) -> None:
        """Start all three; returns once JetStream has a leader."""
        chosen: set[int] = set()
        while len(chosen) < 6:
            chosen.add(pick_port("127.0.0.1"))
        numbers = sorted(chosen)
        self.ports, routes = numbers[:3], numbers[3:]
        for number, port in enumerate(self.ports):
            home = self.folder / f"n{number}"
            home.mkdir(parents=True, exist_ok=True)
            others = ", ".join(f'"nats://127.0.0.1:{route}"' for route in routes)
            (home / "server.conf").write_text(
                _CONFIG.format(number=number, port=port, route=routes[number], routes=others, folder=home)
            )
            self.start_one(number)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(Exception):
                client = await nats.connect(self.url.split(","), allow_reconnect=False, connect_timeout=2)
                try:
                    await client.jetstream().account_info()
                    return
                finally:
                    await client.close()
            if time.monotonic() > deadline:
                raise AssertionError(f"the cluster has no JetStream: see {self.folder}")
            await asyncio.sleep(0.1)

    def start_one(self, number: int) -> None:
        """Start one again, on its ports and store."""
        command = [str(find_server()), "-c", str(self.folder / f"n{number}" / "server.conf")]
        self._processes[number] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_one(self, number: int) -> None:
        """kill -9."""
        self._processes[number].kill()
        self._processes[number].wait(10)

    async def stop(self) -> None:
        """End all three."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            await asyncio.to_thread(process.wait, 20)
