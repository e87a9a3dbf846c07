"""The agents bucket: what each agent has, for eyes and for the next leader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from pocket3d.bus.port import Bus, BusError, KvEntry
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import AgentRecord
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects

from ..auction.fleet import Fleet
from ..auction.record_age import records_due
from ..engine.effects import ForgetAgent, RecordAgent

log = structlog.get_logger(__name__)

#: From one look at the bucket to the next: this part of the time that it keeps a record, at most so long, seconds.
_PART = 8
_LONGEST_S = 30.0


async def record_agent(bus: Bus, subjects: Subjects, effect: RecordAgent) -> None:
    """Write what is known of an agent."""
    try:
        await bus.kv_put(subjects.agents_bucket, effect.record.agent_id, encode(effect.record))
    except BusError as error:
        log.debug("an agent was not recorded", agent_id=effect.record.agent_id, error=str(error))


async def forget_agent(bus: Bus, subjects: Subjects, effect: ForgetAgent) -> None:
    """Remove an agent."""
    try:
        await bus.kv_delete(subjects.agents_bucket, effect.agent_id)
    except BusError as error:
        log.debug("an agent was not forgotten", agent_id=effect.agent_id, error=str(error))


async def known_agents(bus: Bus, subjects: Subjects, heard: Mapping[str, Advert], now: Now) -> list[AgentRecord]:
    """What a new leader knows of the agents: by the bucket, and by what it has heard itself."""
    records: dict[str, AgentRecord] = {}
    try:
        entries = await bus.kv_entries(subjects.agents_bucket)
    except BusError as error:
        log.warning("the agents bucket could not be read", error=str(error))
        entries = []
    for entry in entries:
        try:
            record = _read(entry)
        except WireError as error:
            log.warning("an agent's record could not be read", key=entry.key, error=str(error))
        else:
            records[record.agent_id] = record
    for agent_id, advert in heard.items():
        records.setdefault(agent_id, _heard(advert, rfc3339(now.wall)))
    return list(records.values())


def _read(entry: KvEntry) -> AgentRecord:
    """What stands under an agent's id: commands go to the subject of that id.

    Raises:
        WireError: it is no record of an agent, or that of another.
    """
    record = decode(AgentRecord, entry.value)
    if record.agent_id != entry.key:
        raise WireError("agent_id", f"it is that of another agent, {record.agent_id[:80]!r}")
    return record


def _heard(advert: Advert, at: str) -> AgentRecord:
    """A record of an agent that advertised and was never recorded: enough for a new leader to ask it what it runs."""
    return AgentRecord(
        agent_id=advert.agent_id,
        incarnation=advert.incarnation,
        host=advert.host,
        version=advert.version,
        draining=advert.draining,
        devices=[],
        adapters=[],
        features=[],
        at=at,
    )


async def keep_recorded(
    bus: Bus, subjects: Subjects, fleet: Callable[[], Fleet], clock: Callable[[], Now], max_age_s: float
) -> None:
    """Write the records of living agents again before they leave the bucket, and those that somebody removed; until
    cancelled.
    """
    while True:
        await asyncio.sleep(min(max_age_s / _PART, _LONGEST_S))
        recorded: dict[str, str] = {}
        try:
            entries = await bus.kv_entries(subjects.agents_bucket)
        except BusError as error:
            log.debug("the agents bucket could not be read", error=str(error))
            continue
        for entry in entries:
            try:
                recorded[entry.key] = _read(entry).at
            except WireError as error:
                log.warning("an agent's record could not be read; it is written again", key=entry.key, error=str(error))
        wall = clock().wall
        for agent_id in records_due(recorded, list(fleet().agents), wall, max_age_s):
            view = fleet().agents.get(agent_id)
            if view is not None:
                await record_agent(bus, subjects, RecordAgent(fleet().record(view, rfc3339(wall))))
