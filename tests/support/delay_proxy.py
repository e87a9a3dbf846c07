"""A long wire: a TCP proxy that hands on each byte after a constant delay, for kernels without netem."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit


class DelayProxy:
    """Listens on a free port of 127.0.0.1 and forwards to `target`.

    Args:
        target: URL of the server, `nats://host:port`.
        one_way_s: delay of each direction, seconds.
    """

    def __init__(self, target: str, one_way_s: float) -> None:
        parts = urlsplit(target)
        self._target = (str(parts.hostname), int(parts.port or 4222))
        self._one_way_s = one_way_s
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, down), (up, writer)):
            task = asyncio.ensure_future(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, data = await due.get()
                await asyncio.sleep(max(at - loop.time(), 0.0))
                if not data:
                    break
                sink.write(data)
                await sink.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    due.put_nowait((loop.time() + self._one_way_s, data))
            due.put_nowait((loop.time() + self._one_way_s, b""))
            with contextlib.suppress(ConnectionError):
                await delivering
        finally:
            delivering.cancel()
            sink.close()
            with contextlib.suppress(ConnectionError):
                await sink.wait_closed()
