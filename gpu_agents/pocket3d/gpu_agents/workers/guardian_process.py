"""A small process beside the agent that outlives it by a moment and kills what it leaves behind.

A worker dies with its agent by itself, but the model's own children (a Blender, a data loader) would not, nor would a
worker that hangs in foreign code on a system without PR_SET_PDEATHSIG. The agent names the process groups on this
process's stdin (`+123` started, `-123` ended); when stdin ends, the agent is gone and what is still
named is killed.

Run as a plain file by an isolated interpreter, so it imports the standard library only.
"""

from __future__ import annotations

import os
import signal
import sys


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


if __name__ == "__main__":
    main()
