"""What a browser must not be led to: another site's page calling a gateway, or another name for this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from .errors import HttpError

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def host_name(host: str) -> str:
    """The name in a `Host` header, without the port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_loopback(name: str) -> bool:
    """True for a name or address that is this machine by itself."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refusal(method: str, host: str, origin: str | None, origins: Sequence[str], hosts: Sequence[str]) -> str | None:
    """Why a request is not taken, or None.

    Args:
        method: of HTTP.
        host: the header `Host`.
        origin: the header `Origin`, which browsers send with all that a page may not do unasked.
        origins: those of other sites that may call.
        hosts: names that are meant, beside those of this machine; `*` for any.
    """
    name = host_name(host)
    if "*" not in hosts and not is_loopback(name) and name not in hosts:
        return f"host {name[:80]!r} is none of this gateway: use 127.0.0.1 or localhost, or set `hosts`"
    if origin is None or method in _SAFE or "*" in origins or origin in origins:
        return None
    # The same site: scheme aside, since a proxy may speak TLS for us.
    if urlsplit(origin).netloc.lower() == host.lower():
        return None
    return f"pages of {origin[:80]!r} may not call this gateway: set `origins`"


class OriginCheck(ASGIMiddleware):
    """Refuses such requests before anything of them is read."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, origins: Sequence[str], hosts: Sequence[str], loopback: bool) -> None:
        self._origins = origins
        self._hosts = hosts if loopback else ["*"]

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let a request through, or raise."""
        headers = Headers.from_scope(scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        wrong = refusal(str(scope.get("method", "GET")), host, origin, self._origins, self._hosts)
        if wrong is not None:
            raise HttpError(403, wrong)
        await next_app(scope, receive, send)
