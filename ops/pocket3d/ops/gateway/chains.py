"""Routes of chains and groups: several jobs that are asked for, followed, ended and tried again as one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from pocket3d.contracts.chain_messages import (
    ChainCancelRequest,
    ChainIdRequest,
    ChainList,
    ChainListRequest,
    ChainStatus,
    GroupCancelRequest,
    GroupIdRequest,
    GroupList,
    GroupStatus,
)
from pocket3d.contracts.chains import ChainRequest, GroupRequest
from pocket3d.contracts.codec import convert
from pocket3d.contracts.subjects import CHAIN_ID_PATTERN, ChainKind

from .body import read_json
from .chain_streams import chain_story
from .errors import HttpError
from .event_streams import open_stream
from .events import Wants
from .session import Session, caller_of
from .tokens import Caller

A = TypeVar("A", ChainStatus, GroupStatus)


def chains_router(session: Session) -> Router:
    """`/v1/chains` and `/v1/groups`."""
    return Router("/v1", route_handlers=[_chains(session), _groups(session)])


def _chains(session: Session) -> Router:
    desk = _Desk(session, "chain", ChainStatus)

    @post("/", opt={"right": "submit", "body": ChainRequest}, status_code=202, tags=["chains"])
    async def submit(request: Request[Any, Any, Any]) -> ChainStatus:
        """Submit several jobs of which later ones take files of earlier ones: `{"step": name, "name"?: file}`."""
        body = await desk.body(request)
        await desk.check_inputs(caller_of(request), body.get("steps"))
        return await session.jobs.api("chain", convert(ChainRequest, body), ChainStatus)

    @get("/", tags=["chains"])
    async def page(
        request: Request[Any, Any, Any],
        status: FromQuery[str | None] = None,
        tenant: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: FromQuery[str | None] = None,
    ) -> ChainList:
        """A page of chains, the newest first."""
        wanted = desk.page(caller_of(request), status, tenant, limit, cursor)
        return await session.jobs.api("chain_list", wanted, ChainList)

    @get("/{chain_id:str}", tags=["chains"])
    async def status(request: Request[Any, Any, Any], chain_id: FromPath[str]) -> ChainStatus:
        """Where a chain and its steps stand."""
        return await desk.status(caller_of(request), chain_id)

    @delete("/{chain_id:str}", opt={"right": "submit"}, status_code=200, tags=["chains"])
    async def cancel(
        request: Request[Any, Any, Any], chain_id: FromPath[str], reason: FromQuery[str | None] = None
    ) -> ChainStatus:
        """End a chain; what its steps have made stays."""
        await desk.status(caller_of(request), chain_id)
        return await session.jobs.api("chain_cancel", ChainCancelRequest(chain_id=chain_id, reason=reason), ChainStatus)

    @post("/{chain_id:str}/retry", opt={"right": "submit"}, status_code=202, tags=["chains"])
    async def retry(request: Request[Any, Any, Any], chain_id: FromPath[str]) -> ChainStatus:
        """Try the steps again that failed or were cancelled."""
        await desk.status(caller_of(request), chain_id)
        return await session.jobs.api("chain_retry", ChainIdRequest(chain_id=chain_id), ChainStatus)

    @get("/{chain_id:str}/events", opt={"query_token": True}, tags=["chains"], media_type="text/event-stream")
    async def events(request: Request[Any, Any, Any], chain_id: FromPath[str]) -> Response[Any]:
        """A chain's events from its first, then what comes, up to its end: `event: chain`."""
        return await desk.events(request, chain_id)

    return Router("/chains", route_handlers=[submit, page, status, cancel, retry, events])


