"""The coordinator as a process sees it: connection, leadership, and one term after another."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from pocket3d.bus import topology
from pocket3d.bus.inbox import Inbox
from pocket3d.bus.names import kv_stream
from pocket3d.bus.port import (
    TEMPORARILY_UNAVAILABLE,
    Bus,
    BusError,
    Closable,
    Conflict,
    Disconnected,
    Msg,
    NoResponders,
    OutcomeUnknown,
    Refused,
)
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects
from pocket3d.contracts.system_clock import system_clock
from pocket3d.contracts.version import VERSION

from .engine import events
from .io import leader_record_io
from .io.agent_records import known_agents
from .io.api import Api
from .io.jetstream_notice import JetStreamNotice
from .io.leader_term import LeaderTerm
from .io.status_service import coordinator_service
from .io.topology_upkeep import TopologyUpkeep
from .leadership import lease_events as leadership
from .leadership.leader_record import ReadLeaderRecord, WriteLeaderRecord
from .leadership.lease import Leadership
from .settings import CoordinatorSettings

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PAUSE_S = 0.25
_PING_TIMEOUT_S = 2.0


def new_coordinator_id() -> str:
    """Unique for each process, and readable: host and random."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname())[:32]
    return f"{host or 'host'}-{secrets.token_hex(4)}"


