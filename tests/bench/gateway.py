"""Does a gateway bear many readers and large uploads at once? Against `pocket3d up`, real sockets.

    python tests/bench/gateway.py --streams 1000 --uploads 200 --megabytes 20

Prints one JSON line: what the gateway's memory grew by over idle, and how long `GET /v1/jobs/{id}` took without and
beside the load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
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

_PIECE = 64 * 1024
#: Requests whose median is told.
_ASKED = 100


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
    loaded_p50_s: float
    upload_s: float
    uploaded: int
    streams: int


class Gateway:
    """A gateway by its address, over plain sockets: the client must cost less than the server."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port or 80
        self._netloc = where.netloc

    async def request(
        self, method: str, path: str, headers: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request's head."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self._netloc}\r\n{headers}\r\n".encode())
        return reader, writer

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        """Status and body of an answer with a length."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)

    async def post(self, path: str, body: bytes) -> bytes:
        """A small request."""
        headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        reader, writer = await self.request("POST", path, headers)
        writer.write(body)
        status, answer = await self.answer(reader)
        writer.close()
        assert status < 300, answer
        return answer

    async def cancel(self, path: str) -> None:
        """End a job."""
        reader, writer = await self.request("DELETE", path, "Connection: close\r\n")
        await self.answer(reader)
        writer.close()

    async def timed(self, path: str, count: int) -> list[float]:
        """How long each of some requests took, one after the other on one connection."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        took = []
        for _ in range(count):
            begun = time.perf_counter()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._netloc}\r\n\r\n".encode())
            status, body = await self.answer(reader)
            assert status == 200, body
            took.append(time.perf_counter() - begun)
        writer.close()
        return took

    async def upload(self, megabytes: float) -> None:
        """A file that nobody has stored before."""
        size = int(megabytes * (1 << 20))
        headers = f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\nConnection: close\r\n"
        reader, writer = await self.request("POST", "/v1/files?name=load.bin", headers)
        piece, sent = os.urandom(_PIECE), 0
        while sent < size:
            writer.write(piece[: size - sent])
            sent += min(_PIECE, size - sent)
            await writer.drain()
        status, answer = await self.answer(reader)
        writer.close()
        assert status == 201, answer

    async def stream(self, path: str, opened: asyncio.Event) -> None:
        """An event stream that is read until it is cancelled."""
        reader, writer = await self.request("GET", path)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        opened.set()
        try:
            while await reader.read(_PIECE):
                pass
        finally:
            writer.close()


def resident_mb(process: psutil.Process) -> float:
    """Memory of a process, MiB."""
    size: int = process.memory_info().rss
    return size / (1 << 20)


async def measure(url: str, process: psutil.Process, load: Load) -> Found:
    """Put a load on a gateway and look at it."""
    gateway = Gateway(url)
    body = json.dumps({"feature": "echo", "inputs": {"sleep_s": 3600}}).encode()
    job_id = json.loads(await gateway.post("/v1/jobs", body))["job_id"]
    path = f"/v1/jobs/{job_id}"
    quiet = await gateway.timed(path, _ASKED)
    idle_mb = resident_mb(process)
    highest = idle_mb
    tasks: list[asyncio.Task[None]] = []
    opened = [asyncio.Event() for _ in range(load.streams)]
    for number, event in enumerate(opened):
        where = f"{path}/events" if number % 2 else "/v1/events"
        tasks.append(asyncio.ensure_future(gateway.stream(where, event)))
    await asyncio.gather(*(event.wait() for event in opened))
    begun = time.perf_counter()
    uploads = [asyncio.ensure_future(gateway.upload(load.megabytes)) for _ in range(load.uploads)]
    took: list[float] = []
    while not all(upload.done() for upload in uploads):
        took += await gateway.timed(path, 5)
        highest = max(highest, resident_mb(process))
    for upload in uploads:
        upload.result()
    upload_s = time.perf_counter() - begun
    open_now = sum(not task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await gateway.cancel(path)
    return Found(
        idle_mb=round(idle_mb, 1),
        grown_mb=round(highest - idle_mb, 1),
        quiet_p50_s=round(statistics.median(quiet), 5),
        loaded_p50_s=round(statistics.median(took), 5),
        upload_s=round(upload_s, 1),
        uploaded=len(uploads),
        streams=open_now,
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
