"""Routes of files: uploads, and the artifacts of results with ranges."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, Router, get, post, route
from litestar.params import FromPath

from pocket3d.contracts.messages import Artifact

from .body import pieces
from .byte_ranges import Span, Unsatisfiable, names_etag, range_holds, wanted_span
from .errors import HttpError
from .file_desk import StoredFile
from .multipart_reader import form_parts, is_form
from .session import Session, caller_of
from .streamed_response import StreamedResponse


def files_router(session: Session) -> Router:
    """`/v1/files`, `/v1/jobs/{id}/artifacts/{name}`, `/v1/jobs/{id}/file`."""
    settings = session.settings

    @post("/files", opt={"right": "submit"}, status_code=201, tags=["files"])
    async def upload(request: Request[Any, Any, Any]) -> StoredFile:
        """Store a file for jobs to refer to: the raw body with `?name=cat.png`, or a form with a part `file`."""
        if not is_form(request):
            name = request.query_params.get("name") or "file"
            return await session.files.store(
                caller_of(request), pieces(request, settings.upload_max_bytes, settings.upload_idle_s), name
            )
        async for part in form_parts(request, settings.upload_max_bytes, settings.upload_idle_s):
            if part.name == "file":
                name = request.query_params.get("name") or part.filename or "file"
                return await session.files.store(caller_of(request), part.data, name)
        raise HttpError(400, "the form has no part named file", "file")

    @route(
        "/jobs/{job_id:str}/artifacts/{name:path}",
        http_method=["GET", "HEAD"],
        opt={"query_token": True},
        tags=["files"],
        media_type="application/octet-stream",
    )
    async def artifact(request: Request[Any, Any, Any], job_id: FromPath[str], name: FromPath[str]) -> Response[Any]:
        """A file of a job's result. `Range` (one range), `If-Range` and `If-None-Match` are followed."""
        return await send(request, await session.files.artifact(caller_of(request), job_id, name.lstrip("/")))

    @route(
        "/jobs/{job_id:str}/file",
        http_method=["GET", "HEAD"],
        opt={"query_token": True},
        tags=["files"],
        media_type="application/octet-stream",
    )
    async def main(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Response[Any]:
        """What a job was asked for: the mesh of its result, or its only file. Ranges as of `artifacts`."""
        return await send(request, await session.files.artifact(caller_of(request), job_id, None))

    @get("/jobs/{job_id:str}/artifacts", tags=["files"])
    async def listed(request: Request[Any, Any, Any], job_id: FromPath[str]) -> list[Artifact]:
        """The files of a job's result."""
        return (await session.jobs.result(caller_of(request), job_id)).artifacts

    async def send(request: Request[Any, Any, Any], found: Artifact) -> Response[Any]:
        etag = f'"{found.sha256}"'
        headers = artifact_headers(found, etag)
        if names_etag(request.headers.get("if-none-match"), etag):
            return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
        span = Span(0, found.size)
        status = 200
        if range_holds(request.headers.get("if-range"), etag):
            try:
                part = wanted_span(request.headers.get("range"), found.size)
            except Unsatisfiable as error:
                raise HttpError(416, str(error), headers={"Content-Range": f"bytes */{found.size}"}) from error
            if part is not None:
                span, status = part, 206
                headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{found.size}"
        headers |= {"Content-Type": found.media_type, "Content-Length": str(span.stop - span.start)}
        if request.method == "HEAD":
            return Response(b"", status_code=status, headers=headers, media_type=found.media_type)
        opened = await session.files.open(caller_of(request), found, span.start, span.stop)
        return StreamedResponse(opened.pieces, status, headers, settings.send_timeout_s, opened.done)

    return Router("/v1", route_handlers=[upload, artifact, main, listed])


def artifact_headers(artifact: Artifact, etag: str) -> dict[str, str]:
    """Headers of a job's file. It is data of a stranger: a browser stores it and does not run it."""
    name = quote(artifact.name.rpartition("/")[2], safe="")
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
