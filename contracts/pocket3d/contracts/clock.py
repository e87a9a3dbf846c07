"""Time as a value: what engines get instead of reading a clock."""

from __future__ import annotations

import datetime as _dt
import math
import re
from functools import lru_cache
from typing import NamedTuple

_FRACTION = re.compile(r"\.([0-9]+)")
#: The first and the last second that RFC 3339 can write, Unix seconds. Sums with times that others sent reach further,
#: and so do times near them with a zone.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799


#: How far the clock of whoever began to lead may be ahead of another's: a hundred years, milliseconds.
_EPOCH_AHEAD_MS = 100 * 365 * 86_400_000


class Now(NamedTuple):
    """One instant, read by a service and handed to an engine.

    Leases and deadlines are judged on `mono`; people read `wall`. Both are seconds.
    """

    #: Seconds on a clock that never jumps (CLOCK_MONOTONIC in production, virtual time in the simulation).
    mono: float
    #: Seconds since the Unix epoch, UTC.
    wall: float


def may_be_epoch(epoch: int, wall: float) -> bool:
    """Whether a leader may have begun at `epoch`, Unix milliseconds, as seen at `wall`, Unix seconds.

    Behind one that no clock made there may be no larger number that messages can carry: nobody could lead again.
    """
    return epoch <= wall * 1000 + _EPOCH_AHEAD_MS


def rfc3339(wall: float) -> str:
    """Format Unix seconds as RFC 3339 UTC with milliseconds, e.g. `2026-11-23T21:50:00.123Z`. What lies before the year
    1 or after the year 9999 is written as their first or last second.
    """
    ms = math.floor(min(max(wall, _FIRST), _LAST) * 1000 + 0.5)
    return f"{_to_the_second(ms // 1000)}.{ms % 1000:03d}Z"


def parse_rfc3339(text: str) -> float:
    """Unix seconds of an RFC 3339 time.

    Raises:
        ValueError: the text is not such a time.
    """
    # Python 3.10 takes fractions of 3 or 6 digits only.
    exact = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text, count=1)
    moment = _dt.datetime.fromisoformat(exact.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()


@lru_cache(maxsize=16)
def _to_the_second(seconds: int) -> str:
    # Every message carries a time, most of them that of this second.
    # `%Y` does not write years before 1000 with four digits.
    return _dt.datetime.fromtimestamp(seconds, tz=_dt.timezone.utc).isoformat()[:19]
