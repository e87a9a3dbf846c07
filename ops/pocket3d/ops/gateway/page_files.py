"""The page at `/`: the built files that lie in `page/`."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from litestar import HttpMethod, Response, Router, route
from litestar.params import FromPath

from .errors import HttpError

_READS = [HttpMethod.GET, HttpMethod.HEAD]
PAGE = Path(__file__).parent / "page"
_EMPTY = (
    "<!doctype html><title>Pocket3DStudio</title>"
    "<p>The page is not built here; the API is described at <a href=/docs>/docs</a>."
)
#: The page's files may load one another and nothing else, `blob:` and `data:` for what it makes of files.
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' blob: data:; script-src 'self' "
    "'wasm-unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def page_files(folder: Path) -> dict[str, Path]:
    """The files by their path under `/`. What is not among them is not there: no path of a client is opened."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def page_router(folder: Path = PAGE) -> Router:
    """`/` and the files beside it."""
    files = page_files(folder)

    def answer(name: str) -> Response[bytes]:
        path = files.get(name)
        if path is None:
            if name == "index.html":
                return Response(_EMPTY.encode(), media_type="text/html", headers=_HEADERS)
            raise HttpError(404, f"there is no page /{name[:200]}")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        # Built files other than the pages have the digest of their content in their name.
        forever = name.startswith("assets/")
        cached = {"Cache-Control": "public, max-age=31536000, immutable" if forever else "no-cache"}
        return Response(path.read_bytes(), media_type=kind, headers={**_HEADERS, **cached})

    @route("/", http_method=_READS, opt={"right": "open"}, include_in_schema=False, sync_to_thread=True)
    def index() -> Response[bytes]:
        return answer("index.html")

    @route("/{name:path}", http_method=_READS, opt={"right": "open"}, include_in_schema=False, sync_to_thread=True)
    def file(name: FromPath[str]) -> Response[bytes]:
        return answer(name.lstrip("/"))

    return Router("/", route_handlers=[index, file])
