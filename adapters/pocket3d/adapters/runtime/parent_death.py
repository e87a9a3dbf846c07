"""A worker dies with its agent."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> bool:
    """Ask the kernel (Linux) to kill this process when its parent's thread that started it ends.

    The end of the socket tells the same, everywhere and also if the parent was gone before this call; but no Python
    thread can act on it while a model's extension holds the interpreter's lock, and this does. False where there is no
    such call.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0)
