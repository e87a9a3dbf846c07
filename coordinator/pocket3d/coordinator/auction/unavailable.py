"""Jobs whose adapters are unavailable wherever they are listed: after a while it makes no sense to wait for them."""

from __future__ import annotations

from itertools import chain, islice

from pocket3d.contracts.failures import DeclineCode

from ..engine.job import GroupKey, JobRecord
from ..settings import CoordinatorSettings
from .fleet import Fleet
from .queue import JobGroup, WaitingQueue

#: Choices of adapters remembered before those that no job waits for are forgotten.
_KEPT = 256
#: What says that an agent has no adapter for the job, working or not.
_NOT_FOR_IT = {DeclineCode.NO_ADAPTER.value, DeclineCode.LICENCE.value}


class _Choice:
    """Job groups with the same feature and the same binding adapters."""

    __slots__ = ("keys", "reason", "since")

    def __init__(self, since: float) -> None:
        #: Monotonic seconds.
        self.since = since
        #: What is wrong with one of the adapters, for people.
        self.reason: str
        #: Job groups that wait for it.
        self.keys: set[GroupKey] = set()


class Unavailable:
    """Watches job groups that no agent can serve because every adapter is broken. Pure.

    Args:
        settings: how long such jobs wait.
        queue: who waits.
        fleet: whose adapters are benched.
    """

    def __init__(self, settings: CoordinatorSettings, queue: WaitingQueue, fleet: Fleet) -> None:
        self._settings = settings
        self._queue = queue
        self._fleet = fleet
        #: By feature, binding adapters, and whether they must allow commercial use.
        self._choices: dict[tuple[str, tuple[str, ...] | None, bool], _Choice] = {}

    def __len__(self) -> int:
        """Number of choices of adapters that are remembered."""
        return len(self._choices)

    def note(self, group: JobGroup, now_mono: float, *, nobody: bool) -> None:
        """Watch a job group that no agent could take, if the only reason is that its adapters are unavailable. A bench
        is waited for: it ends by itself, and no job ends by the failures of others.
        """
        of = (group.key.canonical, group.key.preferred, group.key.commercial_only)
        all_of_them = [reason for reasons in group.reasons.values() for reason in reasons] if nobody else []
        wrong = [reason for reason in all_of_them if reason.code == DeclineCode.ADAPTER_UNAVAILABLE.value]
        if not wrong or any(r.code not in _NOT_FOR_IT for r in all_of_them if r not in wrong):
            self._choices.pop(of, None)
            return
        if len(self._choices) > _KEPT:
            self.forget_unwanted()
        choice = self._choices.setdefault(of, _Choice(now_mono))
        choice.reason = f"{wrong[0].adapter_id} on {wrong[0].agent_id}: {wrong[0].message or 'not available'}"
        choice.keys.add(group.key)

    def forget_unwanted(self) -> None:
        """Forget what no waiting job needs: whether it is broken still is not looked at, so the wait begins anew."""
        self._choices = {key: each for key, each in self._choices.items() if any(map(self._queue.group_of, each.keys))}

    def overdue(self, now_mono: float, most: int) -> list[tuple[JobRecord, str]]:
        """Jobs whose adapters have been broken everywhere for too long, and what is wrong; at most so many."""
        found: list[tuple[JobRecord, str]] = []
        for choice in self._choices.values():
            if now_mono - choice.since >= self._settings.unavailable_wait_s:
                groups = [self._queue.group_of(key) for key in choice.keys]
                jobs = chain.from_iterable(group for group in groups if group is not None)
                found += [(record, choice.reason) for record in islice(jobs, most - len(found))]
                if len(found) == most:
                    # The others when these have left.
                    break
                choice.keys.clear()
        return found

    def begin_waits_again(self, now_mono: float) -> None:
        """Begin all waits again: after a pause or a reconnect it is not known what agents offered meanwhile."""
        for choice in self._choices.values():
            choice.since = now_mono
