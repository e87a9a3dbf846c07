"""A small process beside the agent that outlives it by a moment and kills what it leaves behind.

A worker dies with its agent by itself, but the model's own children (a Blender, a data loader) would not, nor would a
worker that hangs in foreign code on a system without PR_SET_PDEATHSIG. The agent names the process groups on this
process's stdin (`+123` started, `-123` ended); when stdin ends, the agent is gone and what is still
named is killed, and with it what began a session of its own: whatever a worker starts inherits a mark in its
environment. (PR_SET_CHILD_SUBREAPER would find such processes for an ancestor of the workers only, which dies here.)

Run as a plain file by an isolated interpreter, so it imports the standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
import time

#: Variable of a worker's environment that says whose it is.
MARK_VARIABLE = "POCKET3D_WORKER_MARK"
#: A process that is looked at may start another meanwhile.
_ROUNDS = 50
_PAUSE_S = 0.01


def kill_marked(mark: str) -> None:
    """SIGKILL to all processes of this user that were started with a mark that begins so (where there is /proc). Blocks
    until none is left, for half a second at most.
    """
    wanted = f"\0{MARK_VARIABLE}={mark}".encode()
    for _ in range(_ROUNDS):
        found = [int(name) for name in _processes() if wanted in b"\0" + _environ(name)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        time.sleep(_PAUSE_S)


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()] if sys.platform == "linux" else []  # noqa: PTH208


def _environ(name: str) -> bytes:
    """What the process was started with; nothing if it has ended, or is another user's."""
    try:
        with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def main() -> None:
    """Read until the agent is gone, then kill."""
    # Ctrl-C on a terminal or a stop of the whole service is the agent's to handle; it closes stdin when it is done.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        group = int(line[1:])
        if line.startswith(b"+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Gone by itself; or macOS's word for a group of zombies.
            continue
    kill_marked(sys.argv[1])


if __name__ == "__main__":
    main()
