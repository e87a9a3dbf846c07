"""Numbers that come from outside: how large each kind may be, and how one is read from text.

A number outside of its range makes its message unreadable, so that it costs its sender alone: arithmetic on numbers
within these ranges neither overflows a 64-bit integer nor turns into infinity.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

MOST_COUNT = 1_000_000_000
#: Jobs, slots, attempts, devices.
Count = Annotated[int, Meta(ge=0, le=MOST_COUNT)]
#: VRAM or memory in MB (MiB): up to a pebibyte.
Megabytes = Annotated[int, Meta(ge=0, le=1_073_741_824)]
#: As above, of what may be overdrawn.
MegabytesLeft = Annotated[int, Meta(ge=-1_073_741_824, le=1_073_741_824)]
#: A file, bytes: up to an exbibyte.
Bytes = Annotated[int, Meta(ge=0, le=2**60)]
#: A duration that the system measured or expects, seconds: up to 300 years, for it may be a sum of limits.
Duration = Annotated[float, Meta(ge=0, le=1e10)]
#: One load or run, seconds: up to three years.
RunDuration = Annotated[float, Meta(ge=0, le=1e8)]
#: Numbers that rise: epochs (Unix milliseconds), sequences, calls. Whole and exact in every JSON reader.
Sequence = Annotated[int, Meta(ge=0, le=2**53 - 1)]
#: A process id; 0 for none.
ProcessId = Annotated[int, Meta(ge=0, le=2**31 - 1)]


def decimal(text: str, max_digits: int = 18) -> int | None:
    """The number that ASCII digits write; None for anything else.

    `str.isdigit` is no such check: it is true of `²`, of which `int` makes an error, and of numbers of any length,
    of which `int` refuses those beyond 4300 digits.
    """
    return int(text) if re.fullmatch(rf"[0-9]{{1,{max_digits}}}", text) else None
