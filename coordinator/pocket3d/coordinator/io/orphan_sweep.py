"""Removes what no result names from the outputs, and chunks without an object from both stores. The leader does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pocket3d.bus.port import Bus, BusError, ListedObject
from pocket3d.contracts.clock import Now
from pocket3d.contracts.subjects import Subjects

from ..leadership.orphans import LooseUploads, due_job, is_named

log = structlog.get_logger(__name__)

#: Objects that are read at once, and the rest after that, seconds: a store of 100,000 takes a quarter of an hour.
_PAGE = 100
_REST_S = 0.5
#: From one look at the stores to the next: this part of the grace, within bounds, seconds.
_PART = 4
_SHORTEST_S = 1.0
_LONGEST_S = 600.0


class OrphanSweep:
    """Of one leadership.

    Args:
        bus: its connection.
        subjects: names of the namespace.
        grace_s: how long everything is left alone, seconds.
        clock: of the leader.
        may_remove: false as soon as another may have taken the lead.
        in_use: true of an output that is an input of an unfinished job.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        grace_s: float,
        clock: Callable[[], Now],
        may_remove: Callable[[], bool],
        in_use: Callable[[str], bool],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._grace_s = grace_s
        self._clock = clock
        self._may_remove = may_remove
        self._in_use = in_use
        self._loose = {bucket: LooseUploads(grace_s) for bucket in (subjects.inputs_bucket, subjects.outputs_bucket)}
        #: When the uploads of a store are listed next, monotonic seconds.
        self._uploads_at = dict.fromkeys(self._loose, 0.0)
        #: Up to this place in the list of outputs each was found to be named, or removed.
        self._settled = 0

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(min(max(self._grace_s / _PART, _SHORTEST_S), _LONGEST_S))
            for bucket in self._loose:
                try:
                    await self._look(bucket)
                except BusError as error:
                    log.debug("a store could not be looked through", bucket=bucket, error=str(error))

    async def _look(self, bucket: str) -> None:
        # To list uploads costs the server much, so it is asked twice in a grace. In this order: an upload that ends
        # meanwhile is named by an object.
        mono = self._clock().mono
        uploads: dict[str, int] | None = None
        if mono >= self._uploads_at[bucket]:
            uploads = await self._bus.uploads(bucket)
            self._uploads_at[bucket] = mono + self._grace_s / 2
        elif bucket != self._subjects.outputs_bucket:
            return
        named: set[str] = set()
        start, all_settled = 1 if uploads is not None else self._settled + 1, True
        while page := await self._bus.objects(bucket, start=start, limit=_PAGE):
            for each in page:
                named.add(each.upload)
                if bucket == self._subjects.outputs_bucket and each.seq > self._settled:
                    all_settled = await self._settle(each) and all_settled
                    if all_settled:
                        self._settled = each.seq
            start = page[-1].seq + 1
            await asyncio.sleep(_REST_S)
        if uploads is None:
            return
        for upload in self._loose[bucket].broken_off(uploads, named, self._clock().mono):
            if self._may_remove():
                await self._bus.delete_upload(bucket, upload)
                log.info("chunks without an object were removed", bucket=bucket, upload=upload)

    async def _settle(self, each: ListedObject) -> bool:
        """True once it is known for good that an object is named, or it is removed."""
        job_id = due_job(each.name, each.stored_at, self._clock().wall, self._grace_s)
        if job_id is None:
            return False
        result = await self._bus.last(self._subjects.results_stream, self._subjects.result_of(job_id))
        if result is None:
            # The attempt goes on, or its job is tried again; or the result has left by age, and the file will.
            return False
        if is_named(each.name, result.data, job_id):
            return True
        if not self._may_remove() or self._in_use(each.name):
            return False
        await self._bus.delete_object(self._subjects.outputs_bucket, each.name)
        log.info("an output that no result names was removed", job_id=job_id, object=each.name)
        return True
