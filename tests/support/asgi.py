"""HTTP requests to an ASGI application in the running loop, without a server: answers whole, or as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Exchange:
    """One request and its answer. Use it with `async with`; leaving it is the client's hanging up."""

    def __init__(self, app: Any, scope: dict[str, Any], pieces: AsyncIterator[bytes]) -> None:
        self._app = app
        self._scope = scope
        self._pieces = pieces
        self._sent_all = False
        self._hung_up = asyncio.Event()
        self._started = asyncio.Event()
        self.status = 0
        self.headers: dict[str, str] = {}
        #: What was answered and not read yet; None ends it.
        self.answered: asyncio.Queue[bytes | None] = asyncio.Queue()
        #: While cleared the client takes nothing more.
        self.takes = asyncio.Event()
        self.takes.set()
        self._buffer = b""

    async def __aenter__(self) -> Exchange:
        self._task = asyncio.ensure_future(self._app(self._scope, self._receive, self._send))
        started = asyncio.ensure_future(self._started.wait())
        await asyncio.wait([started, self._task], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if not self._started.is_set():
            await self._task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hung_up.set()
        self.takes.set()
        await self._task

    async def _receive(self) -> dict[str, Any]:
        if not self._sent_all:
            async for piece in self._pieces:
                return {"type": "http.request", "body": piece, "more_body": True}
            self._sent_all = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        await self.takes.wait()
        if message.get("body"):
            self.answered.put_nowait(message["body"])
        if not message.get("more_body"):
            self.answered.put_nowait(None)

    async def over(self) -> None:
        """Until the application has done with it, unasked."""
        await asyncio.wait([self._task])

    async def whole(self) -> bytes:
        """All of the answer."""
        found = b""
        while (piece := await self.answered.get()) is not None:
            found += piece
        return found

    async def event(self) -> dict[str, str] | None:
        """The next server-sent event, without its comments; None at the end."""
        while True:
            while b"\n\n" not in self._buffer:
                piece = await self.answered.get()
                if piece is None:
                    return None
                self._buffer += piece
            block, _, self._buffer = self._buffer.partition(b"\n\n")
            lines = [line.split(": ", 1) for line in block.decode().splitlines() if not line.startswith(":")]
            if lines[:1] and lines[0][0] == "event":
                return {line[0]: line[1] for line in lines}


class Http:
    """A client of an application."""

    def __init__(self, app: Any, headers: Mapping[str, str] | None = None, address: str = "127.0.0.1") -> None:
        self.app = app
        self.headers = dict(headers or {})
        self.address = address

    def open(
        self,
        method: str,
        target: str,
        body: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """A request; to be used with `async with`."""
        path, _, query = target.partition("?")
        given = {"host": "127.0.0.1:8080", **self.headers, **{k.lower(): v for k, v in (headers or {}).items()}}
        if isinstance(body, bytes):
            given.setdefault("content-length", str(len(body)))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": (self.address, 50000),
            "server": ("127.0.0.1", 8080),
        }
        return Exchange(self.app, scope, _once(body) if isinstance(body, bytes) else body)

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request and its whole answer; what is no bytes is sent as JSON."""
        if not isinstance(body, bytes) and not hasattr(body, "__anext__"):
            body = msgspec.json.encode(body)
            headers = {"content-type": "application/json", **(headers or {})}
        async with self.open(method, target, body, headers) as exchange:
            return Answer(exchange.status, exchange.headers, await exchange.whole())


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
