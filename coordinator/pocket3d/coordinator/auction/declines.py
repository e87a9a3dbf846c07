"""What agents declined. Of jobs that differ in nothing but the memory they ask for, one that is declined stands for
those that ask for more: they are not asked for one by one. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pocket3d.contracts.commands import Reason

from ..engine.job import GroupKey


class _Least(NamedTuple):
    """The least memory that was declined, and why."""

    vram_mb: int
    reasons: list[Reason]


class Declines:
    """By agent, as long as its picture stays as it was when it declined."""

    def __init__(self) -> None:
        #: Agent -> version of its picture, and the least declined of each kind.
        self._of: dict[str, tuple[int, dict[GroupKey, _Least]]] = {}

    def note(self, agent_id: str, version: int, key: GroupKey, reasons: list[Reason]) -> None:
        """An agent declined jobs of that kind."""
        if key.vram_mb is None:
            return
        known = self._of.get(agent_id)
        if known is None or known[0] != version:
            known = self._of[agent_id] = (version, {})
        kind = key._replace(vram_mb=None)
        former = known[1].get(kind)
        if former is None or key.vram_mb < former.vram_mb:
            known[1][kind] = _Least(key.vram_mb, reasons)

    def forget(self, agent_id: str) -> None:
        """The agent is gone."""
        self._of.pop(agent_id, None)

    def of(self, agent_id: str, version: int, key: GroupKey) -> list[Reason] | None:
        """Why an agent would decline jobs of that kind, by what it declined; None if it is to be asked."""
        known = self._of.get(agent_id)
        if key.vram_mb is None or known is None or known[0] != version:
            return None
        least = known[1].get(key._replace(vram_mb=None))
        if least is None or key.vram_mb < least.vram_mb:
            return None
        return [_for_more(reason, key.vram_mb - least.vram_mb) for reason in least.reasons]


def _for_more(reason: Reason, more_mb: int) -> Reason:
    """The reason of a job that asks for more."""
    if not more_mb or reason.need_mb is None:
        return reason
    short = reason.short_mb + more_mb if reason.short_mb is not None else None
    return msgspec.structs.replace(reason, need_mb=reason.need_mb + more_mb, short_mb=short)
