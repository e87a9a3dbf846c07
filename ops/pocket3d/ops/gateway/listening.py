"""The socket on which the gateway listens, and how many connections the process may hold."""

from __future__ import annotations

import socket
import sys

import structlog

log = structlog.get_logger("pocket3d.ops.gateway")

#: Open files that are enough: each connection is one.
_ENOUGH_FILES = 16_384
#: Connections that may wait to be accepted.
_BACKLOG = 2048


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket whose connections send what they are given at once.

    Raises:
        OSError: the port is taken, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Connections inherit it. asyncio sets it for sockets that say to be TCP's, which `create_server` does not: each
    # answer of two writes would wait for the client's delayed acknowledgement, 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def allow_many_files() -> None:
    """Let the process open as many files as the system's hard limit allows: the usual soft limit is 1024."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(_ENOUGH_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.info("the limit on open files stays", limit=soft, error=str(error))
