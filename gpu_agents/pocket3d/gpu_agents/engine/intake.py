"""Whether the agent takes jobs at all, whatever room it has.

One that cannot store what it computes is of no use, however fast it is, and what it has computed is lost with it. So
finished runs are bounded.
"""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.failures import DeclineCode

from .lifecycle import RunState
from .state import Core

#: Longest reason, characters: it is in every advert.
_MAX_REASON = 500


class Closed(NamedTuple):
    """Why the agent takes no job, whatever room it has."""

    code: DeclineCode
    reason: str


def closed(core: Core) -> Closed | None:
    """Why no job is taken now; None if jobs are taken."""
    storage = core.storage
    if core.leaving:
        return Closed(DeclineCode.DRAINING, "the agent is about to leave")
    if core.draining:
        return Closed(DeclineCode.DRAINING, "the agent was drained; `undrain` lets it take jobs again")
    if not storage.checked:
        return Closed(DeclineCode.DRAINING, "it is not known yet whether this agent can store results")
    if storage.problem is not None:
        return Closed(DeclineCode.DRAINING, f"the agent cannot store results: {storage.problem}"[:_MAX_REASON])
    if storage.full:
        unstored = sum(core.unstored.values())
        why = f": {storage.failure}" if storage.failure else ""
        return Closed(DeclineCode.NO_SLOT, f"{unstored} finished runs wait to be stored{why}"[:_MAX_REASON])
    return None


def note_backlog(core: Core) -> None:
    """Take no jobs while too many finished runs wait to be stored, until half of them are; or while an advert cannot
    list all runs. Called once for each event, with the moves that its runs have made.
    """
    settings, storage, unstored = core.settings, core.storage, core.unstored
    for _, step in core.moves:
        if step.start in unstored:
            unstored[step.start] -= 1
        if step.finish in unstored:
            unstored[step.finish] += 1
    times = 2 if storage.full else 1
    full = (
        core.unlisted > 0
        or unstored[RunState.UPLOADING] * times > settings.backlog_factor * settings.max_uploads
        or unstored[RunState.STORING] * times > settings.backlog_factor * settings.max_stores
    )
    if full != storage.full:
        storage.full = full
        core.changed = True
