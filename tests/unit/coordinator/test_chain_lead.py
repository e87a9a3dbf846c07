"""Chains wait for the leadership that the coordinator's engine knows of."""

from __future__ import annotations

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.chains import effects
from pocket3d.coordinator.chains import events as chain_events
from pocket3d.coordinator.chains.record import ChainKey
from pocket3d.coordinator.chains.story import record_of
from pocket3d.coordinator.engine import events
from pocket3d.coordinator.io.leader_term import LeaderTerm
from pocket3d.coordinator.leadership.lease_events import Lead
from pocket3d.coordinator.settings import CoordinatorSettings
from support.chain_desk import AT, chain_of


async def test_a_term_does_nothing_of_chains_before_it_leads_and_after_it_slept() -> None:
    record = LeaderRecord(coordinator_id="one", epoch=7)
    awake, woken = Now(100.0, 1.795e9), Now(160.0, 1.795e9)
    term = LeaderTerm(
        MemoryBus(MemoryServer()),
        Subjects(),
        CoordinatorSettings(),
        lambda: awake,
        lead=Lead(record.epoch, 1, record),
        known=(),
        agents_max_age_s=3600.0,
        lease_is_valid=lambda: True,
        renew_lease=lambda: None,
        on_fenced_out=lambda: None,
        on_another_stream=lambda: None,
    )
    chains, key = term.chains.engine, ChainKey("chain", "dog")
    found = chain_events.ChainFound(key, record_of(key, chain_of({"a": []}), 1, AT))
    assert chains.handle(found, awake) == []
    term.engine.handle(events.Led(7, ()), awake)
    assert chains.handle(chain_events.Tick(), woken) == []
    assert [type(each) for each in chains.handle(chain_events.Tick(), awake)] == [effects.StartStep]
    await term.close()