class CoordinatorService:
    """Runs one coordinator; of several, one leads and the others stand by.

    Args:
        bus: an open connection of its own.
        subjects: names of the namespace.
        settings: of engine and leadership.
        topology_settings: what `ensure` makes of the server.
        coordinator_id: default: host and random.
        version: what the micro service says of itself.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        settings: CoordinatorSettings | None = None,
        *,
        topology_settings: topology.TopologySettings | None = None,
        coordinator_id: str | None = None,
        version: str = VERSION,
        clock: Callable[[], Now] = system_clock,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._settings = settings or CoordinatorSettings()
        made = topology_settings or topology.TopologySettings(leader_lease_s=self._settings.leader_lease_s)
        self._topology = topology.build(subjects, made)
        self._agents_max_age_s = made.agents_max_age_s
        self.coordinator_id = coordinator_id or new_coordinator_id()
        self._version = version
        self._clock = clock
        self._leadership = Leadership(
            self.coordinator_id,
            lease_s=self._settings.leader_lease_s,
            renew_s=self._settings.leader_renew_s,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        self._jetstream = JetStreamNotice(bus, kv_stream(subjects.leader_bucket))
        self._term: LeaderTerm | None = None
        self._api: Closable | None = None
        self._heard: dict[str, Advert] = {}
        self._tasks: TaskPool | None = None
        self._lease_events: Inbox[leadership.LeaseEvent] = Inbox()
        self._changes: asyncio.Queue[leadership.Lead | leadership.StepDown | None] = asyncio.Queue()
        self._led = asyncio.Event()

    @property
    def leading(self) -> bool:
        """True while this coordinator leads and its term has begun."""
        return self._led.is_set()

    @property
    def term(self) -> LeaderTerm | None:
        """The present leadership; None on standby."""
        return self._term

    def _leads_what(self) -> tuple[int, int] | None:
        """Its epoch and how many jobs have not ended; None on standby."""
        leading = self._term is not None and self.leading
        return (self._leadership.epoch, len(self._term.engine.core.jobs)) if leading and self._term else None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Raises:
            BusError: the topology could not be made.
        """
        self._tasks = TaskPool(64)
        for difference in await self._answered(stop, lambda: self._bus.ensure(self._topology)):
            log.warning("the server differs from the topology; left as it is", difference=difference)
        adverts = await self._answered(stop, lambda: self._bus.subscribe(self._subjects.all_adverts(), self._on_advert))
        ping = self._subjects.coordinator_ping(self.coordinator_id)
        pings = await self._answered(stop, lambda: self._bus.subscribe(ping, self._on_ping))
        self._bus.on_connection(self._on_connection)
        self._tasks.spawn(self._lease_events.read(self._decide), bounded=False)
        self._tasks.spawn(self._tick(), bounded=False)
        self._tasks.spawn(self._follow(), bounded=False)
        spec = coordinator_service(self._subjects, self.coordinator_id, self._version, self._clock, self._leads_what)
        service = await self._answered(stop, lambda: self._bus.serve(spec))
        upkeep = TopologyUpkeep(self._bus, self._topology, lambda: self.leading, self._jetstream)
        self._tasks.spawn(upkeep.run(), bounded=False)
        log.info("coordinator started", coordinator_id=self.coordinator_id)
        waiting = asyncio.ensure_future(stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {waiting, self._tasks.failed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._tasks.failed.done():
                await self._tasks.failed
        finally:
            waiting.cancel()
            await self._end_term("stopped")
            await adverts.close()
            await service.close()
            await self._tasks.close()
            await self._resign()
            # Not before: a standby would take the lease of one that is not connected.
            await pings.close()

    async def _answered(self, stop: asyncio.Event, ask: Callable[[], Awaitable[T]]) -> T:
        """What the server answers; it is asked again while it, or its JetStream, is away or without a leader."""
        told = ""
        while True:
            try:
                return await ask()
            except (Disconnected, NoResponders, OutcomeUnknown, Refused) as error:
                passes = not isinstance(error, Refused) or error.code == TEMPORARILY_UNAVAILABLE
                if stop.is_set() or not passes:
                    raise
                if str(error) != told:
                    told = str(error)
                    log.warning("waiting for the server: it goes on when JetStream answers", error=told)
                await asyncio.sleep(_PAUSE_S)

    async def _resign(self) -> None:
        """Leave the lease to others at once, rather than let them wait for its end."""
        if self._leadership.leading:
            await self._give_lease_back()

    async def _give_lease_back(self) -> None:
        try:
            await leader_record_io.give_lease_back(self._bus, self._subjects, self._leadership.revision)
        except BusError as error:
            log.debug("the lease was not given back", error=str(error))

    # -- what comes in

    async def _on_advert(self, msg: Msg) -> None:
        try:
            advert = decode(Advert, msg.data)
        except WireError as error:
            log.warning("an advert could not be read", subject=msg.subject, error=str(error))
            return
        if self._subjects.agent_of(msg.subject) != advert.agent_id:
            log.warning("an advert is not of its subject's agent", subject=msg.subject, agent_id=advert.agent_id)
            return
        self._heard[advert.agent_id] = advert
        if self._term is not None:
            self._term.advert(advert)

    async def _on_ping(self, msg: Msg) -> None:
        try:
            await self._bus.respond(msg, b"")
        except BusError as error:
            log.debug("a ping was not answered", error=str(error))

    def _on_connection(self, up: bool) -> None:
        self._lease_events.put(leadership.LinkBack() if up else leadership.LinkLost())
        if self._term is not None:
            self._term.feed(events.Connected(self._bus.max_payload) if up else events.Disconnected())
            if up and self._tasks is not None:
                self._tasks.spawn(self._reset(self._term))

    async def _reset(self, term: LeaderTerm) -> None:
        while term is self._term:
            try:
                # What a restarted server kept in memory only (the progress stream) is to be made again.
                await self._bus.ensure(self._topology)
                await term.reset()
                return
            except BusError as error:
                log.debug("consumers were not reset yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)

    async def _tick(self) -> None:
        while True:
            self._lease_events.put(leadership.LeaseTick())
            if self._term is not None:
                self._term.feed(events.Tick())
            await asyncio.sleep(self._settings.tick_s)

    # -- leadership

    def _decide(self, event: leadership.LeaseEvent) -> None:
        """One step of the one task that owns the leadership."""
        for effect in self._leadership.handle(event, self._clock()):
            self._run(effect)

    def _run(self, effect: leadership.LeaseEffect) -> None:
        if isinstance(effect, leadership.Lead | leadership.StepDown):
            if isinstance(effect, leadership.StepDown) and self._term is not None:
                self._term.silence()
            self._changes.put_nowait(effect)
        elif isinstance(effect, leadership.Proven):
            if self._term is not None:
                self._term.feed(events.LeadershipProven())
        else:
            assert self._tasks is not None
            self._tasks.spawn(self._answer(effect), bounded=False)

    async def _answer(
        self,
        effect: leadership.ReadLease
        | leadership.WriteLease
        | leadership.PingLeader
        | ReadLeaderRecord
        | WriteLeaderRecord,
    ) -> None:
        """One call on the bus, answered by one event."""
        event: leadership.LeaseEvent
        if isinstance(effect, leadership.ReadLease):
            event = await self._read_lease()
        elif isinstance(effect, leadership.WriteLease):
            event = await self._write_lease(effect)
        elif isinstance(effect, leadership.PingLeader):
            event = leadership.LeaderPinged(effect.coordinator_id, await self._ping(effect.coordinator_id))
        elif isinstance(effect, ReadLeaderRecord):
            event = await leader_record_io.read_leader_record(self._bus, self._subjects)
        else:
            event = await leader_record_io.write_leader_record(self._bus, self._subjects, effect)
        self._lease_events.put(event)

    async def _read_lease(self) -> leadership.LeaseEvent:
        try:
            lease = await leader_record_io.read_lease(self._bus, self._subjects)
        except BusError as error:
            log.debug("the lease could not be read", error=str(error))
            return leadership.LeaseUnread()
        if lease.record is not None and lease.record.coordinator_id != self.coordinator_id:
            # Others can write, and this one need not.
            self._jetstream.served("lease")
        return lease

    async def _write_lease(self, effect: leadership.WriteLease) -> leadership.LeaseEvent:
        try:
            revision = await self._bus.kv_update(
                self._subjects.leader_bucket, leader_record_io.LEADER_KEY, encode(effect.record), last=effect.last
            )
        except Conflict:
            self._jetstream.served("lease")
            return leadership.LeaseConflict()
        except BusError as error:
            log.debug("the lease could not be written", error=str(error))
            await self._jetstream.failed("lease", error)
            return leadership.LeaseUnknown()
        self._jetstream.served("lease")
        return leadership.LeaseWritten(revision)

    async def _ping(self, coordinator_id: str) -> bool | None:
        """True: it answered; False: the server says that it is not connected; None: neither."""
        try:
            await self._bus.request(self._subjects.coordinator_ping(coordinator_id), b"", timeout=_PING_TIMEOUT_S)
        except NoResponders:
            return False
        except BusError as error:
            log.debug("the leader did not answer a ping", leader=coordinator_id, error=str(error))
            return None
        return True

    async def _follow(self) -> None:
        """Begin and end terms, one at a time."""
        while True:
            change = await self._changes.get()
            if isinstance(change, leadership.Lead):
                await self._begin_term(change)
            elif isinstance(change, leadership.StepDown):
                await self._end_term(change.why)

    async def _begin_term(self, lead: leadership.Lead) -> None:
        known = await known_agents(self._bus, self._subjects, self._heard, self._clock())
        term = self._term = LeaderTerm(
            self._bus,
            self._subjects,
            self._settings,
            self._clock,
            lead=lead,
            known=known,
            agents_max_age_s=self._agents_max_age_s,
            lease_is_valid=lambda: self._leadership.certain(self._clock()),
            renew_lease=lambda: self._lease_events.put(leadership.ProofWanted()),
            on_fenced_out=self._on_fenced_out,
            on_another_stream=self._on_another_stream,
        )
        if not self._leads(lead):
            # Another leads meanwhile: the end of this term waits in the queue.
            term.silence()
        assert self._tasks is not None
        self._tasks.spawn(self._guard(term), bounded=False)
        while self._leads(lead):
            try:
                await self._bus.ensure(self._topology)
                await term.begin()
                if not self._leads(lead):
                    # Nobody is to be answered by it.
                    return
                names = {"version": self._version, "coordinator_id": self.coordinator_id}
                api = Api(self._bus, self._subjects, term, self._clock, **names)
                self._api = await self._bus.serve(api.service())
            except BusError as error:
                log.info("the leadership could not begin yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            break
        else:
            return
        self._led.set()
        log.info("leading", coordinator_id=self.coordinator_id, epoch=lead.epoch)

    def _leads(self, lead: leadership.Lead) -> bool:
        return self._leadership.leading and self._leadership.epoch == lead.epoch

    def _on_fenced_out(self) -> None:
        log.warning("the events stream has another leader's record", coordinator_id=self.coordinator_id)
        self._lease_events.put(leadership.FencedOut())

    def _on_another_stream(self) -> None:
        log.warning("the jobs stream was removed and made again; it is read anew", coordinator_id=self.coordinator_id)
        self._lease_events.put(leadership.GivenUp("the jobs stream is another one"))
        assert self._tasks is not None
        self._tasks.spawn(self._give_lease_back(), bounded=False)

    async def _guard(self, term: LeaderTerm) -> None:
        """An error in a task of the term is an error of this process: it must not go on half alive."""
        try:
            await term.tasks.failed
        except asyncio.CancelledError:
            if term.tasks.failed.cancelled():
                return
            raise

    async def _end_term(self, why: str) -> None:
        term, self._term = self._term, None
        api, self._api = self._api, None
        self._led.clear()
        if term is None:
            return
        log.info("leading no more", coordinator_id=self.coordinator_id, why=why)
        if api is not None:
            try:
                await api.close()
            except BusError as error:
                log.debug("the service was not closed", error=str(error))
        await term.close()
