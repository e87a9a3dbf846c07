"""Which agents' records are to be written again although nothing about the agents has changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pocket3d.contracts.clock import parse_rfc3339


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
        # A clock that was set back must not keep a record from being written.
        return abs(wall - parse_rfc3339(at)) < age_s
    except ValueError:
        return False
