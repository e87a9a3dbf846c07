"""The agents bucket: what each agent has, for eyes and for the next leader."""

from __future__ import annotations

import structlog

from pocket3d.bus.port import Bus, BusError
from pocket3d.contracts.codec import encode
from pocket3d.contracts.subjects import Subjects

from ..engine.effects import ForgetAgent, RecordAgent

log = structlog.get_logger(__name__)


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
