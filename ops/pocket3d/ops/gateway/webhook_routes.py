"""Routes of webhooks."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.params import FromPath

from .body import read_struct
from .session import Session, caller_of
from .webhooks import Webhook, WebhookOrder


class WebhookInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as callers see it; the secret is told once, when it is registered."""

    webhook_id: str
    url: str
    tenant: str
    features: list[str] | None
    statuses: list[str] | None
    secret: str | None = None


class WebhookList(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `GET /v1/webhooks`."""

    webhooks: list[WebhookInfo]


def _info(hook: Webhook, secret: str | None = None) -> WebhookInfo:
    return WebhookInfo(
        webhook_id=hook.webhook_id,
        url=hook.url,
        tenant=hook.tenant,
        features=hook.features,
        statuses=hook.statuses,
        secret=secret,
    )


def webhooks_router(session: Session) -> Router:
    """`/v1/webhooks`."""

    @post("/", opt={"right": "submit", "body": WebhookOrder}, status_code=201, tags=["webhooks"])
    async def register(request: Request[Any, Any, Any]) -> WebhookInfo:
        """Have results told to a URL, signed (Standard Webhooks); the answer has the secret."""
        order = await read_struct(request, WebhookOrder, session.settings.request_max_bytes)
        hook = await session.webhooks.register(caller_of(request), order)
        return _info(hook, hook.secret)

    @get("/", tags=["webhooks"])
    async def registered(request: Request[Any, Any, Any]) -> WebhookList:
        """The caller's webhooks."""
        return WebhookList(webhooks=[_info(hook) for hook in await session.webhooks.registered(caller_of(request))])

    @delete("/{webhook_id:str}", opt={"right": "submit"}, tags=["webhooks"])
    async def remove(request: Request[Any, Any, Any], webhook_id: FromPath[str]) -> None:
        """Tell it nothing more."""
        await session.webhooks.remove(caller_of(request), webhook_id)

    return Router("/v1/webhooks", route_handlers=[register, registered, remove])
