"""A coordinator in the simulation: the real leadership and engine, fed and obeyed as the service does it.

What `service`, `reign`, `performer` and `outbox` of the coordinator do with the bus is done here with the model of it.
Like them it decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.commands import (
    AgentRecord,
)
from pocket3d.contracts.messages import Advert
from pocket3d.coordinator import events, leader_record, leadership
from pocket3d.coordinator.fleet import heard_record
from pocket3d.coordinator.leadership import Leadership
from pocket3d.coordinator.settings import CoordinatorSettings

from .network import Failure, Network, Refused, Reply
from .process import Process
from .reign_driver import SimulatedReign
from .server import Server
from .tasks import Wait, Work, spawn

#: As in the service.
_PAUSE_S = 0.2
_ASK_TIMEOUT_S = 1.0
_RECOUNT_S = 0.5


class SimulatedCoordinator:
    """One coordinator process through all its lives.

    Args:
        process: its process.
        network: its links.
        server: the model of the server.
        settings: of engine and leadership.
    """

    def __init__(self, process: Process, network: Network, server: Server, settings: CoordinatorSettings) -> None:
        self.process = process
        self.network = network
        self.server = server
        self.settings = settings
        self.reign: SimulatedReign | None = None
        self.coordinator_id = ""
        #: Effects by name, over all lives.
        self.performed: Counter[str] = Counter()
        self._lives = 0

    def start(self) -> None:
        """Begin a life."""
        self._lives += 1
        self.coordinator_id = f"{self.process.name}.{self._lives}"
        self.leadership = Leadership(
            self.coordinator_id, lease_s=self.settings.leader_lease_s, renew_s=self.settings.leader_renew_s
        )
        self.reign = None
        self._heard: dict[str, Advert] = {}
        self.network.attach(self.process, self._on_connection)
        self.network.subscribe(self.process, "advert", self._on_advert)
        self.process.every(self.settings.tick_s, self._tick)

    def _tick(self) -> None:
        self.lead_with(leadership.LeaseTick())
        if self.reign is not None:
            self.reign.feed(events.Tick())

    def _on_advert(self, advert: Advert, reply: Reply | None) -> None:
        self._heard[advert.agent_id] = advert
        if self.reign is not None:
            self.reign.feed(events.AdvertReceived(advert))

    def _on_connection(self, up: bool) -> None:
        self.lead_with(leadership.LinkBack() if up else leadership.LinkLost())
        reign = self.reign
        if reign is not None:
            reign.feed(events.Connected() if up else events.Disconnected())
            if up:
                spawn(reign.reset(), lambda: not reign.closed)

    # -- leadership

    def lead_with(self, event: leadership.LeaseEvent) -> None:
        """Hand an event to the leadership and perform what it asks for."""
        for effect in self.leadership.handle(event, self.process.now):
            if isinstance(effect, leadership.Lead):
                spawn(self._begin_reign(effect))
            elif isinstance(effect, leadership.StepDown):
                self._end_reign()
            elif isinstance(effect, leadership.Proven):
                if self.reign is not None:
                    self.reign.feed(events.LeadershipProven())
            elif isinstance(effect, leadership.ReadLease):
                spawn(self._read_lease())
            elif isinstance(effect, leadership.WriteLease):
                spawn(self._write_lease(effect))
            elif isinstance(effect, leader_record.ReadLeaderRecord):
                spawn(self._read_leader_record())
            else:
                spawn(self._write_leader_record(effect))

    def certain(self) -> bool:
        """False as soon as another may have taken the lead."""
        return self.leadership.certain(self.process.now)

    def _call(self, operation: Callable[[], Any], *, writes: bool = False) -> Wait:
        return lambda done: self.network.call(self.process, operation, done, writes=writes)

    def _read_lease(self) -> Work:
        answer = yield self._call(lambda: (self.server.lease, self.server.lease_revision))
        if isinstance(answer, Failure):
            self.lead_with(leadership.LeaseUnread())
        else:
            self.lead_with(leadership.LeaseRead(*answer))

    def _write_lease(self, effect: leadership.WriteLease) -> Work:
        answer = yield self._call(lambda: self.server.write_lease(effect.record, effect.last), writes=True)
        if isinstance(answer, Refused):
            self.lead_with(leadership.LeaseConflict())
        elif isinstance(answer, Failure):
            self.lead_with(leadership.LeaseUnknown())
        else:
            self.lead_with(leadership.LeaseWritten(answer))

    def _read_leader_record(self) -> Work:
        standing = yield self._call(lambda: self.server.leader_record or 0)
        if isinstance(standing, Failure):
            self.lead_with(leader_record.LeaderRecordUnread())
        else:
            self.lead_with(leader_record.LeaderRecordRead(*(standing or (None, 0))))

    def _write_leader_record(self, effect: leader_record.WriteLeaderRecord) -> Work:
        answer = yield self._call(lambda: self.server.write_leader_record(effect.record, effect.last), writes=True)
        if isinstance(answer, Failure):
            self.lead_with(leader_record.LeaderRecordNotWritten())
        else:
            self.lead_with(leader_record.LeaderRecordWritten(effect.record.epoch, answer))

    def _begin_reign(self, lead: leadership.Lead) -> Work:
        answer = yield self._call(lambda: dict(self.server.agents))
        records: dict[str, AgentRecord] = {} if isinstance(answer, Failure) else answer
        at = rfc3339(self.process.now.wall)
        for agent_id, advert in self._heard.items():
            records.setdefault(agent_id, heard_record(advert, at))
        if not self.leadership.leading or self.leadership.epoch != lead.epoch:
            return
        reign = self.reign = SimulatedReign(self, lead, list(records.values()))
        self.process.clock.note(f"{self.coordinator_id} leads with epoch {lead.epoch}")
        yield from reign.begin()

    def _end_reign(self) -> None:
        if self.reign is not None:
            self.reign.close()
            self.process.clock.note(f"{self.coordinator_id} steps down")
        self.reign = None
