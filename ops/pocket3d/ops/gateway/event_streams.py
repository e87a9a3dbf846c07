"""Routes of server-sent events: of one job, and of all that a caller sees."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

import structlog
from litestar import Request, Response, Router, get
from litestar.params import FromPath, FromQuery

from pocket3d.bus.port import BusError, Stored
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Status

from .errors import HttpError
from .event_hub import result_data
from .events import KINDS, Event, Queued, Reader, Wants, dropped, frame
from .session import Session, caller_of
from .streamed_response import StreamedResponse
from .tokens import Caller

log = structlog.get_logger("pocket3d.ops.gateway.events")

_PAGE = 256
#: Events that a stream which comes back gets again at most; then it is told that it missed some.
_REPLAYED = 5000
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    # For nginx: pass on each event at once.
    "X-Accel-Buffering": "no",
}
#: Pause before a browser connects again, milliseconds.
_FIRST = b"retry: 2000\n\n"
_PING = b": \n\n"


def events_router(session: Session) -> Router:
    """`/v1/jobs/{id}/events`, `/v1/events`."""

    @get("/jobs/{job_id:str}/events", opt={"query_token": True}, tags=["events"], media_type="text/event-stream")
    async def of_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Response[Any]:
        """A job's events from its first (or those after `Last-Event-ID`), its progress, its result; then it ends."""
        caller = caller_of(request)
        handle = await session.jobs.handle(caller, job_id)
        after = last_event_id(request)
        status = await handle.status()
        if after is not None and status.status in TERMINAL and after >= await _last_seq(session, job_id):
            # It has everything: a browser comes back no more after this.
            return Response(b"", status_code=204, media_type="text/event-stream")
        wants = Wants(job_id, admin=True)
        return open_stream(session, caller, wants, lambda reader: _job_story(session, reader, job_id, after))

    @get("/events", opt={"query_token": True}, tags=["events"], media_type="text/event-stream")
    async def of_all(
        request: Request[Any, Any, Any], tenant: FromQuery[str | None] = None, kinds: FromQuery[str | None] = None
    ) -> Response[Any]:
        """All events of the caller's tenant (of an admin: of all, or of one) from now on, or after `Last-Event-ID`.

        `kinds` picks some, with commas: status, progress, result, advert, chain, group.
        """
        caller = caller_of(request)
        admin = caller.may("admin")
        whose = tenant if admin else session.jobs.tenant_of(caller, tenant)
        wants = Wants(None, whose, _kinds(kinds), admin)
        after = last_event_id(request)
        return open_stream(session, caller, wants, lambda reader: _everything(session, reader, after))

    return Router("/v1", route_handlers=[of_job, of_all])


def last_event_id(request: Request[Any, Any, Any]) -> int | None:
    """The sequence after which a reader goes on, of the header or of `?last_event_id=`."""
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if not text:
        return None
    seq = decimal(text)
    if seq is None:
        raise HttpError(400, f"Last-Event-ID {text[:40]!r} is no id of an event", "last_event_id")
    return seq


def _kinds(text: str | None) -> frozenset[str] | None:
    if not text:
        return None
    kinds = frozenset(text.split(","))
    unknown = sorted(kinds - set(KINDS))
    if unknown:
        raise HttpError(400, f"{unknown[0][:40]!r} is none of {', '.join(KINDS)}", "kinds")
    return kinds


def open_stream(
    session: Session, caller: Caller, wants: Wants, story: Callable[[Reader], AsyncGenerator[bytes, None]]
) -> Response[Any]:
    """The answer of one stream; its place is given back when it ends, however that comes."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        reader = session.hub.open(wants)
        telling = story(reader)
        try:
            yield _FIRST
            async for piece in telling:
                yield piece
        except ConnectionAbortedError:
            return
        except BusError as error:
            # A browser comes back with its last id.
            log.info("an event stream ends", error=str(error))
            return
        finally:
            await telling.aclose()
            session.hub.shut(reader)

    if not session.places.take(caller.key):
        raise HttpError(429, "too many open event streams; close some", headers={"Retry-After": "10"})
    give_back = partial(session.places.give_back, caller.key)
    return StreamedResponse(pieces(), 200, _HEADERS, session.settings.send_timeout_s, give_back)


async def _job_story(session: Session, reader: Reader, job_id: str, after: int | None) -> AsyncGenerator[bytes, None]:
    """What was, what is, and what comes, up to the job's end."""
    bus, subjects = session.client.bus, session.client.subjects
    seen, ended = after or 0, False
    async for stored, status in _replay(session, subjects.events_of(job_id), seen):
        seen, ended = stored.seq, ended or status.status in TERMINAL
        yield frame("status", stored.data, stored.seq)
    if not ended:
        latest = await bus.last(subjects.progress_stream, subjects.progress_of(job_id))
        if latest is not None:
            yield frame("progress", latest.data)
    while not ended:
        for queued in await next_events(session, reader):
            if queued.seq is not None and queued.seq <= seen:
                continue
            yield queued.frame
            if queued.kind == "dropped":
                return
            if queued.final:
                ended = True
                break
    result = await session.jobs.result_now(job_id)
    if result is not None:
        yield frame("result", result_data(result))


async def _everything(session: Session, reader: Reader, after: int | None) -> AsyncGenerator[bytes, None]:
    """What came after an event, and what comes."""
    seen, count = 0, 0
    if after is not None:
        async for stored, status in _replay(session, session.client.subjects.all_events(), after):
            seen = stored.seq
            if not reader.takes(Event("status", status.job_id, stored.data, status.tenant, stored.seq)):
                continue
            count += 1
            if count > _REPLAYED:
                yield dropped(count)
                return
            yield frame("status", stored.data, stored.seq)
    while True:
        for queued in await next_events(session, reader):
            if queued.seq is not None and queued.seq <= seen:
                continue
            yield queued.frame
            if queued.kind == "dropped":
                return


async def next_events(session: Session, reader: Reader) -> list[Queued]:
    """What comes next for a reader: events, what it missed, or a comment because nothing came."""
    if not await session.hub.wait(reader, session.settings.stream_ping_s):
        return [Queued("ping", None, _PING)]
    if reader.missed:
        return [Queued("dropped", None, dropped(reader.missed))]
    return reader.take()


async def _replay(session: Session, subject: str, after: int) -> AsyncGenerator[tuple[Stored, Status], None]:
    """Events of the stream with a higher sequence, to its end."""
    while True:
        page = await session.client.bus.pages(
            session.client.subjects.events_stream, subject, start=after + 1, limit=_PAGE
        )
        for stored in page:
            after = stored.seq
            try:
                status = decode(Status, stored.data)
            except WireError:
                continue
            yield stored, status
        if len(page) < _PAGE:
            return


async def _last_seq(session: Session, job_id: str) -> int:
    subjects = session.client.subjects
    stored = await session.client.bus.last(subjects.events_stream, subjects.events_of(job_id))
    return stored.seq if stored is not None else 0
