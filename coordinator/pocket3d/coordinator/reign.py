"""One leadership: the engine of this epoch, what feeds it, and what performs its effects. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pocket3d.bus.port import CONSUMER_NOT_FOUND, Bus, BusError, Closable, ConsumerName, Delivery, Msg, Refused
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.commands import AgentRecord, CallAnswered, OutcomesReported
from pocket3d.contracts.jobs import admit, generated_id
from pocket3d.contracts.lifecycle import PRIORITIES, Priority
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects

from . import events
from .effects import PublishEvent
from .engine import CoordinatorEngine
from .history import read_stored_result
from .outbox import EventOutbox
from .performer import Performer
from .requests import Request
from .settings import CoordinatorSettings
from .tasks import TaskPool

log = structlog.get_logger(__name__)

_IN_FLIGHT = 256
#: Period in which the backlog is counted again until it has been read, seconds.
_RECOUNT_S = 0.5
#: How often the consumers are looked at, seconds.
_CONSUMERS_S = 2.0
#: How much of an event an error message shows.
_EVENT_CHARS = 500


class Backlog:
    """What is still to be read of what lay in a stream at a moment. A redelivered message counts once.

    Args:
        count: messages.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._read: set[int] = set()
        #: Of those read, the ones that have been acked since.
        self._acked: set[int] = set()

    @property
    def done(self) -> bool:
        """True when all of it was read."""
        return self._count == 0

    def read(self, seq: int) -> bool:
        """A message was read; true if it was the last of the backlog."""
        if self.done:
            return False
        self._read.add(seq)
        if len(self._read) < self._count:
            return False
        self._end()
        return True

    def acked(self, seq: int) -> None:
        """The server has confirmed our ack."""
        if seq in self._read:
            self._acked.add(seq)

    def recount(self, unacked: int) -> bool:
        """So many lie there un-acked now; true if all of them have been read. An ack of the former leader that came
        late took away a message that was counted, and that is never delivered.
        """
        if self.done or unacked > len(self._read) - len(self._acked):
            return False
        self._end()
        return True

    def _end(self) -> None:
        self._count = 0
        self._read, self._acked = set(), set()


class EngineFault(Exception):
    """The coordinator's own mistake. Its process ends, and a standby goes on from what the streams hold.

    Args:
        event: on which it failed.
        story: the moves of the job that the event is about, if any.
    """

    def __init__(self, event: events.Event, story: str) -> None:
        text = f"{type(event).__name__} could not be handled: {str(event)[:_EVENT_CHARS]}"
        super().__init__(text + (f"; story: {story}" if story else ""))


