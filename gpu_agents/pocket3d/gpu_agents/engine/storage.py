"""The way to the results and the outputs: looked at before the first advert and after each reconnect, and what failures
of storing mean.
"""

from __future__ import annotations

from pocket3d.contracts.clock import Now
from pocket3d.contracts.failures import FailureCode

from .effects import CheckStorage, LogLine
from .events import StorageChecked
from .lifecycle import BEFORE_RUN
from .records import FIRST_AFTER_REFUSAL_S, StopReason
from .runs import stop_run
from .state import Core

#: Failures are told when nothing was stored for so long, seconds: one lost answer is no news.
_PATIENCE_S = 5.0
#: Pause before the way is looked at again, seconds, doubled up to the longest.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
#: The same after a refusal: what looks well and is refused all the same costs a job an attempt each time. Who may do
#: what changes with a new connection, and then it is looked at anew.
_LONGEST_AFTER_REFUSAL_S = 600.0
# ---------------------------------------------------------------- looking


def look_again(core: Core, now: Now) -> None:
    """Look at the way to the stores: there is a new connection, which may lead elsewhere."""
    core.storage.check_at = now.mono
    core.storage.failing_since = None


def check_due(core: Core) -> float | None:
    """When the way is looked at next; None if that is not planned, or not possible now."""
    return core.storage.check_at if core.connected and not core.storage.checking else None


def check_if_due(core: Core, now: Now) -> None:
    """Look when it is time; one look at a time."""
    due = check_due(core)
    if due is not None and now.mono >= due:
        core.storage.checking = True
        core.storage.check_at = None
        core.effects.append(CheckStorage())


def storage_checked(core: Core, event: StorageChecked, now: Now) -> None:
    """Take jobs, or none, as the look says. One that a new connection or a refusal overtook counts for nothing."""
    storage = core.storage
    storage.checking = False
    if storage.check_at is not None:
        return
    if event.interrupted:
        storage.check_at = now.mono
        return
    if event.problem is not None and event.refused:
        storing_refused(core, event.problem, now)
        return
    if event.problem is not None:
        storage.check_at = now.mono + storage.pause_s
        storage.pause_s = min(2 * storage.pause_s, _LONGEST_PAUSE_S)
        _cannot_store(core, event.problem, now)
        return
    storage.pause_s = _FIRST_PAUSE_S
    if storage.problem is not None:
        core.effects.append(LogLine("info", "results can be stored again; jobs are taken", {}))
    if storage.problem is not None or not storage.checked:
        core.changed = core.adapters_changed = True
    storage.problem = None
    storage.checked = True


def _cannot_store(core: Core, problem: str, now: Now) -> None:
    storage = core.storage
    if storage.problem is None:
        text = "this agent cannot store results, so it takes no jobs until it can"
        core.effects.append(LogLine("warning", text, {"error": problem}))
        hand_back_waiting(core, f"this agent cannot store results: {problem}", now)
    if storage.problem != problem or not storage.checked:
        core.changed = core.adapters_changed = True
    storage.problem = problem
    storage.checked = True


def hand_back_waiting(core: Core, why: str, now: Now) -> None:
    """Hand back the runs that are not on their workers yet."""
    for run in list(core.runs.values()):
        if run.state in BEFORE_RUN:
            stop_run(core, run, StopReason(FailureCode.HANDED_BACK.value, why), now)


# ---------------------------------------------------------------- storing


def storing_refused(core: Core, message: str, now: Now) -> None:
    """Take no jobs: the server refused what a run has made, for a reason that does not pass by itself."""
    storage = core.storage
    if storage.problem is not None and storage.check_at is not None:
        # Each of several runs tells the same: only what a look left standing lengthens the pause.
        return
    storage.check_at = now.mono + storage.refusal_pause_s
    storage.refusal_pause_s = min(2 * storage.refusal_pause_s, _LONGEST_AFTER_REFUSAL_S)
    _cannot_store(core, message, now)


def storing_failed(core: Core, message: str, now: Now) -> None:
    """Note a failure that may pass; it is told once, when nothing was stored for a while."""
    storage = core.storage
    if not core.connected:
        return
    storage.failure = message
    if storage.failing_since is None:
        storage.failing_since = now.mono
    elif not storage.told and storage.problem is None and now.mono - storage.failing_since >= _PATIENCE_S:
        storage.told = True
        text = "nothing can be stored; it is tried again, and no more jobs are taken than can wait for it"
        core.effects.append(LogLine("warning", text, {"error": message}))


def something_stored(core: Core, *, result: bool = False) -> None:
    """Note that storing works; a result is the last of what is stored for a job."""
    storage = core.storage
    if storage.told:
        storage.told = False
        core.effects.append(LogLine("info", "results can be stored again", {}))
    storage.failing_since = None
    storage.failure = ""
    if result:
        storage.refusal_pause_s = FIRST_AFTER_REFUSAL_S
