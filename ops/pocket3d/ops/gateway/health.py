"""Whether the process lives, and whether it can be of use."""

from __future__ import annotations

from litestar import Router, route

from pocket3d.contracts.api import EmptyRequest, FeatureList
from pocket3d.contracts.version import VERSION

from .errors import HttpError
from .session import Session

#: A coordinator that takes longer than this is as good as none, seconds.
_READY_S = 2.0


def health_router(session: Session) -> Router:
    """`/health` and `/ready`."""

    @route("/health", http_method=["GET", "HEAD"], opt={"right": "open"}, tags=["health"])
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "healthy", "version": VERSION}

    @route("/ready", http_method=["GET", "HEAD"], opt={"right": "open"}, tags=["health"])
    async def ready() -> dict[str, str]:
        """NATS is connected and a coordinator answers; else 503."""
        if not session.client.bus.connected:
            raise HttpError(503, "not connected to NATS")
        await session.jobs.api("features", EmptyRequest(), FeatureList, _READY_S)
        return {"status": "ready", "version": VERSION}

    return Router("/", route_handlers=[health, ready])
