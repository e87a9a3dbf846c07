"""Exit codes of the command line, as documented for scripts."""

from __future__ import annotations

from enum import IntEnum
from typing import get_args

from pocket3d.contracts.lifecycle import StatusWord


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    #: Anything that none of the others names, e.g. an unknown job.
    ERROR = 1
    USAGE = 2
    FAILED = 3
    REJECTED = 4
    CANCELLED_OR_EXPIRED = 5
    #: No NATS server, or nobody of ours behind it.
    NO_SERVER = 6
    WAIT_TIMED_OUT = 7
    #: The job id is that of another request.
    JOB_ID_TAKEN = 8
    #: Ctrl-C.
    INTERRUPTED = 130


_BY_STATUS = {
    "succeeded": Exit.OK,
    "failed": Exit.FAILED,
    "rejected": Exit.REJECTED,
    "cancelled": Exit.CANCELLED_OR_EXPIRED,
    "expired": Exit.CANCELLED_OR_EXPIRED,
}


def of_status(status: str) -> Exit:
    """The code for a job's status; OK while it has not ended, ERROR for a word that this version does not know."""
    return _BY_STATUS.get(status, Exit.OK if status in get_args(StatusWord) else Exit.ERROR)
