"""What all routes of the gateway share: one connection, who may do what, and what callers do with jobs and files.

    session = Session(client, GatewaySettings(), Tokens())
    app = create_app(session, session.settings)

Routers (the facades' too) take a session and say of each handler which right it needs: `opt={"right": "submit"}`;
without one it is `read`, and `open` asks for nothing. `caller_of(request)` is who asks. Then:

    status = await session.jobs.submit(caller, {"feature": "echo", "inputs": {}})
    result = await session.jobs.result(caller, status.job_id, wait_s=60)
    stored = await session.files.store(caller, chunks, "cat.png")  # an input is {"artifact": stored.artifact}
    artifact = await session.files.artifact(caller, job_id, None)
    download = await session.files.open(caller, artifact)  # its bytes, piece by piece
"""

from __future__ import annotations

import time
from typing import Any

from litestar.connection import ASGIConnection

from pocket3d.bus.client import Client

from .errors import HttpError
from .event_hub import EventHub
from .file_desk import FileDesk
from .job_desk import JobDesk
from .limits import Places, RateLimits
from .settings import GatewaySettings
from .stats import Stats
from .tokens import Caller, Tokens, bearer
from .webhook_calls import HttpSender
from .webhook_desk import WebhookDesk

#: Who asks where there are no tokens: whoever reaches the port.
_EVERYBODY_TENANT = "default"


class Session:
    """One gateway's connection and what it keeps of its callers.

    Args:
        client: a connection to the system; whoever made it closes it.
        settings: as set.
        tokens: who may do what; none where everybody may do everything.
    """

    def __init__(self, client: Client, settings: GatewaySettings, tokens: Tokens) -> None:
        self.client = client
        self.settings = settings
        self.tokens = tokens
        self.jobs = JobDesk(client)
        self.files = FileDesk(client, self.jobs, settings)
        self.stats = Stats(settings.stats_interval_s, settings.stats_intervals)
        self.hub = EventHub(client, self.jobs, self.stats, settings.stream_queue)
        self._sender = HttpSender(private=settings.webhooks_private, timeout_s=settings.webhook_timeout_s)
        self.webhooks = WebhookDesk(client, self.jobs, settings, self._sender)
        self.rates = RateLimits(settings.rate_burst, settings.rate_per_s)
        self.places = Places(settings.streams_max, settings.streams_per_token)

    async def start(self) -> None:
        """Begin to listen to what the system tells."""
        await self.hub.start()
        await self.webhooks.start()

    async def close(self) -> None:
        """End all streams and tasks."""
        await self.webhooks.close()
        await self.hub.close()
        await self._sender.close()

    def admit(self, connection: ASGIConnection[Any, Any, Any, Any], right: str, *, in_query: bool = False) -> Caller:
        """Who asks, if it may; `in_query` takes a token from `?access_token=` too.

        Raises:
            HttpError: 401 no token or an unknown one, 403 too few rights, 429 too many requests.
        """
        client = connection.client
        address = client.host if client is not None else "local"
        if not self.tokens:
            caller = Caller(_EVERYBODY_TENANT, "admin", address)
        else:
            token = bearer(
                connection.headers.get("authorization"),
                connection.query_params.get("access_token") if in_query else None,
            )
            found = None if token is None else self.tokens.caller(token)
            if found is None:
                # Of one address: whoever guesses is slowed down too.
                self._count(f"unknown {address}")
                why = "this gateway wants a token: Authorization: Bearer TOKEN" if token is None else "unknown token"
                raise HttpError(401, why, headers={"WWW-Authenticate": "Bearer"})
            caller = found
        self._count(caller.key)
        if not caller.may(right):
            raise HttpError(403, f"this needs the right {right!r}, this token has {caller.right!r}")
        return caller

    def _count(self, key: str) -> None:
        self.files.turns.asked()
        waits_s = self.rates.ask(key, time.monotonic())
        if waits_s > 0:
            raise HttpError(429, "too many requests; slow down", headers={"Retry-After": str(max(1, round(waits_s)))})


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who asks, as the gateway's guard found out."""
    caller: Caller = connection.state.caller
    return caller
