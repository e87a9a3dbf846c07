"""`/openapi.json` and its page, which needs no network."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.params import FromPath
from litestar.routes import HTTPRoute

from pocket3d.contracts.codec import encode
from pocket3d.contracts.version import VERSION

from .errors import HttpError
from .openapi import RouteText, document

_FOLDER = Path(__file__).parent / "api_page"
_KINDS = {"docs.html": "text/html", "docs.js": "text/javascript", "docs.css": "text/css"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}


def route_texts(app: Litestar) -> list[RouteText]:
    """What an application declares."""
    found = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.resolve_include_in_schema() is False or set(handler.http_methods) == {"OPTIONS"}:
                continue
            media_type = str(getattr(handler.media_type, "value", handler.media_type))
            found.append(
                RouteText(
                    path=route.path,
                    methods=sorted(handler.http_methods),
                    function=handler.fn,
                    status=handler.status_code,
                    media_type=media_type,
                    right=str(handler.opt.get("right", "read")),
                    body=handler.opt.get("body"),
                    tags=sorted(handler.tags or ()),
                )
            )
    return found


def openapi_router() -> Router:
    """`/openapi.json`, `/docs`."""

    @lru_cache(maxsize=1)
    def whole(app: Litestar) -> bytes:
        return encode(document(route_texts(app), VERSION))

    @get("/openapi.json", opt={"right": "open"}, include_in_schema=False)
    async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        return Response(whole(request.app), media_type="application/json")

    @get("/docs", opt={"right": "open"}, include_in_schema=False, sync_to_thread=True)
    def page() -> Response[bytes]:
        return _file("docs.html")

    @get("/docs/{name:str}", opt={"right": "open"}, include_in_schema=False, sync_to_thread=True)
    def part(name: FromPath[str]) -> Response[bytes]:
        return _file(name)

    return Router("/", route_handlers=[openapi_json, page, part])


def _file(name: str) -> Response[bytes]:
    if name not in _KINDS:
        raise HttpError(404, f"there is no page /docs/{name[:80]}")
    return Response((_FOLDER / name).read_bytes(), media_type=_KINDS[name], headers=_HEADERS)
