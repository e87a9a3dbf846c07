"""Becomes another program that ends when the process that started it does: `exec_bound.py PARENT COMMAND...`.

The kernel keeps the request over `exec` (Linux, prctl(2), PR_SET_PDEATHSIG). Run as a plain file by an isolated
interpreter, so it imports the standard library only; between fork and exec of a process with threads it could not be
asked for safely.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
#: What a shell says of a program that it cannot run.
_CANNOT_RUN = 127


def main() -> None:
    """Ask for the signal, then become the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        # It ended before it was asked.
        return
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(_CANNOT_RUN)


if __name__ == "__main__":
    main()
