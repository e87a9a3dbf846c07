"""Which jobs wait for something other than an award: found without a walk over all jobs."""

from __future__ import annotations

import math

from .job import JobRecord


class JobIndex:
    """Jobs by what their records say of them. A record alone knows; `file` is the only place where the lists change."""

    def __init__(self) -> None:
        #: Of a former leader's time, waiting for the word of an agent or of the results stream.
        self.recovering: dict[str, JobRecord] = {}
        #: Whose agents were asked to stop.
        self.cancelling: dict[str, JobRecord] = {}
        #: Whose awards got no answer, and whose agents are asked again and again.
        self.unanswered: dict[str, JobRecord] = {}
        #: Whose endings wait until the leadership is proven.
        self.pending_decisions: dict[str, JobRecord] = {}
        #: Whose messages somebody removed from the jobs stream.
        self.removed: dict[str, JobRecord] = {}

    def file(self, record: JobRecord) -> None:
        """Put a job into the lists to which it belongs, and out of the others. Asked after each change of these."""
        for jobs, belongs in self.memberships(record):
            if belongs:
                jobs[record.job_id] = record
            else:
                jobs.pop(record.job_id, None)

    def memberships(self, record: JobRecord) -> tuple[tuple[dict[str, JobRecord], bool], ...]:
        """Each list, and whether the job belongs to it."""
        attempt = record.attempt
        return (
            (self.recovering, record.recovery is not None),
            (self.cancelling, attempt is not None and math.isfinite(attempt.cancel_by)),
            (self.unanswered, attempt is not None and attempt.unanswered),
            (self.pending_decisions, record.ending is not None),
            (self.removed, record.removed),
        )
