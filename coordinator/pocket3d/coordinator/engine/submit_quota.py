"""Whether a submit is taken: jobs that were taken and are not in the queue yet count too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pocket3d.contracts.lifecycle import JobState, Priority

from .state import Core

#: While nothing pauses the reading of the jobs stream, a message is read within this: one that is not was removed by
#: somebody, seconds.
READ_WITHIN_S = 30.0


class Arrival:
    """A job between its submit and the queue."""

    def __init__(self) -> None:
        #: Id, priority and sequence in the jobs stream, once it is stored.
        self.stored: tuple[str, Priority, int] | None = None
        #: Reading goes on since then and has not come to it, monotonic seconds.
        self.unread_since: float | None = None


class SubmitQuota:
    """Counts, for tenants with a `max_queued`, the jobs that are on their way into the queue. Pure.

    Args:
        core: the engine's state.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._arrivals: dict[str, list[Arrival]] = {}

    def refusal(self, tenant: str, now_mono: float) -> str | None:
        """Why no further job of a tenant is taken; None if it is."""
        share, arrivals = self._core.queue.share, self._arrivals.get(tenant, [])
        held = self._core.held.of_tenant(tenant)
        if share.refusal(tenant, held + len(arrivals)) is None:
            return None
        left = [each for each in arrivals if self._arrives(each, now_mono)]
        self._arrivals[tenant] = left
        if not left:
            del self._arrivals[tenant]
        return share.refusal(tenant, held + len(left))

    @contextmanager
    def arriving(self, tenant: str) -> Iterator[Arrival]:
        """Count a job while it is being stored, and if it was `stored` until it is in the queue."""
        arrival = Arrival()
        if self._core.queue.share.settings_of(tenant).max_queued is None:
            yield arrival
            return
        self._arrivals.setdefault(tenant, []).append(arrival)
        try:
            yield arrival
        finally:
            if arrival.stored is None:
                self._arrivals[tenant].remove(arrival)

    def _arrives(self, arrival: Arrival, now_mono: float) -> bool:
        """True while the job is not in the queue, and not beyond it."""
        if arrival.stored is None:
            return True
        core, (job_id, priority, seq) = self._core, arrival.stored
        record = core.jobs.get(job_id)
        if record is not None:
            return record.state is JobState.SUBMITTED
        if seq <= core.read_up_to[priority]:
            return False
        if not (core.jobs_indexed and core.intake.reading(priority)):
            arrival.unread_since = None
            return True
        if arrival.unread_since is None:
            arrival.unread_since = now_mono
        return now_mono - arrival.unread_since < READ_WITHIN_S
