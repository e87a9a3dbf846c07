"""Who listens on a port of this host, from Linux's tables: a request may hold what somebody else must not see."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from pathlib import Path
from typing import NamedTuple

_LISTEN = "0A"
_SOCKET = "socket:["


class Listener(NamedTuple):
    """A listening socket."""

    address: str
    #: The kernel's number of the socket, which processes' descriptors name.
    inode: int

    @property
    def only_this_host(self) -> bool:
        """True if other machines do not reach it."""
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback


def read_table(text: str, port: int) -> list[Listener]:
    """The listeners on a port in a table of `/proc/net/tcp` or `tcp6`, whose addresses are words in the machine's own
    byte order.
    """
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        address, _, number = words[1].partition(":")
        if words[3] == _LISTEN and int(number, 16) == port:
            found.append(Listener(_address(address), int(words[9])))
    return found


def _address(digits: str) -> str:
    words = [bytes.fromhex(digits[at : at + 8]) for at in range(0, len(digits), 8)]
    data = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(data))


def listeners(port: int, proc: Path = Path("/proc")) -> list[Listener] | None:
    """All listeners on a port; None where the system does not tell."""
    tables = [proc / "net" / name for name in ("tcp", "tcp6")]
    if not tables[0].exists():
        return None
    # A host without IPv6 has no second table.
    return [each for table in tables if table.exists() for each in read_table(table.read_text(), port)]


def sockets_of(group: int, proc: Path = Path("/proc")) -> set[int]:
    """The sockets that processes of a group and their descendants hold."""
    members = {int(each.name) for each in proc.iterdir() if each.name.isdigit() and _in_group(int(each.name), group)}
    waiting = list(members)
    while waiting:
        for child in _children(proc / str(waiting.pop()) / "task"):
            if child not in members:
                members.add(child)
                waiting.append(child)
    found: set[int] = set()
    for pid in members:
        with contextlib.suppress(OSError):
            for descriptor in (proc / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    name = str(descriptor.readlink())
                    if name.startswith(_SOCKET):
                        found.add(int(name[len(_SOCKET) : -1]))
    return found


def _in_group(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except (ProcessLookupError, PermissionError):
        return False


def _children(task: Path) -> list[int]:
    """Children are listed under the thread that started them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in task.iterdir():
            with contextlib.suppress(OSError):
                found += [int(word) for word in (thread / "children").read_text().split()]
    return found
