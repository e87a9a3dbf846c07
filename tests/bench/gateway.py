"""Does a gateway bear many readers and large uploads at once? Against `pocket3d up`, real sockets.

    python tests/bench/gateway.py --streams 1000 --uploads 200 --megabytes 20

Prints one JSON line: what the gateway's memory grew by over idle, and how long `GET /v1/jobs/{id}` took without and
beside the load, which a process of its own makes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.command_line import up

#: Requests whose median is told of the quiet gateway, and of one with open streams.
_ASKED = 100
#: Between two requests, seconds: they are a look at the load and no part of it.
_PAUSE_S = 0.02


class Load(NamedTuple):
    """How much of it."""

    streams: int
    uploads: int
    megabytes: float


class Found(NamedTuple):
    """What was measured; memory in MiB, times in seconds."""

    idle_mb: float
    grown_mb: float
    quiet_p50_s: float
    streaming_p50_s: float
    loaded_p50_s: float
    loaded_p90_s: float
    upload_s: float
    uploaded: int
    streams: int


class Gateway:
    """A gateway by its address: one request after the other on one connection."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url)

    async def __aenter__(self) -> Gateway:
        self._reader, self._writer = await asyncio.open_connection(self._where.hostname, self._where.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of an answer that is no error."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._where.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        data = await self._reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
        assert int(answer.split()[1]) < 300, data
        return data

    async def timed(self, path: str) -> float:
        """How long a request took, seconds."""
        begun = time.perf_counter()
        await self.ask("GET", path)
        return time.perf_counter() - begun

    async def timed_often(self, path: str) -> list[float]:
        """How long each of some requests took."""
        took = []
        for _ in range(_ASKED):
            took.append(await self.timed(path))
            await asyncio.sleep(_PAUSE_S)
        return took


def resident_mb(process: psutil.Process) -> float:
    """Memory of a process, MiB."""
    size: int = process.memory_info().rss
    return size / (1 << 20)


async def measure(url: str, process: psutil.Process, load: Load) -> Found:
    """Put a load on a gateway and look at it."""
    async with Gateway(url) as gateway:
        body = json.dumps({"feature": "echo", "inputs": {"sleep_s": 3600}}).encode()
        job_id = json.loads(await gateway.ask("POST", "/v1/jobs", body))["job_id"]
        path = f"/v1/jobs/{job_id}"
        quiet = await gateway.timed_often(path)
        idle_mb = resident_mb(process)
        loading = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("gateway_load.py")),
            url,
            job_id,
            *map(str, load),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert loading.stdin is not None and loading.stdout is not None
        try:
            assert await loading.stdout.readline() == b"open\n"
            streaming = await gateway.timed_often(path)
            highest = resident_mb(process)
            begun = time.perf_counter()
            loading.stdin.write(b"\n")
            stored = asyncio.ensure_future(loading.stdout.readline())
            loaded: list[float] = []
            while not stored.done():
                loaded.append(await gateway.timed(path))
                highest = max(highest, resident_mb(process))
                await asyncio.wait({stored}, timeout=_PAUSE_S)
            upload_s = time.perf_counter() - begun
            assert stored.result() == b"stored\n", "an upload failed"
            streams = int(await loading.stdout.readline())
            await loading.wait()
        finally:
            if loading.returncode is None:
                loading.kill()
                await loading.wait()
        await gateway.ask("DELETE", path)
    return Found(
        idle_mb=round(idle_mb, 1),
        grown_mb=round(highest - idle_mb, 1),
        quiet_p50_s=round(statistics.median(quiet), 5),
        streaming_p50_s=round(statistics.median(streaming), 5),
        loaded_p50_s=round(statistics.median(loaded), 5),
        loaded_p90_s=round(statistics.quantiles(loaded, n=10)[-1], 5),
        upload_s=round(upload_s, 1),
        uploaded=load.uploads,
        streams=streams,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=20.0)
    given = parser.parse_args()
    load = Load(given.streams, given.uploads, given.megabytes)
    limits = {"POCKET3D_GATEWAY_RATE_BURST": "100000", "POCKET3D_GATEWAY_RATE_PER_S": "100000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        up(Path(folder) / "store", "--gateway-port", "0", "--no-contexts", port=0, **limits) as running,
    ):
        found = asyncio.run(measure(running.page(), running.part("gateway"), load))
    print(json.dumps({**load._asdict(), **found._asdict()}))


if __name__ == "__main__":
    main()
