"""An agent of a former version cannot store results where the stream takes proposals alone: it gets no jobs there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.topology import Topology
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from pocket3d.coordinator.io import leader_term
from pocket3d.coordinator.io.leader_term import LeaderTerm
from pocket3d.coordinator.leadership.lease_events import Lead
from support.coordinator_desk import AgentDouble, Desk
from support.former_results import former, switch

S = Subjects()


def old_agent(name: str = "old") -> AgentDouble:
    agent = AgentDouble(name)
    agent.proposes = False
    return agent


def test_on_a_former_stream_it_works_as_ever(desk: Desk) -> None:
    agent = old_agent()
    desk.hear(agent)
    desk.running(agent)


def test_where_proposals_are_wanted_it_gets_nothing_and_the_job_waits_for_another(desk: Desk) -> None:
    old = old_agent()
    desk.hear(old)
    desk.do(events.ProposalsWanted())
    desk.submit()
    desk.hear(old)
    assert desk.take(effects.SendCall) == []
    assert desk.state() is JobState.QUEUED
    (reason,) = explain(desk.engine.core, desk.record(), desk.now).reasons
    assert (reason.agent_id, reason.code) == ("old", "draining")
    assert reason.message is not None and "upgrade it" in reason.message
    new = AgentDouble("new")
    desk.hear(new)
    assert [call.agent_id for call in desk.take(effects.SendCall)] == ["new"]


def test_a_bid_that_it_made_before_is_not_used(desk: Desk) -> None:
    old = old_agent()
    desk.hear(old)
    desk.running(old)
    desk.do(events.ProposalsWanted())
    desk.submit("j2")
    assert desk.take(effects.SendAwards) == []
    assert desk.take(effects.SendCall) == []


# ---------------------------------------------------------------- how the leader learns of it


class Clock:
    mono = 100.0

    def __call__(self) -> Now:
        return Now(self.mono, 1_795_000_000.0 + self.mono)


class Term:
    """A term on a memory server whose results stream is of a former version, and what was fed to its engine."""

    def __init__(self, term: LeaderTerm, server: MemoryServer, clock: Clock, fed: list[Any]) -> None:
        self.term = term
        self.server = server
        self.clock = clock
        self.fed = fed

    async def wanted(self) -> bool:
        """Whether the engine was told, once all that was begun is done."""
        for _ in range(20):
            await asyncio.sleep(0)
        return any(isinstance(event, events.ProposalsWanted) for event in self.fed)


@pytest.fixture
async def term(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Any:
    server, clock, fed = MemoryServer(), Clock(), list[Any]()
    bus = MemoryBus(server)
    await bus.ensure(Topology((former(S),)))
    record = LeaderRecord(coordinator_id="one", epoch=7)
    made = LeaderTerm(
        bus,
        S,
        desk.settings,
        clock,
        lead=Lead(record.epoch, 1, record),
        known=(),
        agents_max_age_s=3600.0,
        lease_is_valid=lambda: True,
        renew_lease=lambda: None,
        on_fenced_out=lambda: None,
        on_another_stream=lambda: None,
    )
    monkeypatch.setattr(made, "feed", fed.append)
    yield Term(made, server, clock, fed)
    await made.close()


async def test_the_stream_is_asked_when_a_former_agent_advertises_and_not_at_every_advert(term: Term) -> None:
    old, new = old_agent(), AgentDouble("new")
    term.term.advert(old.advert())
    assert not await term.wanted(), "it was not switched"
    switch(term.server, S)
    term.term.advert(old.advert())
    assert not await term.wanted(), "it was asked a moment ago"
    term.clock.mono += leader_term._LOOK_S
    term.term.advert(new.advert())
    assert not await term.wanted(), "nobody is concerned"
    term.term.advert(old.advert())
    assert await term.wanted()


async def test_each_former_agent_is_told_of_once(term: Term) -> None:
    switch(term.server, S)
    one, two = old_agent("one"), old_agent("two")
    two.incarnation = "2000-y"
    with structlog.testing.capture_logs() as lines:
        for agent in (one, one, two, one, two):
            term.term.advert(agent.advert())
            await term.wanted()
        term.term.advert(AgentDouble("new").advert())
    warned = [line["agent_id"] for line in lines if line["log_level"] == "warning"]
    assert sorted(warned) == ["one", "two"]
