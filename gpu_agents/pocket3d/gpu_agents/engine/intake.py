"""Whether the agent takes jobs at all, whatever room it has.

One that cannot store what it computes is of no use, however fast it is, and what it has computed is lost with it. So
finished runs are bounded.
"""

from __future__ import annotations

from collections import Counter
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
    if core.draining:
        return Closed(DeclineCode.DRAINING, "the agent is draining")
    if not storage.checked:
        return Closed(DeclineCode.DRAINING, "it is not known yet whether this agent can store results")
    if storage.problem is not None:
        return Closed(DeclineCode.DRAINING, f"the agent cannot store results: {storage.problem}"[:_MAX_REASON])
    if storage.full:
        unstored = sum(run.state in (RunState.UPLOADING, RunState.STORING) for run in core.runs.values())
        why = f": {storage.failure}" if storage.failure else ""
        return Closed(DeclineCode.NO_SLOT, f"{unstored} finished runs wait to be stored{why}"[:_MAX_REASON])
    return None


def note_backlog(core: Core) -> None:
    """Take no jobs while too many finished runs wait to be stored, until half of them are; or while an advert cannot
    list all runs.
    """
    settings, storage = core.settings, core.storage
    uploads, stores = (settings.backlog_factor * each for each in (settings.max_uploads, settings.max_stores))
    if not storage.full and not core.unlisted and len(core.runs) <= min(uploads, stores):
        return
    states = Counter(run.state for run in core.runs.values())
    times = 2 if storage.full else 1
    full = bool(core.unlisted) or states[RunState.UPLOADING] * times > uploads
    full = full or states[RunState.STORING] * times > stores
    if full != storage.full:
        storage.full = full
        core.changed = True
