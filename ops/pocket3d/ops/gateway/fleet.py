"""What can be asked for, who serves it, and an operator's requests to one agent."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from litestar import Request, Router, get, post
from litestar.params import FromPath

from pocket3d.bus.client.api_calls import call
from pocket3d.bus.client.errors import NoLeader
from pocket3d.contracts.api import (
    AgentList,
    ControlAnswer,
    ControlRequest,
    EmptyRequest,
    FeatureList,
    LoadRequest,
)
from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN, AGENT_ID_PATTERN

from .body import read_struct
from .errors import HttpError
from .event_hub import public
from .session import Session, caller_of
from .stats import StatsAnswer, answer

#: An agent that is there answers at once.
_CONTROL_S = 5.0


class LoadOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which adapter an agent is to load or unload; the agent is in the path."""

    adapter_id: str
    device: str | None = None
    variant: str | None = None


def fleet_router(session: Session) -> Router:
    """`/v1/features`, `/v1/agents`."""

    async def control(agent_id: str, verb: str, request: ControlRequest) -> ControlAnswer:
        if not AGENT_ID_PATTERN.fullmatch(agent_id):
            raise HttpError(400, f"{agent_id[:80]!r} is not an agent id", "agent_id")
        client = session.client
        subject = client.subjects.agent_control(agent_id, verb)
        try:
            return await call(client.bus, subject, request, ControlAnswer, _CONTROL_S)
        except NoLeader as error:
            raise await silent(agent_id) from error

    async def silent(agent_id: str) -> HttpError:
        fleet = await session.jobs.api("agents", EmptyRequest(), AgentList)
        known = sorted(agent.agent_id for agent in fleet.agents)
        there = f"connected: {', '.join(known)}" if known else "none is connected"
        return HttpError(404, f"no agent {agent_id!r} answers; {there}", "agent_id")

    async def load_order(agent_id: str, request: Request[Any, Any, Any]) -> LoadRequest:
        order = await read_struct(request, LoadOrder, session.settings.request_max_bytes)
        if not ADAPTER_ID_PATTERN.fullmatch(order.adapter_id):
            raise HttpError(400, f"{order.adapter_id[:80]!r} is not an adapter id", "adapter_id")
        # Agents of earlier versions refuse a variant that is null.
        variant = msgspec.UNSET if order.variant is None else order.variant
        return LoadRequest(agent_id=agent_id, adapter_id=order.adapter_id, device=order.device, variant=variant)

    @get("/features", tags=["fleet"])
    async def features() -> FeatureList:
        """What can be asked for: features, what they require, and the adapters that serve them with their schemas."""
        return await session.jobs.api("features", EmptyRequest(), FeatureList)

    @get("/agents", tags=["fleet"])
    async def agents(request: Request[Any, Any, Any]) -> AgentList:
        """The agents as they advertise themselves: devices, what is loaded, and (for admins) which jobs run."""
        found = await session.jobs.api("agents", EmptyRequest(), AgentList)
        if caller_of(request).may("admin"):
            return found
        return AgentList(agents=[public(agent) for agent in found.agents])

    @get("/stats", tags=["fleet"])
    async def stats(request: Request[Any, Any, Any]) -> StatsAnswer:
        """The latest history of the caller's tenant (of an admin: of all): jobs by event, waits, loads, runs."""
        caller = caller_of(request)
        tenant = None if caller.may("admin") else caller.tenant
        return answer(session.stats, tenant, time.time(), session.places.total)

    @post("/agents/{agent_id:str}/drain", status_code=200, opt={"right": "admin"}, tags=["fleet"])
    async def drain(agent_id: FromPath[str]) -> ControlAnswer:
        """Let it finish what runs and take nothing new."""
        return await control(agent_id, "drain", ControlRequest(agent_id=agent_id))

    @post("/agents/{agent_id:str}/resume", status_code=200, opt={"right": "admin"}, tags=["fleet"])
    async def resume(agent_id: FromPath[str]) -> ControlAnswer:
        """Let it take jobs again."""
        return await control(agent_id, "undrain", ControlRequest(agent_id=agent_id))

    @post("/agents/{agent_id:str}/load", status_code=200, opt={"right": "admin", "body": LoadOrder}, tags=["fleet"])
    async def load(agent_id: FromPath[str], request: Request[Any, Any, Any]) -> ControlAnswer:
        """Keep an adapter warm on a device."""
        return await control(agent_id, "load", await load_order(agent_id, request))

    @post("/agents/{agent_id:str}/unload", status_code=200, opt={"right": "admin", "body": LoadOrder}, tags=["fleet"])
    async def unload(agent_id: FromPath[str], request: Request[Any, Any, Any]) -> ControlAnswer:
        """Free the memory of an adapter."""
        return await control(agent_id, "unload", await load_order(agent_id, request))

    return Router("/v1", route_handlers=[features, agents, stats, drain, resume, load, unload])
