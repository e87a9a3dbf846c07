"""The chains of one leadership: the one task that owns their engine, and what runs its effects. Decides nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable

import structlog

from pocket3d.bus.inbox import Inbox
from pocket3d.bus.port import Bus, BusError, TooLarge
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.chains import AnyChainRequest, job_of
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, encode
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import SubmitRequest
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.contracts.messages import Result, read_result
from pocket3d.contracts.subjects import ChainKind, Subjects

from ..chains import effects, events
from ..chains.engine import ChainEngine
from ..chains.record import ANOTHER_REQUEST, ChainKey, Failure
from ..chains.story import end_of
from ..engine.submit_quota import SubmitQuota
from ..leadership.request_fingerprint import REQUEST_DIGEST_HEADER, request_digest
from .chain_store import all_unfinished, begun_since, read_chain, read_chain_request, store_event
from .input_sizes import InputSizes

log = structlog.get_logger(__name__)

#: Their calls on the bus wait for one another here, and hold up nobody else.
_LANE = "chains"
#: Before the stream is asked again for what has not ended, seconds.
_PAUSE_S = 0.25
#: How often it is looked for what was stored by nobody that is there: by a former leader, or late, seconds.
_LOOK_S = 10.0
#: Requests that are kept decoded: a group's is read once for each of its jobs.
_REQUESTS = 16
#: Chains and groups that are read at a time: each may be as large as a message, and of a connection that does not read
#: as fast a server keeps 64 MB.
_READS = 16


class ChainTerm:
    """From `Lead` to `StepDown`.

    Args:
        tasks: where the calls run; they end with the leadership.
        quota: of tenants, whose steps wait until there is room.
        cancel: asks the engine of jobs to end one, with a reason.
        is_known: as `ChainEngine` asks it.
        leads: as `ChainEngine` asks it.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        clock: Callable[[], Now],
        tasks: TaskPool,
        quota: SubmitQuota,
        cancel: Callable[[str, str], None],
        is_known: Callable[[str], bool],
        leads: Callable[[Now], bool],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._tasks = tasks
        self._quota = quota
        self._cancel = cancel
        self.engine = ChainEngine(is_known=is_known, leads=leads)
        self._events: Inbox[events.ChainEvent | asyncio.Future[None]] = Inbox()
        self._asks: dict[int, asyncio.Future[bool]] = {}
        self._numbers = itertools.count(1)
        self._requests: OrderedDict[int, AnyChainRequest] = OrderedDict()
        #: Of reading a request.
        self._turn = asyncio.Lock()
        self._reads = asyncio.Semaphore(_READS)
        #: Of lists: each reads what was submitted, which may be a megabyte for each line.
        self.listing = asyncio.Lock()
        self._sizes = InputSizes(bus, subjects)
        self._closed = False

    def begin(self) -> None:
        """Own the engine from now on, and take over what has not ended."""
        self._tasks.spawn(self._events.read(self._handle), bounded=False)
        self._tasks.spawn(self._take_over(), bounded=False)

    def close(self) -> None:
        """Nothing more is fed to the engine; those who wait are told that it is not done."""
        self._closed = True
        for ask in self._asks.values():
            if not ask.done():
                ask.set_result(False)
        for left in self._events.drain():
            if isinstance(left, asyncio.Future) and not left.done():
                left.set_result(None)

    # -- what comes in

    def feed(self, event: events.ChainEvent) -> None:
        """Queue an event for the engine."""
        if not self._closed:
            self._events.put(event)

    async def handled(self) -> None:
        """Wait until the engine has handled what was fed before."""
        if self._closed:
            return
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events.put(mark)
        await mark

    def result(self, result: Result) -> None:
        """A job has its result."""
        if self.engine.follows(result.job_id):
            self.feed(events.JobEnded(result.job_id, *end_of(result)))

    async def asked(self, event: Callable[[int], events.ChainEvent]) -> bool:
        """Hand in somebody's wish, and wait until it is stored; false if the leadership ended before.

        Args:
            event: makes the event with the number of the wish.
        """
        if self._closed:
            return False
        number = next(self._numbers)
        ask: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asks[number] = ask
        self.feed(event(number))
        try:
            return await ask
        finally:
            del self._asks[number]

    def _handle(self, event: events.ChainEvent | asyncio.Future[None]) -> None:
        if isinstance(event, asyncio.Future):
            if not event.done():
                event.set_result(None)
            return
        if self._closed:
            return
        for effect in self.engine.handle(event, self._clock()):
            self._run(effect)

    async def adopt(self, key: ChainKey) -> bool:
        """Hold one that has not ended, if the stream has it; false if it could not be read."""
        if key in self.engine.chains:
            return True
        found = await read_chain(self._bus, self._subjects, effects.ReadChain(key))
        if isinstance(found, events.ChainUnread):
            return False
        if found.record is not None:
            self.feed(found)
            await self.handled()
        return True

    async def _take_over(self) -> None:
        """Read what has not ended; then, now and then, what was stored since and is not held."""
        seen: dict[ChainKind, int] | None = None
        while True:
            try:
                if seen is None:
                    newest = await self._bus.last_seq(self._subjects.chains_stream)
                    found = await all_unfinished(self._bus, self._subjects)
                    seen = {"chain": newest, "group": newest}
                else:
                    found = await begun_since(self._bus, self._subjects, seen)
            except BusError as error:
                log.debug("the chains stream could not be listed yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            for key in found:
                if key not in self.engine.chains:
                    self._run(effects.ReadChain(key))
            await asyncio.sleep(_LOOK_S)

    # -- what is to be done

    def _run(self, effect: effects.ChainEffect) -> None:
        if isinstance(effect, effects.Answer):
            ask = self._asks.get(effect.ask)
            if ask is not None and not ask.done():
                ask.set_result(True)
        elif isinstance(effect, effects.CancelJob):
            self._cancel(effect.job_id, effect.reason)
        else:
            self._tasks.spawn(self._call(effect), lane=_LANE)

    async def _call(self, effect: effects.StartStep | effects.ReadChain | effects.StoreEvent) -> None:
        if isinstance(effect, effects.StartStep):
            self.feed(await self._start(effect))
        elif isinstance(effect, effects.ReadChain):
            async with self._reads:
                again = await read_chain(self._bus, self._subjects, effect)
            if isinstance(again, events.ChainUnread) and effect.key not in self.engine.chains:
                # It was to be taken over: the engine does not know of it yet.
                await asyncio.sleep(_PAUSE_S)
                self._run(effect)
                return
            self.feed(again)
        else:
            self.feed(await store_event(self._bus, self._subjects, effect))

    async def _start(self, effect: effects.StartStep) -> events.ChainEvent:
        key, job_id = effect.key, effect.job_id
        try:
            request = await self._request(key, effect.seq)
            if request is None:
                return _refused(effect, FailureCode.INVALID_INPUT, "its request is not kept any more")
            job = job_of(request, effect.place, job_id, effect.sources)
            known = await self._known(effect, job)
            if known is not None:
                return known
            return await self._publish(effect, job)
        except WireError as error:
            return _refused(effect, FailureCode.INVALID_INPUT, f"its request cannot be read: {error}")
        except BusError as error:
            log.debug("the job of a step could not be stored yet", job_id=job_id, error=str(error))
            return events.StepUnstarted(key, job_id)

    async def _request(self, key: ChainKey, seq: int) -> AnyChainRequest | None:
        if seq not in self._requests:
            # Its other jobs, that begin in the same moment, wait for it: a megabyte for each of them at once is more
            # than a server keeps for one connection.
            async with self._turn:
                if seq not in self._requests:
                    request = await read_chain_request(self._bus, self._subjects, key, seq)
                    if request is None:
                        return None
                    self._requests[seq] = request
                    if len(self._requests) > _REQUESTS:
                        self._requests.popitem(last=False)
        return self._requests[seq]

    async def _known(self, effect: effects.StartStep, job: SubmitRequest) -> events.ChainEvent | None:
        """What the streams say of a job of that id; None if nobody knows it."""
        job_id = effect.job_id
        first = await self._bus.pages(self._subjects.events_stream, self._subjects.events_of(job_id), start=1, limit=1)
        if not first:
            return None
        digest = first[0].headers.get(REQUEST_DIGEST_HEADER)
        if digest and digest != request_digest(job.job()):
            told = f"{ANOTHER_REQUEST}: submit under another id"
            return _refused(effect, FailureCode.INVALID_INPUT, told)
        stored = await self._bus.last(self._subjects.results_stream, self._subjects.result_of(job_id))
        if stored is not None:
            try:
                return events.JobEnded(job_id, *end_of(read_result(stored.data, job_id)))
            except WireError:
                # The coordinator puts a result in its place, which comes as all do.
                log.warning("not a result, passed over", subject=stored.subject)
        return events.StepStarted(effect.key, job_id)

    async def _publish(self, effect: effects.StartStep, job: SubmitRequest) -> events.ChainEvent:
        if self._quota.refusal(job.tenant, self._clock().mono) is not None:
            # Its turn comes when others of its tenant have started.
            return events.StepUnstarted(effect.key, effect.job_id)
        priority = next(each for each in PRIORITIES if each == job.priority)
        subject = self._subjects.job(priority, job.feature)
        with self._quota.arriving(job.tenant) as arrival:
            try:
                headers = {"Nats-Msg-Id": effect.job_id, **await self._sizes.header(job.inputs)}
                seq = await self._bus.append(subject, encode(job.job()), headers=headers)
            except TooLarge as error:
                return _refused(effect, FailureCode.TOO_LARGE, str(error))
            arrival.stored = effect.job_id, priority, seq
        return events.StepStarted(effect.key, effect.job_id)


def _refused(effect: effects.StartStep, code: FailureCode, message: str) -> events.StepRefused:
    return events.StepRefused(effect.key, effect.job_id, Failure(code.value, message))
