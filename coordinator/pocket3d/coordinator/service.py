"""The coordinator as a process sees it: connection, leadership, and one reign after another."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from pocket3d.bus import topology
from pocket3d.bus.port import (
    Bus,
    BusError,
    Closable,
    Conflict,
    Disconnected,
    Expect,
    Msg,
    OutcomeUnknown,
)
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import AgentRecord, LeaderRecord
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects
from pocket3d.contracts.system_clock import system_clock
from pocket3d.contracts.version import VERSION

from . import events, leadership
from .api import Api
from .fleet import heard_record
from .leadership import Leadership
from .reign import Reign
from .settings import CoordinatorSettings
from .tasks import TaskPool

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Key of the lease in the leader bucket.
LEADER_KEY = "leader"
_PAUSE_S = 0.25


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
        version: told by the micro service.
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
        self._topology = topology.build(
            subjects,
            topology_settings or topology.TopologySettings(leader_lease_s=self._settings.leader_lease_s),
        )
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
        self._reign: Reign | None = None
        self._api: Closable | None = None
        self._heard: dict[str, Advert] = {}
        self._tasks: TaskPool | None = None
        self._changes: asyncio.Queue[leadership.Lead | leadership.StepDown | None] = asyncio.Queue()
        self._led = asyncio.Event()

    @property
    def leading(self) -> bool:
        """True while this coordinator leads and its reign has begun."""
        return self._led.is_set()

    @property
    def reign(self) -> Reign | None:
        """The present leadership; None on standby."""
        return self._reign

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Raises:
            BusError: the topology could not be made.
        """
        self._tasks = TaskPool(64)
        for difference in await self._answered(stop, lambda: self._bus.ensure(self._topology)):
            log.warning("the server differs from the topology; left as it is", difference=difference)
        adverts = await self._answered(stop, lambda: self._bus.subscribe(self._subjects.all_adverts(), self._on_advert))
        self._bus.on_connection(self._on_connection)
        self._tasks.spawn(self._tick(), bounded=False)
        self._tasks.spawn(self._follow(), bounded=False)
        log.info("coordinator started", coordinator_id=self.coordinator_id)
        waiting = asyncio.ensure_future(stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {waiting, self._tasks.failed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._tasks.failed.done():
                await self._tasks.failed
        finally:
            waiting.cancel()
            await self._end_reign("stopped")
            await adverts.close()
            await self._tasks.close()
            await self._resign()

    async def _answered(self, stop: asyncio.Event, ask: Callable[[], Awaitable[T]]) -> T:
        """What the server answers; it is asked again while it is away or silent."""
        while True:
            try:
                return await ask()
            except (Disconnected, OutcomeUnknown) as error:
                if stop.is_set():
                    raise
                log.info("waiting for the server", error=str(error))
                await asyncio.sleep(_PAUSE_S)

    async def _resign(self) -> None:
        """Leave the lease to others at once, rather than let them wait for its end."""
        if not self._leadership.leading:
            return
        try:
            await self._bus.kv_delete(self._subjects.leader_bucket, LEADER_KEY)
        except BusError as error:
            log.debug("the lease was not given back", error=str(error))

    # -- what comes in

    async def _on_advert(self, msg: Msg) -> None:
        try:
            advert = decode(Advert, msg.data)
        except WireError as error:
            log.warning("an advert could not be read", subject=msg.subject, error=str(error))
            return
        self._heard[advert.agent_id] = advert
        if self._reign is not None:
            self._reign.advert(advert)

    def _on_connection(self, up: bool) -> None:
        self._lead_with(leadership.LinkBack() if up else leadership.LinkLost())
        if self._reign is not None:
            self._reign.feed(events.Connected(self._bus.max_payload) if up else events.Disconnected())
            if up and self._tasks is not None:
                self._tasks.spawn(self._reset(self._reign))

    async def _reset(self, reign: Reign) -> None:
        while reign is self._reign:
            try:
                # What a restarted server kept in memory only (the progress stream) is to be made again.
                await self._bus.ensure(self._topology)
                await reign.reset()
                return
            except BusError as error:
                log.debug("consumers were not reset yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)

    async def _restore(self) -> None:
        try:
            await self._bus.ensure(self._topology)
        except BusError as error:
            log.warning("what is missing on the server could not be made", error=str(error))

    async def _tick(self) -> None:
        while True:
            self._lead_with(leadership.LeaseTick())
            if self._reign is not None:
                self._reign.feed(events.Tick())
            await asyncio.sleep(self._settings.tick_s)

    # -- leadership

    def _lead_with(self, event: leadership.LeaseEvent) -> None:
        assert self._tasks is not None
        for effect in self._leadership.handle(event, self._clock()):
            if isinstance(effect, leadership.Lead | leadership.StepDown):
                if isinstance(effect, leadership.StepDown) and self._reign is not None:
                    self._reign.silence()
                self._changes.put_nowait(effect)
            elif isinstance(effect, leadership.Proven):
                if self._reign is not None:
                    self._reign.feed(events.LeadershipProven())
            elif isinstance(effect, leadership.ReadLease):
                self._tasks.spawn(self._read_lease(), bounded=False)
            elif isinstance(effect, leadership.WriteLease):
                self._tasks.spawn(self._write_lease(effect), bounded=False)
            else:
                self._tasks.spawn(self._write_fence(effect), bounded=False)

    async def _read_lease(self) -> None:
        try:
            entry = await self._bus.kv_get(self._subjects.leader_bucket, LEADER_KEY)
        except BusError as error:
            log.debug("the lease could not be read", error=str(error))
            self._lead_with(leadership.LeaseUnread())
            return
        record = _leader_record(entry.value) if entry is not None else None
        self._lead_with(leadership.LeaseRead(record, entry.revision if entry is not None else 0))

    async def _write_lease(self, effect: leadership.WriteLease) -> None:
        try:
            revision = await self._bus.kv_update(
                self._subjects.leader_bucket, LEADER_KEY, encode(effect.record), last=effect.last
            )
        except Conflict:
            self._lead_with(leadership.LeaseConflict())
        except BusError as error:
            log.debug("the lease could not be written", error=str(error))
            self._lead_with(leadership.LeaseUnknown())
        else:
            self._lead_with(leadership.LeaseWritten(revision))

    async def _write_fence(self, effect: leadership.WriteFence) -> None:
        subject = self._subjects.leader_record()
        stream = self._subjects.events_stream
        while True:
            try:
                found = await self._bus.last(stream, subject)
                former = _leader_record(found.data) if found is not None else None
                if former is not None and former.epoch == effect.record.epoch and found is not None:
                    # An earlier try of ours, or a rival with the very same epoch.
                    mine = former.coordinator_id == self.coordinator_id
                    self._lead_with(
                        leadership.FenceWritten(found.seq, former.epoch)
                        if mine
                        else leadership.FenceConflict(former.epoch)
                    )
                    return
                if former is not None and former.epoch > effect.record.epoch:
                    self._lead_with(leadership.FenceConflict(former.epoch))
                    return
                last = found.seq if found is not None else 0
                seq = await self._bus.append(subject, encode(effect.record), expect=Expect(last))
            except BusError as error:
                log.debug("the leader record could not be written yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                if self._leadership.epoch != effect.record.epoch:
                    return
                continue
            self._lead_with(leadership.FenceWritten(seq, effect.record.epoch))
            return

    async def _follow(self) -> None:
        """Begin and end reigns, one at a time."""
        while True:
            change = await self._changes.get()
            if isinstance(change, leadership.Lead):
                await self._begin_reign(change)
            elif isinstance(change, leadership.StepDown):
                await self._end_reign(change.why)

    async def _begin_reign(self, lead: leadership.Lead) -> None:
        known = await self._known_agents()
        reign = Reign(
            self._bus,
            self._subjects,
            self._settings,
            self.coordinator_id,
            self._clock,
            epoch=lead.epoch,
            fence=lead.fence,
            known=known,
            certain=lambda: self._leadership.certain(self._clock()),
            prove=lambda: self._lead_with(leadership.ProofWanted()),
            depose=lambda: self._lead_with(leadership.FenceConflict(0)),
            restore=self._restore,
        )
        self._reign = reign
        assert self._tasks is not None
        self._tasks.spawn(self._guard(reign), bounded=False)
        while self._leadership.leading:
            try:
                await self._bus.ensure(self._topology)
                await reign.begin()
                if self._leadership.epoch != lead.epoch:
                    # Deposed meanwhile: its end waits in the queue, and nobody is to be answered by it.
                    return
                api = Api(
                    self._bus,
                    self._subjects,
                    reign,
                    self._clock,
                    version=self._version,
                    coordinator_id=self.coordinator_id,
                )
                self._api = await self._bus.serve(api.service())
            except BusError as error:
                log.info("the reign could not begin yet", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            break
        else:
            return
        self._led.set()
        log.info("leading", coordinator_id=self.coordinator_id, epoch=lead.epoch)

    async def _guard(self, reign: Reign) -> None:
        """An error in a reign's task is an error of this process: it must not go on half alive."""
        try:
            await reign.tasks.failed
        except asyncio.CancelledError:
            if reign.tasks.failed.cancelled():
                return
            raise

    async def _known_agents(self) -> list[AgentRecord]:
        records: dict[str, AgentRecord] = {}
        try:
            entries = await self._bus.kv_entries(self._subjects.agents_bucket)
        except BusError as error:
            log.warning("the agents bucket could not be read", error=str(error))
            entries = []
        for entry in entries:
            try:
                record = decode(AgentRecord, entry.value)
            except WireError as error:
                log.warning("an agent's record could not be read", key=entry.key, error=str(error))
            else:
                records[record.agent_id] = record
        at = rfc3339(self._clock().wall)
        for agent_id, advert in self._heard.items():
            records.setdefault(agent_id, heard_record(advert, at))
        return list(records.values())

    async def _end_reign(self, why: str) -> None:
        reign, self._reign = self._reign, None
        api, self._api = self._api, None
        self._led.clear()
        if reign is None:
            return
        log.info("leading no more", coordinator_id=self.coordinator_id, why=why)
        if api is not None:
            try:
                await api.close()
            except BusError as error:
                log.debug("the service was not closed", error=str(error))
        await reign.close()


def _leader_record(data: bytes) -> LeaderRecord | None:
    """The record, or None for bytes that are none: nobody leads by them."""
    try:
        return decode(LeaderRecord, data)
    except WireError as error:
        log.warning("a leader record could not be read", error=str(error))
        return None
