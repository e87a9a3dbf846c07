"""How much of the jobs stream is held, priority by priority, and when the reading of one of them pauses. Pure.

A backlog of one priority must not keep another one's jobs from being read. And jobs are not read faster than the events
stream makes them known, or a slow server would have them wait in this process, in front of all else that it does.
"""

from __future__ import annotations

from pocket3d.contracts.lifecycle import PRIORITIES, Priority

#: Messages of one priority that are not settled: jobs whose first event is not stored, and further messages of known
#: ids. With more of them reading pauses.
ENTERING_CAP = 2048


class _Count:
    """Of one priority."""

    __slots__ = ("entering", "held", "reading", "repeated")

    def __init__(self) -> None:
        self.held = 0
        #: Of those held, the ones whose first event is not stored.
        self.entering = 0
        #: Further messages of known ids that have not left the stream.
        self.repeated = 0
        self.reading = True


class Intake:
    """Counts the jobs that are held.

    Args:
        cap: most jobs of one priority.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._of: dict[Priority, _Count] = {priority: _Count() for priority in PRIORITIES}

    def held(self, priority: Priority) -> int:
        """Jobs of a priority that are held."""
        return self._of[priority].held

    def entering(self, priority: Priority) -> int:
        """Of those, the ones whose first event is not stored."""
        return self._of[priority].entering

    def full(self) -> list[Priority]:
        """Priorities that are not read further because so many of their jobs are held."""
        return [priority for priority, count in self._of.items() if not count.reading and count.held >= self._room]

    @property
    def _room(self) -> float:
        """Below this many held jobs reading goes on."""
        return self._cap * 0.9

    def reading(self, priority: Priority) -> bool:
        """False while reading pauses."""
        return self._of[priority].reading

    def added(self, priority: Priority, *, known: bool) -> None:
        """A job was read; `known`: its first event was stored before."""
        self._of[priority].held += 1
        self._of[priority].entering += not known

    def known(self, priority: Priority) -> None:
        """The first event of a job is stored, or was."""
        self._of[priority].entering -= 1

    def removed(self, priority: Priority) -> None:
        """A job is held no more."""
        self._of[priority].held -= 1

    def repeated(self, priority: Priority) -> int:
        """Further messages of known ids that were read and are still in the stream."""
        return self._of[priority].repeated

    def count_repeated(self, priority: Priority, change: int) -> None:
        """There are so many more, or fewer."""
        self._of[priority].repeated += change

    def change(self, priority: Priority) -> bool | None:
        """Whether reading begins again (true) or pauses (false) now; None if it goes on as it did."""
        count = self._of[priority]
        unsettled = count.entering + count.repeated
        if count.reading and (count.held >= self._cap or unsettled >= ENTERING_CAP):
            count.reading = False
            return False
        if not count.reading and count.held < self._room and unsettled < ENTERING_CAP // 2:
            count.reading = True
            return True
        return None
