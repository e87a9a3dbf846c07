"""Events on their way to the stream: in order, in atomic batches, one in flight, each fenced by the leader record."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from pocket3d.bus.port import Append, Bus, BusError, Conflict, Expect, OutcomeUnknown
from pocket3d.contracts.codec import encode
from pocket3d.contracts.subjects import Subjects

from .effects import PublishEvent
from .history import JOB_SEQ_HEADER
from .limits import fit_status, room_of

log = structlog.get_logger(__name__)

#: Header: a batch's own name, by which a batch whose answer was lost is recognised.
_BATCH_HEADER = "P3d-Batch"
_MOST_MESSAGES = 500
_MOST_BYTES = 768 * 1024
_PAUSE_S = 0.2


class EventOutbox:
    """Stores events in the order given. Stops for good when the fence says that another leads.

    A batch without an answer may still be stored at any time (a dead connection's last bytes, a slow proposal), also
    after it was sent again, and then would tell the story's older half behind the newer one. So the leader record is
    written anew first: what carries the former fence is refused from then on, and what is read back is final.

    Args:
        fence: sequence of this leader's record in the events stream.
        stored: called with the effects of each stored batch.
        deposed: called once when the fence no longer holds.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        fence: int,
        stored: Callable[[Sequence[PublishEvent]], None],
        deposed: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._fence = Expect(fence, subjects.leader_record())
        self._stored = stored
        self._deposed = deposed
        self._waiting: deque[PublishEvent] = deque()
        self._news = asyncio.Event()
        self._name = uuid.uuid4().hex
        self._batches = 0

    def put(self, effect: PublishEvent) -> None:
        """Queue one event."""
        self._waiting.append(effect)
        self._news.set()

    async def run(self) -> None:
        """Store what is queued, until cancelled or deposed."""
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            batch, messages = self._next_batch()
            if not await self._store(messages):
                log.warning("the events stream has another leader's record")
                self._deposed()
                return
            self._stored(batch)

    def _next_batch(self) -> tuple[list[PublishEvent], list[Append]]:
        batch: list[PublishEvent] = []
        messages: list[Append] = []
        size = 0
        self._batches += 1
        name = f"{self._name}-{self._batches}"
        while self._waiting and len(batch) < _MOST_MESSAGES:
            effect = self._waiting[0]
            body = encode(fit_status(effect.status, room_of(self._bus.max_payload)))
            if batch and size + len(body) > _MOST_BYTES:
                break
            size += len(body)
            self._waiting.popleft()
            batch.append(effect)
            subject = self._subjects.event(effect.status.feature, effect.status.job_id, effect.event)
            headers = {JOB_SEQ_HEADER: str(effect.job_seq), _BATCH_HEADER: name}
            messages.append(Append(subject, body, headers, self._fence if not messages else None))
        return batch, messages

    async def _store(self, messages: list[Append]) -> bool:
        """True when the batch stands in the stream, false when another leads."""
        while True:
            try:
                await self._bus.append_batch(messages)
                return True
            except Conflict:
                # Ours may have stood there already, or another leader's record does.
                if await self._stands(messages[-1]):
                    return True
                if await self._deposed_by_record():
                    return False
            except OutcomeUnknown as error:
                log.warning("no answer to a batch of events", error=str(error))
                if not await self._fence_anew():
                    return False
                if await self._stands(messages[-1]):
                    return True
                messages[0] = messages[0]._replace(expect=self._fence)
            except BusError as error:
                log.warning("events could not be stored yet", error=str(error))
            await asyncio.sleep(_PAUSE_S)

    async def _stands(self, message: Append) -> bool:
        """Read back: is the batch's last message the newest on its subject?"""
        wanted = (message.headers or {}).get(_BATCH_HEADER)
        while True:
            try:
                found = await self._bus.last(self._subjects.events_stream, message.subject)
            except BusError as error:
                log.warning("the events stream could not be read yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            return found is not None and found.headers.get(_BATCH_HEADER) == wanted

    async def _fence_anew(self) -> bool:
        """Write the leader record again; false if another leader's stands there."""
        subject = self._subjects.leader_record()
        ours: bytes | None = None
        while True:
            try:
                record = await self._bus.last(self._subjects.events_stream, subject)
                if record is None:
                    return False
                if record.seq != self._fence.last:
                    if record.data != ours:
                        return False
                    # An earlier try of this very loop got through.
                    self._fence = Expect(record.seq, subject)
                    return True
                ours = record.data
                self._fence = Expect(await self._bus.append(subject, ours, expect=Expect(record.seq)), subject)
                return True
            except BusError as error:
                log.warning("the leader record could not be written anew yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)

    async def _deposed_by_record(self) -> bool:
        try:
            record = await self._bus.last(self._subjects.events_stream, self._subjects.leader_record())
        except BusError:
            return False
        return record is None or record.seq != self._fence.last
