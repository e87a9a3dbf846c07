"""The port of the gateway that `pocket3d up` starts, and whether it answers there."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from urllib.parse import SplitResult, urlsplit

from pocket3d.bus.tasks import within

#: Of `up`, where nobody says another one.
DEFAULT_PORT = 8080
_ANSWER_S = 2.0


def can_serve() -> bool:
    """True if the packages of the extra `gateway` are installed."""
    return all(importlib.util.find_spec(package) is not None for package in ("litestar", "uvicorn", "multipart"))


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """True if a server could listen on that port of this machine."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def usual_port() -> int:
    """The port where nobody says another one; 0, for a free one, if somebody has it."""
    return DEFAULT_PORT if is_free(DEFAULT_PORT) else 0


async def answers(url: str) -> bool:
    """True if the gateway there says that it lives."""
    try:
        line = await within(_status_line(urlsplit(url)), _ANSWER_S)
    except (OSError, asyncio.TimeoutError):
        return False
    return line.split()[1:2] == [b"200"]


async def _status_line(where: SplitResult) -> bytes:
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(f"GET /health HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n".encode())
        return await reader.readline()
    finally:
        writer.close()
