"""One leadership: its engine, the one task that owns it, what feeds it, and what runs its effects. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from pocket3d.bus.inbox import Inbox
from pocket3d.bus.port import Bus, BusError, Closable, Delivery, Msg, Stored
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.commands import AgentRecord, CallAnswered, OutcomesReported
from pocket3d.contracts.jobs import admit, generated_id
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.size_classes import INPUT_BYTES_HEADER, bytes_of_artifacts
from pocket3d.contracts.subjects import Subjects

from ..auction.fleet import Fleet
from ..chains.events import Tick as ChainsTick
from ..engine import events
from ..engine.effects import ConsumerKey, ReadJobs
from ..engine.engine import CoordinatorEngine
from ..engine.history import FEATURE_CHARS, read_stored_result
from ..engine.submit_quota import SubmitQuota
from ..leadership import bus_answers
from ..leadership.lease_events import Lead
from ..leadership.term_engine import TermEngine, TermEvent
from ..settings import CoordinatorSettings
from .agent_records import keep_recorded
from .chain_term import ChainTerm
from .effect_runner import EffectRunner, Links
from .orphan_sweep import OrphanSweep

log = structlog.get_logger(__name__)

#: Calls on the bus at once in one lane, of kinds of which there may be thousands.
_IN_FLIGHT = 256
#: While the results stream is of a former version, it is asked so often at most whether it was switched, seconds.
_LOOK_S = 5.0
#: How much of an event an error message shows.
_EVENT_CHARS = 500


class EngineFault(Exception):
    """The coordinator's own mistake. Its process ends, and a standby goes on from what the streams hold.

    Args:
        event: on which it failed.
        history: the moves of the job that the event is about, if any.
    """

    def __init__(self, event: TermEvent, history: str) -> None:
        text = f"{type(event).__name__} could not be handled: {str(event)[:_EVENT_CHARS]}"
        super().__init__(text + (f"; its history: {history}" if history else ""))


class LeaderTerm:
    """From `Lead` to `StepDown`. A later leadership of the same process starts with a new engine.

    Args:
        lead: epoch, fence and leader record of this leadership.
        known: agents that the former leader knew, or that were heard meanwhile.
        agents_max_age_s: how long the agents bucket keeps a record, seconds.
        lease_is_valid: false as soon as another may have taken the lead; then nothing is taken from the streams.
        renew_lease: asks the leadership to renew the lease now.
        on_fenced_out: called when another leader's record is in the events stream.
        on_another_stream: called when the jobs stream is not the one that was read: it was removed and made again.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        settings: CoordinatorSettings,
        clock: Callable[[], Now],
        *,
        lead: Lead,
        known: Sequence[AgentRecord],
        agents_max_age_s: float,
        lease_is_valid: Callable[[], bool],
        renew_lease: Callable[[], None],
        on_fenced_out: Callable[[], None],
        on_another_stream: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._lead = lead
        self._known = tuple(known)
        self._lease_is_valid = lease_is_valid
        self._agents_max_age_s = agents_max_age_s
        self._orphan_grace_s = settings.orphan_grace_s
        self._on_another_stream = on_another_stream
        self._decider = TermEngine(settings, lead.record, lead.fence, bus.max_payload)
        #: Events, and marks of those who wait until what came before was handled.
        self._events: Inbox[TermEvent | asyncio.Future[None]] = Inbox()
        self.tasks = TaskPool(_IN_FLIGHT)
        links = Links(self.feed, renew_lease, on_fenced_out, self._read_jobs, self._job_id)
        self._runner = EffectRunner(bus, subjects, lead.record, settings.award_timeout_s, self.tasks, links)
        self.quota = SubmitQuota(self.engine.core)
        self.chains = ChainTerm(
            bus, subjects, clock, self.tasks, self.quota, self._cancel_job, self._is_known, self.engine.leads
        )
        self._open: list[Closable] = []
        self._deadline: asyncio.TimerHandle | None = None
        self._closed = False
        self._begun = False
        self._stream_created = 0.0
        self._reading = {priority: asyncio.Event() for priority in PRIORITIES}
        for reading in self._reading.values():
            reading.set()
        self._proposals_wanted = False
        self._looked_at = float("-inf")
        #: Incarnations of agents that cannot propose, of which a warning was given.
        self._told: set[str] = set()

    @property
    def engine(self) -> CoordinatorEngine:
        """What is known of the jobs, for questions."""
        return self._decider.engine

    def _fleet(self) -> Fleet:
        return self.engine.core.fleet

    # -- the one task that owns the engine

    def feed(self, event: TermEvent) -> None:
        """Queue an event for the engine."""
        if not self._closed:
            self._events.put(event)
            if isinstance(event, events.Tick):
                self.chains.feed(ChainsTick())

    def _is_known(self, job_id: str) -> bool:
        """False for a job of which nothing was read although all was."""
        core = self.engine.core
        return job_id in core.jobs or not core.jobs_indexed or bool(core.intake.full())

    def _cancel_job(self, job_id: str, reason: str) -> None:
        self.feed(events.CancelAsked(job_id, reason))

    async def handled(self) -> None:
        """Wait until the engine has handled what was fed before."""
        if self._closed:
            return
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events.put(mark)
        await mark

    def _handle(self, event: TermEvent | asyncio.Future[None]) -> None:
        """One step. An exception ends the process: a half-changed engine must not go on in silence."""
        if isinstance(event, asyncio.Future):
            _release(event)
            return
        if self._closed:
            return
        try:
            for effect in self._decider.handle(event, self._clock()):
                self._runner.run(effect)
        except Exception as error:
            raise EngineFault(event, self.engine.history_of(event)) from error
        self._watch_deadline()

    def _watch_deadline(self) -> None:
        deadline = self._decider.deadline
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

    def _read_jobs(self, effect: ReadJobs) -> None:
        if effect.more:
            self._reading[effect.priority].set()
        else:
            self._reading[effect.priority].clear()

    # -- life

    async def begin(self) -> None:
        """Take over in this order: hear the agents, drain the results, read the jobs again.

        Raises:
            BusError: not now; it may be called again.
        """
        bus, subjects = self._bus, self._subjects
        for half_open in self._open:
            await half_open.close()
        self._open.clear()
        self._stream_created = await bus.stream_created(subjects.jobs_stream)
        self._open.append(await bus.subscribe(subjects.bids(self._lead.record.coordinator_id), self._on_bid))
        self._open.append(await bus.subscribe(subjects.all_outcomes(), self._on_outcome))
        if not self._begun:
            self._begun = True
            self.tasks.spawn(self._events.read(self._handle), bounded=False)
            self.feed(events.Led(self._lead.epoch, self._known, bus.max_payload))
            in_use = self.engine.core.held.in_use
            sweep = OrphanSweep(bus, subjects, self._orphan_grace_s, self._clock, self._lease_is_valid, in_use)
            self.tasks.spawn(sweep.run(), bounded=False)
            records = keep_recorded(bus, subjects, self._fleet, self._clock, self._agents_max_age_s)
            self.tasks.spawn(records, bounded=False)
            self.tasks.spawn(self._watch_stream(), bounded=False)
            self.chains.begin()
        await self._look_at_results()
        await self._take_over("results")
        results = self._runner.consumer("results")
        self._open.append(await bus.consume(results, self._on_results, allowed=self._lease_is_valid))
        for priority in PRIORITIES:
            await self._take_over(priority)
        for priority in PRIORITIES:
            consumer = self._runner.consumer(priority)
            self._open.append(await bus.consume(consumer, self._on_jobs, allowed=self._lease_is_valid))

    async def _watch_stream(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                created = await self._bus.stream_created(self._subjects.jobs_stream)
            except BusError as error:
                log.debug("the jobs stream was not looked at", error=str(error))
                continue
            if created != self._stream_created:
                self._on_another_stream()
                return

    async def _look_at_results(self) -> None:
        self._looked_at = self._clock().mono
        if await self._runner.proposals.wanted():
            self._proposals_wanted = True
            self.feed(events.ProposalsWanted())

    async def _take_over(self, key: ConsumerKey) -> None:
        consumer = self._runner.consumer(key)
        await self._bus.take_over(consumer)
        self.feed(bus_answers.BacklogCounted(key, await self._bus.backlog(consumer)))

    async def reset(self) -> None:
        """After a reconnect: read again what was delivered and not acked, since acks may have been lost.

        Raises:
            BusError: not now; it may be called again.
        """
        self._runner.proposals.look_again()
        await self._look_at_results()
        keys: tuple[ConsumerKey, ...] = ("results", *PRIORITIES)
        for key in keys:
            await self._bus.reset(self._runner.consumer(key))

    def silence(self) -> None:
        """Another leads: from this moment nothing more is decided here."""
        self._closed = True
        self.chains.close()

    def generated_id(self, seq: int) -> str:
        """What a job that brought no id is called."""
        return generated_id(self._stream_created, seq)

    async def close(self) -> None:
        """End it: nothing more is fed to the engine, what is in flight is dropped."""
        self._closed = True
        self.chains.close()
        for reading in self._reading.values():
            reading.set()
        if self._deadline is not None:
            self._deadline.cancel()
        for left in self._events.drain():
            if isinstance(left, asyncio.Future):
                _release(left)
        # Before the tasks: a consumption waits for its handler, and the handler for the engine, which is released.
        for closable in reversed(self._open):
            try:
                await closable.close()
            except BusError as error:
                log.debug("could not close", error=str(error))
        self._open.clear()
        self._runner.acks.close()
        await self.tasks.close()

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
        if self._subjects.agent_of(msg.subject) != report.agent_id:
            log.warning("an outcome is not of its subject's agent", subject=msg.subject, agent_id=report.agent_id)
            return
        self.feed(events.OutcomesReturned(report, self._runner.expect_answer(msg)))

    def advert(self, advert: Advert) -> None:
        """An agent advertised."""
        self.feed(events.AdvertReceived(advert))
        if not advert.proposes:
            self._former_agent(advert)

    def _former_agent(self, advert: Advert) -> None:
        """It works with a results stream that was not switched yet, and with no other."""
        if not self._proposals_wanted:
            if self._clock().mono >= self._looked_at + _LOOK_S:
                self._looked_at = self._clock().mono
                self.tasks.spawn(self._look_now(), bounded=False)
        elif advert.incarnation not in self._told:
            self._told.add(advert.incarnation)
            log.warning(
                "an agent of a former version cannot store results here; it gets no jobs until it is upgraded",
                agent_id=advert.agent_id,
                version=advert.version,
            )

    async def _look_now(self) -> None:
        try:
            await self._look_at_results()
        except BusError as error:
            log.debug("the results stream was not looked at", error=str(error))

    async def _on_results(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            message = delivery.message
            job_id = self._subjects.parse_story(message.subject).job_id
            read = read_stored_result(job_id, message.subject, message.seq, message.data)
            self.feed(read)
            if isinstance(read, events.ResultSeen):
                self.chains.result(read.result)
        await self.handled()

    def _job_id(self, message: Stored) -> str:
        return self.read_job(message).admission.job_id

    def read_job(self, message: Stored) -> events.JobRead:
        """What a message of the jobs stream says."""
        where = self._subjects.parse_job(message.subject)
        priority = next(p for p in PRIORITIES if p == where.priority)
        header_id = message.headers.get("Nats-Msg-Id")
        admission = admit(where.feature, message.data, header_id, self.generated_id(message.seq))
        told = bytes_of_artifacts(message.headers.get(INPUT_BYTES_HEADER))
        feature = _token(where.feature)
        return events.JobRead(
            message.seq, priority, feature, admission, message.time, message.data, artifact_bytes=told
        )

    async def _on_jobs(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            message = delivery.message
            read = self.read_job(message)
            await self._reading[read.priority].wait()
            if self._closed:
                return
            self.feed(read)
        # A backlog of a hundred thousand jobs comes in batches, with bids, results and ticks in between.
        await self.handled()


def _token(feature: str) -> str:
    """A bad feature is still a subject token; only its length is cut for the answers' subjects."""
    return feature[:FEATURE_CHARS]


def _release(mark: asyncio.Future[None]) -> None:
    if not mark.done():
        mark.set_result(None)
