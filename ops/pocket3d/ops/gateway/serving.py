"""Runs a gateway: settings, tokens, a connection, and the HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog
import uvicorn
from litestar import Litestar

from pocket3d.bus.client import Client
from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.contracts.bounds import decimal

from ..settings import SettingsError, read
from .app import create_app
from .http_protocol import TimedProtocol
from .listening import allow_many_files, listening_socket
from .origins import is_loopback
from .session import Session
from .settings import GatewaySettings
from .tokens import TokenError, Tokens, read_tokens, token_line

log = structlog.get_logger("pocket3d.ops.gateway")

#: Time that open requests are given when the gateway stops, seconds.
_GRACE_S = 3
#: A connection without a request is closed after so long, seconds.
_KEEP_ALIVE_S = 15


class Listen(NamedTuple):
    """Where the gateway listens."""

    host: str
    port: int


def parse_listen(text: str) -> Listen:
    """`HOST:PORT`, `:PORT` (this machine) or `[V6]:PORT`.

    Raises:
        SettingsError
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = decimal(port)
    if not colon or number is None or number > 65535:
        raise SettingsError(f"--listen {text[:80]}: want HOST:PORT, e.g. 127.0.0.1:8080; port 0 picks a free one")
    return Listen(host or "127.0.0.1", number)


async def load_tokens(path: str | None) -> Tokens:
    """The tokens of a file; none without one.

    Raises:
        SettingsError: it cannot be read, or says something else.
    """
    if path is None:
        return Tokens()
    try:
        return read_tokens(await asyncio.to_thread(Path(path).read_text))
    except OSError as error:
        raise SettingsError(f"the file of tokens cannot be read: {error}") from error
    except (TokenError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file of tokens {path}: {error}") from error


def new_token(path: Path, tenant: str, right: str) -> str:
    """Make a token, add its digest to a file, and return it: it is written down nowhere.

    Raises:
        TokenError: no tenant, or no right.
        OSError
    """
    token = f"p3d_{secrets.token_urlsafe(32)}"
    line = token_line(token, tenant, right)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(f"{line}\n")
    return token


async def run_gateway(
    options: ConnectOptions,
    namespace: str,
    listen: Listen,
    stop: asyncio.Event,
    *,
    pairs: tuple[str, ...] = (),
    environ: Mapping[str, str] = os.environ,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Run a gateway until `stop` is set; `ready` is told its address once it listens.

    Raises:
        SettingsError: a setting or a token is wrong, or it would listen to others without tokens.
        OSError: the port is taken, or the host is none of this machine.
        Disconnected, Refused, ConnectError: as `JetStreamBus.connect`.
    """
    settings = read(GatewaySettings, "gateway", environ, pairs)
    tokens = await load_tokens(settings.tokens_file)
    loopback = is_loopback(listen.host)
    if not loopback and not tokens:
        raise SettingsError(
            f"--listen {listen.host}: other machines reach it there, so it wants tokens: "
            "`pocket3d gateway --tokens FILE --new-token TENANT:RIGHT` makes one"
        )
    allow_many_files()
    with listening_socket(listen.host, listen.port) as listening:
        bus = await JetStreamBus.connect(options)
        try:
            session = Session(Client(bus, namespace), settings, tokens)
            app = create_app(session, settings, loopback=loopback)
            await _serve(app, session, listening, stop, ready)
        finally:
            await bus.close()


async def _serve(
    app: Litestar, session: Session, listening: socket.socket, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        log_config=None,
        # It would hold tokens: they stand in the query of event streams.
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="on",
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        started = asyncio.ensure_future(server.has_started.wait())
        await asyncio.wait([serving, started, stopped], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if server.has_started.is_set():
            url = address(listening)
            log.info("gateway listens", url=url, tokens=bool(session.tokens))
            ready(url)
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Open event streams end first: the server waits for what is open.
        await session.close()
        server.should_exit = True
        stopped.cancel()
        await serving


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Leaves signals to us, and says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.has_started.set()