class Reign:
    """From `Lead` to `StepDown`. A later leadership of the same process starts with a new engine.

    Args:
        epoch: of this leadership.
        fence: sequence of its leader record in the events stream.
        known: agents that the former leader knew, or that were heard meanwhile.
        certain: false as soon as another may have taken the lead; then nothing is taken from the streams.
        prove: asks the leadership to renew the lease now.
        depose: called when the fence no longer holds.
        restore: makes what is missing on the server.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        settings: CoordinatorSettings,
        coordinator_id: str,
        clock: Callable[[], Now],
        *,
        epoch: int,
        fence: int,
        known: Sequence[AgentRecord],
        certain: Callable[[], bool],
        prove: Callable[[], None],
        depose: Callable[[], None],
        restore: Callable[[], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._restore = restore
        self._subjects = subjects
        self._settings = settings
        self._clock = clock
        self._epoch = epoch
        self._known = tuple(known)
        self._coordinator_id = coordinator_id
        self.engine = CoordinatorEngine(settings)
        #: Events, and marks of those who wait until what came before was handled.
        self._events: asyncio.Queue[events.Event | asyncio.Future[None]] = asyncio.Queue()
        self.tasks = TaskPool(_IN_FLIGHT)
        self._outbox = EventOutbox(bus, subjects, fence, self._events_stored, depose)
        self._performer = Performer(
            bus, subjects, coordinator_id, epoch, settings, clock, self.tasks, self._outbox, self.feed, prove
        )
        self._open: list[Closable] = []
        self._deadline: asyncio.TimerHandle | None = None
        self._closed = False
        self._stream_created = 0.0
        self._reading = asyncio.Event()
        self._reading.set()
        self._performer.reading = self._reading
        self._performer.job_acked = lambda seq: self._jobs_backlog.acked(seq)
        self._performer.result_acked = lambda seq: self._results_backlog.acked(seq)
        self._begun = False
        self._certain = certain
        #: What lay in the streams when the lead was taken and has not been read yet.
        self._results_backlog = Backlog(0)
        self._jobs_backlog = Backlog(0)
        self._results_counted = False
        self._jobs_counted = False

    # -- the loop

    def feed(self, event: events.Event) -> None:
        """Queue an event for the engine."""
        if not self._closed:
            self._events.put_nowait(event)

    async def handled(self) -> None:
        """Wait until the engine has handled what was fed before."""
        if self._closed:
            return
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events.put_nowait(mark)
        await mark

    async def _decide(self) -> None:
        """The one task that owns the engine. An exception of it, or of the effects' beginning, ends the process: a
        half-changed engine must not go on in silence.
        """
        while True:
            event = await self._events.get()
            if isinstance(event, asyncio.Future):
                _release(event)
            elif not self._closed:
                self._handle(event)

    def _handle(self, event: events.Event) -> None:
        try:
            for effect in self.engine.handle(event, self._clock()):
                self._performer.perform(effect)
        except Exception as error:
            raise EngineFault(event, self.engine.story_of(event)) from error
        self._watch_deadline()

    def _watch_deadline(self) -> None:
        deadline = self.engine.deadline
        if deadline is None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            return
        if self._deadline is None:
            wait = max(deadline - self._clock().mono, 0.0)
            self._deadline = asyncio.get_running_loop().call_later(wait, self._round_is_due)

    def _round_is_due(self) -> None:
        self._deadline = None
        self.feed(events.RoundDue())

    def _events_stored(self, effects: Sequence[PublishEvent]) -> None:
        ended = tuple(effect.status.job_id for effect in effects if effect.answer)
        if ended:
            self.feed(events.EventsStored(ended))

    # -- life

    async def begin(self) -> None:
        """Take over in this order: hear the agents, drain the results, read the jobs again."""
        bus, subjects = self._bus, self._subjects
        for half_open in self._open:
            await half_open.close()
        self._open.clear()
        self._stream_created = await bus.stream_created(subjects.jobs_stream)
        self._open.append(await bus.subscribe(subjects.bids(self._coordinator_id), self._on_bid))
        self._open.append(await bus.subscribe(subjects.all_outcomes(), self._on_outcome))
        if not self._begun:
            self._begun = True
            self.tasks.spawn(self._decide(), bounded=False)
            self.tasks.spawn(self._outbox.run(), bounded=False)
            self.tasks.spawn(self._recount(), bounded=False)
            self.tasks.spawn(self._keep_consumers(), bounded=False)
            self.feed(events.Led(self._epoch, self._known, bus.max_payload))
        results = coordinator_results(subjects)
        await bus.take_over(results)
        self._results_backlog = Backlog(await bus.backlog(results))
        self._results_counted = True
        if self._results_backlog.done:
            self.feed(events.ResultsDrained())
        self._open.append(await bus.consume(results, self._on_results, allowed=self._certain))
        consumers: list[tuple[Priority, ConsumerName]] = [(p, coordinator_jobs(subjects, p)) for p in PRIORITIES]
        jobs = 0
        for _, consumer in consumers:
            await bus.take_over(consumer)
            jobs += await bus.backlog(consumer)
        self._jobs_backlog = Backlog(jobs)
        self._jobs_counted = True
        if self._jobs_backlog.done:
            self.feed(events.JobsIndexed())
        for _, consumer in consumers:
            self._open.append(await bus.consume(consumer, self._on_jobs, allowed=self._certain))

    async def _recount(self) -> None:
        """Count what is left until it has been read."""
        consumers = [coordinator_jobs(self._subjects, priority) for priority in PRIORITIES]
        while not (
            self._jobs_counted and self._jobs_backlog.done and self._results_counted and self._results_backlog.done
        ):
            await asyncio.sleep(_RECOUNT_S)
            try:
                if self._results_counted and not self._results_backlog.done:
                    left = await self._bus.backlog(coordinator_results(self._subjects))
                    if self._results_backlog.recount(left):
                        self.feed(events.ResultsDrained())
                if self._jobs_counted and not self._jobs_backlog.done:
                    left = sum([await self._bus.backlog(consumer) for consumer in consumers])
                    if self._jobs_backlog.recount(left):
                        self.feed(events.JobsIndexed())
            except BusError as error:
                log.debug("the backlog was not counted", error=str(error))

    async def _keep_consumers(self) -> None:
        """Make a consumer again that somebody removed: its pull finds it by itself."""
        subjects = self._subjects
        consumers = [coordinator_results(subjects), *(coordinator_jobs(subjects, p) for p in PRIORITIES)]
        while True:
            await asyncio.sleep(_CONSUMERS_S)
            for consumer in consumers:
                try:
                    await self._bus.backlog(consumer)
                except Refused as error:
                    if error.code == CONSUMER_NOT_FOUND and self._certain():
                        log.warning("a consumer was removed; it is made again", consumer=consumer.name)
                        await self._restore()
                except BusError as error:
                    log.debug("a consumer was not looked at", consumer=consumer.name, error=str(error))

    async def reset(self) -> None:
        """After a reconnect: read again what was delivered and not acked, since acks may have been lost."""
        subjects = self._subjects
        await self._bus.reset(coordinator_results(subjects))
        for priority in PRIORITIES:
            await self._bus.reset(coordinator_jobs(subjects, priority))

    def silence(self) -> None:
        """Another leads: from this moment nothing more is decided here."""
        self._closed = True

    def generated_id(self, seq: int) -> str:
        """What a job that brought no id is called."""
        return generated_id(self._stream_created, seq)

    async def close(self) -> None:
        """End it: nothing more is fed to the engine, what is in flight is dropped."""
        self._closed = True
        self._reading.set()
        if self._deadline is not None:
            self._deadline.cancel()
        self._release_marks()
        # Before the tasks: a consumption may wait for its handler, which waits for nothing of ours.
        for closable in reversed(self._open):
            try:
                await closable.close()
            except BusError as error:
                log.debug("could not close", error=str(error))
        self._open.clear()
        self._performer.acks.close()
        await self.tasks.close()

    def _release_marks(self) -> None:
        while not self._events.empty():
            left = self._events.get_nowait()
            if isinstance(left, asyncio.Future):
                _release(left)

    # -- what comes in

    async def _on_bid(self, msg: Msg) -> None:
        try:
            answer = decode(CallAnswered, msg.data)
        except WireError as error:
            log.warning("a bid could not be read", error=str(error))
            return
        self.feed(events.CallReturned(answer))

    async def _on_outcome(self, msg: Msg) -> None:
        try:
            report = decode(OutcomesReported, msg.data)
        except WireError as error:
            log.warning("an outcome could not be read", subject=msg.subject, error=str(error))
            return
        request = self._performer.expect_answer(msg)
        self.feed(events.OutcomesReturned(report, request))

    def advert(self, advert: Advert) -> None:
        """An agent advertised."""
        self.feed(events.AdvertReceived(advert))

    async def _on_results(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            message = delivery.message
            job_id = self._subjects.parse_story(message.subject).job_id
            self.feed(read_stored_result(job_id, message.subject, message.seq, message.data))
            if self._results_backlog.read(message.seq):
                self.feed(events.ResultsDrained())
        await self.handled()

    async def _on_jobs(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            message = delivery.message
            await self._reading.wait()
            if self._closed:
                return
            where = self._subjects.parse_job(message.subject)
            header_id = message.headers.get("Nats-Msg-Id")
            fallback = generated_id(self._stream_created, message.seq)
            admission = admit(where.feature, message.data, header_id, fallback)
            self._performer.requests.put(message.seq, Request(message.data, admission.job))
            priority: Priority = next(p for p in PRIORITIES if p == where.priority)
            self.feed(events.JobRead(message.seq, priority, _token(where.feature), admission, message.time))
            if self._jobs_backlog.read(message.seq):
                self.feed(events.JobsIndexed())
        # A backlog of a hundred thousand jobs comes in batches, with bids, results and ticks in between.
        await self.handled()


def _token(feature: str) -> str:
    """A bad feature is still a subject token; only its length is cut for the answers' subjects."""
    return feature if len(feature) <= 64 else feature[:64]


def _release(mark: asyncio.Future[None]) -> None:
    if not mark.done():
        mark.set_result(None)