def _groups(session: Session) -> Router:
    desk = _Desk(session, "group", GroupStatus)

    @post("/", opt={"right": "submit", "body": GroupRequest}, status_code=202, tags=["groups"])
    async def submit(request: Request[Any, Any, Any]) -> GroupStatus:
        """Submit many jobs that have nothing to do with one another, to be asked about together."""
        body = await desk.body(request)
        caller = caller_of(request)
        jobs = body.get("jobs")
        await desk.check_inputs(caller, jobs)
        for job in jobs if isinstance(jobs, list) else ():
            if isinstance(job, Mapping) and job.get("tenant") not in (None, "default"):
                session.jobs.tenant_of(caller, job["tenant"])
        return await session.jobs.api("group", convert(GroupRequest, body), GroupStatus)

    @get("/", tags=["groups"])
    async def page(
        request: Request[Any, Any, Any],
        status: FromQuery[str | None] = None,
        tenant: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: FromQuery[str | None] = None,
    ) -> GroupList:
        """A page of groups, the newest first."""
        wanted = desk.page(caller_of(request), status, tenant, limit, cursor)
        return await session.jobs.api("group_list", wanted, GroupList)

    @get("/{group_id:str}", tags=["groups"])
    async def status(request: Request[Any, Any, Any], group_id: FromPath[str]) -> GroupStatus:
        """Where a group and its jobs stand."""
        return await desk.status(caller_of(request), group_id)

    @delete("/{group_id:str}", opt={"right": "submit"}, status_code=200, tags=["groups"])
    async def cancel(
        request: Request[Any, Any, Any], group_id: FromPath[str], reason: FromQuery[str | None] = None
    ) -> GroupStatus:
        """End a group."""
        await desk.status(caller_of(request), group_id)
        return await session.jobs.api("group_cancel", GroupCancelRequest(group_id=group_id, reason=reason), GroupStatus)

    @post("/{group_id:str}/retry", opt={"right": "submit"}, status_code=202, tags=["groups"])
    async def retry(request: Request[Any, Any, Any], group_id: FromPath[str]) -> GroupStatus:
        """Try the jobs again that failed or were cancelled."""
        await desk.status(caller_of(request), group_id)
        return await session.jobs.api("group_retry", GroupIdRequest(group_id=group_id), GroupStatus)

    @get("/{group_id:str}/events", opt={"query_token": True}, tags=["groups"], media_type="text/event-stream")
    async def events(request: Request[Any, Any, Any], group_id: FromPath[str]) -> Response[Any]:
        """A group's events from its first, then what comes, up to its end: `event: group`."""
        return await desk.events(request, group_id)

    return Router("/groups", route_handlers=[submit, page, status, cancel, retry, events])


class _Desk(Generic[A]):
    """What both kinds have in common."""

    def __init__(self, session: Session, kind: ChainKind, answer: type[A]) -> None:
        self._session = session
        self._kind = kind
        self._answer: type[A] = answer

    async def body(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """What is submitted: for the caller's tenant, and under an id, so that it may be sent again."""
        session = self._session
        body = await read_json(request, session.settings.request_max_bytes)
        body["tenant"] = session.jobs.tenant_of(caller_of(request), body.get("tenant"))
        body.setdefault(f"{self._kind}_id", uuid.uuid4().hex)
        return body

    async def check_inputs(self, caller: Caller, jobs: Any) -> None:
        """Results of jobs that the caller does not see are no inputs."""
        for job in jobs if isinstance(jobs, list) else ():
            inputs = job.get("inputs") if isinstance(job, Mapping) else None
            if isinstance(inputs, Mapping):
                await self._session.jobs.check_sources(caller, inputs)

    def page(
        self, caller: Caller, status: str | None, tenant: str | None, limit: int, cursor: str | None
    ) -> ChainListRequest:
        """Which page is asked for: of an admin of all tenants, of others of their own."""
        if not caller.may("admin"):
            tenant = self._session.jobs.tenant_of(caller, tenant)
        return ChainListRequest(status=status, tenant=tenant, limit=limit, after=cursor)

    async def status(self, caller: Caller, name: str) -> A:
        """Where one stands that the caller sees.

        Raises:
            HttpError: 404, unknown, or another tenant's.
        """
        what = f"{self._kind}_id"
        if not CHAIN_ID_PATTERN.fullmatch(name):
            raise HttpError(400, f"{name[:80]!r}: want 1 to 40 of A-Z, a-z, 0-9, _ and -", what)
        request = ChainIdRequest(chain_id=name) if self._kind == "chain" else GroupIdRequest(group_id=name)
        status = await self._session.jobs.api(f"{self._kind}_status", request, self._answer)
        if not caller.sees(status.tenant):
            raise HttpError(404, f"no {self._kind} {name!r} is known", what)
        return status

    async def events(self, request: Request[Any, Any, Any], name: str) -> Response[Any]:
        """The stream of one."""
        session, caller = self._session, caller_of(request)
        await self.status(caller, name)
        wants = Wants(f"{self._kind} {name}", admin=True)
        return open_stream(session, caller, wants, lambda reader: chain_story(session, reader, self._kind, name))
