"""Which agents' records are to be written again although nothing about the agents has changed. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping


def records_due(recorded: Mapping[str, str], agents: Iterable[str], wall: float, max_age_s: float) -> list[str]:
    """The agents whose record somebody removed, or whose record is past half the time that its bucket keeps it: it
    would leave the bucket although its agent lives.

    Args:
        recorded: agent -> when its record was written, RFC 3339.
        agents: those that live.
        wall: now, Unix seconds.
        max_age_s: how long the bucket keeps a record, seconds.
    """
    return [each for each in agents if each not in recorded or not _is_young(recorded[each], wall, max_age_s / 2)]


def _is_young(at: str, wall: float, age_s: float) -> bool:
    try:
        written = dt.datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError:
        return False
    # A clock that was set back must not keep a record from being written.
    return abs(wall - written) < age_s
