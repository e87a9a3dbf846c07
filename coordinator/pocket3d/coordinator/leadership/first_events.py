"""First events of jobs on their way to the stream: alone while few jobs come, in atomic batches when many do. Pure.

Each event of a batch expects none of its id, and the server stores all or none. So one id that is known makes a batch
fail for the others too: then the last event of each is read, and those that have none are sent once more, alone. What a
job pays for another's second publish is one read.
"""

from __future__ import annotations

from collections import deque

from pocket3d.contracts.lifecycle import PRIORITIES, Priority

from ..engine.effects import PublishQueued, PublishQueuedBatch

#: Most events of one batch; the server takes 1,000.
MOST_EVENTS = 256
#: Appends of one priority at once, alone or in batches.
IN_FLIGHT = 4


class FirstEvents:
    """What waits, priority by priority, and how much is in flight."""

    def __init__(self) -> None:
        self._waiting: dict[Priority, deque[PublishQueued]] = {priority: deque() for priority in PRIORITIES}
        self._in_flight: dict[Priority, int] = dict.fromkeys(PRIORITIES, 0)
        #: Of those that were sent alone: job id -> its priority.
        self._alone: dict[str, Priority] = {}

    def put(self, effect: PublishQueued) -> None:
        """Queue the first event of a job."""
        self._waiting[effect.status.priority].append(effect)

    def send(self) -> list[PublishQueued | PublishQueuedBatch]:
        """What is to be sent now."""
        made: list[PublishQueued | PublishQueuedBatch] = []
        for priority, waiting in self._waiting.items():
            # Of one id at once: a message that was taken for a second publish may have left its event behind here.
            while waiting and self._in_flight[priority] < IN_FLIGHT and waiting[0].status.job_id not in self._alone:
                self._in_flight[priority] += 1
                made.append(self._next(priority, waiting))
        return made

    def _next(self, priority: Priority, waiting: deque[PublishQueued]) -> PublishQueued | PublishQueuedBatch:
        batch = [waiting.popleft()]
        ids = {batch[0].status.job_id}
        # What is no job has an error of any length with it, and goes alone.
        while waiting and len(batch) < MOST_EVENTS and batch[0].status.error is None is waiting[0].status.error:
            if waiting[0].status.job_id in ids:
                break
            ids.add(waiting[0].status.job_id)
            batch.append(waiting.popleft())
        if len(batch) > 1:
            return PublishQueuedBatch(priority, tuple(batch))
        self._alone[batch[0].status.job_id] = priority
        return batch[0]

    def answered(self, job_id: str) -> None:
        """The outcome of one that was sent alone has come; nothing if it was not sent by `send`."""
        priority = self._alone.pop(job_id, None)
        if priority is not None:
            self._in_flight[priority] -= 1

    def batch_answered(self, batch: PublishQueuedBatch) -> None:
        """The outcome of a batch has come."""
        self._in_flight[batch.priority] -= 1
