"""Whether a submit is taken: jobs that were taken and are not in the queue yet count too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pocket3d.contracts.lifecycle import JobState, Priority

from .state import Core


class Arrival:
    """A job between its submit and the queue."""

    def __init__(self) -> None:
        #: Id, priority and sequence in the jobs stream, once it is stored.
        self.stored: tuple[str, Priority, int] | None = None


class SubmitQuota:
    """Counts, for tenants with a `max_queued`, the jobs that are on their way into the queue. Pure.

    Args:
        core: the engine's state.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._arrivals: dict[str, list[Arrival]] = {}

    def refusal(self, tenant: str) -> str | None:
        """Why no further job of a tenant is taken; None if it is."""
        share, arrivals = self._core.queue.share, self._arrivals.get(tenant, [])
        held = self._core.held.of_tenant(tenant)
        if share.refusal(tenant, held + len(arrivals)) is None:
            return None
        left = [each for each in arrivals if self._arrives(each)]
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

    def _arrives(self, arrival: Arrival) -> bool:
        """True while the job is not in the queue, and not beyond it."""
        if arrival.stored is None:
            return True
        job_id, priority, seq = arrival.stored
        record = self._core.jobs.get(job_id)
        return record.state is JobState.SUBMITTED if record is not None else seq > self._core.read_up_to[priority]
