"""The ASGI application: routes, the guard before them, errors as JSON, the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler

from .chains import chains_router
from .errors import HttpError, Told, tell
from .event_streams import events_router
from .facades import routers as facade_routers
from .files import files_router
from .fleet import fleet_router
from .health import health_router
from .jobs import jobs_router
from .openapi_routes import openapi_router
from .origins import OriginCheck
from .page_files import page_router
from .session import Session
from .settings import GatewaySettings
from .webhook_routes import webhooks_router

log = structlog.get_logger("pocket3d.ops.gateway")


def create_app(session: Session, settings: GatewaySettings, *, loopback: bool = True) -> Litestar:
    """The application of one session.

    Args:
        session: what routes work on; started and closed with the application.
        settings: as the session's.
        loopback: it listens on this machine only: other names than this machine's are refused (DNS rebinding).
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        right = handler.opt.get("right", "read")
        if right != "open":
            connection.state.caller = session.admit(connection, right, in_query=bool(handler.opt.get("query_token")))

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await session.start()
        try:
            yield
        finally:
            await session.close()

    cors = None
    if settings.origins:
        exposed = ["ETag", "Content-Range", "Accept-Ranges", "Retry-After"]
        cors = CORSConfig(allow_origins=settings.origins, expose_headers=exposed, max_age=600)
    return Litestar(
        [
            health_router(session),
            jobs_router(session),
            chains_router(session),
            files_router(session),
            events_router(session),
            fleet_router(session),
            webhooks_router(session),
            openapi_router(),
            page_router(),
            *facade_routers(session),
        ],
        guards=[guard],
        middleware=[OriginCheck(settings.origins, settings.hosts, loopback)],
        cors_config=cors,
        exception_handlers={Exception: _answer_error, HTTPException: _answer_http_error},
        lifespan=[lifespan],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    told = tell(error)
    if told is None:
        log.exception("a request failed", path=request.url.path, method=request.method, exc_info=error)
        told = Told(500, "the gateway failed; its log says how", None, {})
    return _response(told)


def _answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own: an unknown path, a parameter of the wrong kind."""
    extra = error.extra if isinstance(error.extra, list) else []
    field = next((str(each["key"]) for each in extra if isinstance(each, dict) and "key" in each), None)
    reasons = "; ".join(str(each["message"]) for each in extra if isinstance(each, dict) and "message" in each)
    why = reasons or error.detail
    if error.status_code == 405:
        why = f"{request.method} is not what {request.url.path[:200]} takes; /docs describes every route"
    elif error.status_code == 404 and not reasons:
        why = f"there is nothing at {request.url.path[:200]}; /docs describes every route"
    told = tell(HttpError(error.status_code, why, field, error.headers))
    assert told is not None
    return _response(told)


def _response(told: Told) -> Response[bytes]:
    return Response(told.body(), status_code=told.code, media_type="application/json", headers=told.headers)
