"""Jobs whose adapters are unavailable wherever they are listed: after a while it makes no sense to wait for them."""

from __future__ import annotations

from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import DeclineCode

from ..engine.job import GroupKey, JobRecord
from ..settings import CoordinatorSettings
from .fleet import Fleet
from .queue import JobGroup, WaitingQueue

#: Choices of adapters remembered before those that no job waits for are forgotten.
_KEPT = 256


class _Group:
    """Job groups with the same feature and the same binding adapters."""

    __slots__ = ("keys", "reason", "since")

    def __init__(self, since: float) -> None:
        #: Monotonic seconds.
        self.since = since
        #: What is wrong with one of the adapters, for people.
        self.reason = ""
        #: Lines that wait for it.
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
        #: By feature and binding adapters.
        self._groups: dict[tuple[str, tuple[str, ...] | None], _Group] = {}

    def __len__(self) -> int:
        """Number of choices of adapters that are remembered."""
        return len(self._groups)

    def note(self, line: JobGroup, now_mono: float, *, nobody: bool) -> None:
        """Watch a job group that no agent could take, if the only reason is that its adapters are broken: unavailable,
        or benched for more than once in a row (the first pause gives an adapter a second chance).
        """
        of = (line.key.canonical, line.key.preferred)
        all_of_them = [reason for reasons in line.reasons.values() for reason in reasons] if nobody else []
        wrong = [reason for reason in all_of_them if self._is_broken(reason)]
        if not wrong or any(r.code != DeclineCode.NO_ADAPTER.value for r in all_of_them if r not in wrong):
            self._groups.pop(of, None)
            return
        if len(self._groups) > _KEPT:
            self.forget_unwanted()
        group = self._groups.setdefault(of, _Group(now_mono))
        group.reason = f"{wrong[0].adapter_id} on {wrong[0].agent_id}: {wrong[0].message or 'not available'}"
        group.keys.add(line.key)

    def forget_unwanted(self) -> None:
        """Forget what no waiting job needs: whether it is broken still is not looked at, so the wait begins anew."""
        self._groups = {key: g for key, g in self._groups.items() if any(map(self._queue.line_of, g.keys))}

    def _is_broken(self, reason: Reason) -> bool:
        if reason.code == DeclineCode.BENCHED.value:
            return self._fleet.fails_again(reason.agent_id, reason.adapter_id)
        return reason.code == DeclineCode.ADAPTER_UNAVAILABLE.value

    def overdue(self, now_mono: float) -> list[tuple[JobRecord, str]]:
        """Jobs whose adapters have been broken everywhere for too long, and what is wrong."""
        found: list[tuple[JobRecord, str]] = []
        for group in self._groups.values():
            if now_mono - group.since >= self._settings.unavailable_wait_s:
                lines = [self._queue.line_of(key) for key in group.keys]
                found += [(record, group.reason) for line in lines if line is not None for record in line]
                group.keys.clear()
        return found

    def begin_waits_again(self, now_mono: float) -> None:
        """Begin all waits again: after a pause or a reconnect it is not known what agents offered meanwhile."""
        for group in self._groups.values():
            group.since = now_mono
