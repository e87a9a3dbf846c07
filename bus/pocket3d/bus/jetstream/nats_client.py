"""What the NATS client lacks: TLS that is never given up and ends quietly; an end that comes whatever a server does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from nats.aio.client import Client
from nats.errors import Error

log = structlog.get_logger(__name__)


class TlsNotOffered(Error):
    """A server without TLS answered where TLS was asked for."""


class SecureClient(Client):
    """A NATS client that gives a server nothing in clear text, credentials least of all, once it has a TLS context.

    Whoever sits between could else take the word `tls_required` out of the server's greeting and read along.
    """

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # Called with the greeting of every connection before anything is sent to it.
        if initial_connection and "tls" in self.options and not self.options["tls_handshake_first"]:
            assert self._current_server is not None
            uri = self._current_server.uri
            if uri.scheme == "ws" or (
                uri.scheme != "wss" and not (info.get("tls_required") or info.get("tls_available"))
            ):
                raise TlsNotOffered(
                    f"{uri.hostname}:{uri.port} offers no TLS, which tls://, --tlsca or --tlscert asks for; nothing "
                    "was sent to it"
                )
            if uri.scheme != "wss":
                self._server_info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    def _connect_command(self) -> bytes:
        # Called once TLS stands. The client makes the stream anew for it, and asyncio takes that for one without TLS:
        # it would warn of "returning true from eof_received()" at the end of each connection.
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None and writer.get_extra_info("sslcontext"):
            writer.transport.get_protocol()._over_ssl = True
        command: bytes = super()._connect_command()
        return command


async def end_client(nc: Client, ending: Coroutine[Any, Any, None], timeout: float) -> None:
    """Run `nc.close()`, or what ends in it, without being kept by a server that neither reads nor shakes hands.

    Args:
        nc: the client.
        ending: what ends it.
        timeout: after so many seconds its socket is torn down.
    """
    task = asyncio.ensure_future(ending)
    await asyncio.wait({task}, timeout=timeout)
    if not task.done():
        for writer in (getattr(nc._transport, "_io_writer", None), getattr(nc._transport, "_bare_io_writer", None)):
            if writer is not None:
                writer.transport.abort()
        await asyncio.wait({task}, timeout=1.0)
        task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is not None:
        log.debug("nats connection ended badly", error=str(task.exception()))
