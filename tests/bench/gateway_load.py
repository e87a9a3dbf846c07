"""The load on a gateway, in a process of its own: its work must not count as the gateway's.

    python tests/bench/gateway_load.py URL JOB_ID STREAMS UPLOADS MEGABYTES

Opens event streams and says `open`; a line on stdin starts the uploads, at whose end it says `stored`. Then it says how
many streams are still open and ends.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from urllib.parse import urlsplit

_PIECE = 64 * 1024


class Load:
    """Readers and uploads over plain sockets: the client must cost less than the server."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port or 80
        self._netloc = where.netloc

    async def _request(
        self, method: str, path: str, headers: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self._netloc}\r\n{headers}\r\n".encode())
        return reader, writer

    async def upload(self, megabytes: float) -> None:
        """A file that nobody has stored before."""
        size = int(megabytes * (1 << 20))
        headers = f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\nConnection: close\r\n"
        reader, writer = await self._request("POST", "/v1/files?name=load.bin", headers)
        piece, sent = os.urandom(_PIECE), 0
        while sent < size:
            writer.write(piece[: size - sent])
            sent += min(_PIECE, size - sent)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert b" 201 " in head, head

    async def stream(self, path: str, opened: asyncio.Event) -> None:
        """An event stream that is read until it is cancelled."""
        reader, writer = await self._request("GET", path)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        opened.set()
        try:
            while await reader.read(_PIECE):
                pass
        finally:
            writer.close()


async def main(url: str, job_id: str, streams: int, uploads: int, megabytes: float) -> None:
    """Half of the streams are of one job, half of everything."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    load = Load(url)
    opened = [asyncio.Event() for _ in range(streams)]
    reading = [
        asyncio.ensure_future(load.stream(f"/v1/jobs/{job_id}/events" if number % 2 else "/v1/events", event))
        for number, event in enumerate(opened)
    ]
    await asyncio.gather(*(event.wait() for event in opened))
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(load.upload(megabytes) for _ in range(uploads)))
    print("stored", flush=True)
    print(sum(not task.done() for task in reading), flush=True)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


if __name__ == "__main__":
    address, job, *numbers = sys.argv[1:]
    asyncio.run(main(address, job, int(numbers[0]), int(numbers[1]), float(numbers[2])))
