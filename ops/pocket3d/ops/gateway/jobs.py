"""Routes of jobs: the coordinator's verbs under `/v1/jobs`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from pocket3d.contracts.api import Explanation, JobList, ListRequest
from pocket3d.contracts.codec import decode
from pocket3d.contracts.jobs import SubmitRequest, is_file_key
from pocket3d.contracts.messages import Result, Status

from .auctions import JobBids
from .body import read_json
from .errors import HttpError
from .multipart_reader import Part, form_parts, is_form
from .session import Session, caller_of

#: A result is waited for so long at most; ask again.
_LONGEST_WAIT_S = 60.0


def jobs_router(session: Session) -> Router:
    """`/v1/jobs`."""
    settings = session.settings

    @post("/", opt={"right": "submit", "body": SubmitRequest}, status_code=202, tags=["jobs"])
    async def submit(request: Request[Any, Any, Any]) -> Status:
        """Submit a job: as JSON, or as a form whose part `job` is the JSON and every other part a file, named as its
        input.
        """
        if is_form(request):
            body = await _form_job(session, request)
        else:
            body = await read_json(request, settings.request_max_bytes)
        return await session.jobs.submit(caller_of(request), body)

    @get("/", tags=["jobs"])
    async def page(
        request: Request[Any, Any, Any],
        status: FromQuery[str | None] = None,
        feature: FromQuery[str | None] = None,
        tenant: FromQuery[str | None] = None,
        since: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> JobList:
        """A page of jobs, the newest first; `next` of the answer is the `cursor` of the next page."""
        wanted = ListRequest(status=status, feature=feature, tenant=tenant, since=since, limit=limit, after=cursor)
        return await session.jobs.page(caller_of(request), wanted)

    @get("/{job_id:str}", tags=["jobs"])
    async def status(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Status:
        """Where a job stands."""
        return await session.jobs.status(caller_of(request), job_id)

    @delete("/{job_id:str}", opt={"right": "submit"}, status_code=200, tags=["jobs"])
    async def cancel(
        request: Request[Any, Any, Any], job_id: FromPath[str], reason: FromQuery[str | None] = None
    ) -> Status:
        """End a job; the answer is its status then, its end comes with its result."""
        return await session.jobs.cancel(caller_of(request), job_id, reason)

    @post("/{job_id:str}/retry", opt={"right": "submit"}, status_code=202, tags=["jobs"])
    async def retry(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Status:
        """Submit an ended job's request again, under a new id."""
        return await session.jobs.retry(caller_of(request), job_id)

    @get("/{job_id:str}/explain", tags=["jobs"])
    async def explain(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Explanation:
        """Why a job does not run, or where it runs."""
        return await session.jobs.explain(caller_of(request), job_id)

    @get("/{job_id:str}/bids", tags=["jobs"])
    async def bids(request: Request[Any, Any, Any], job_id: FromPath[str]) -> JobBids:
        """Who bid for a job before its latest start, as far as this gateway has overheard it; else 404."""
        await session.jobs.handle(caller_of(request), job_id)
        found = session.hub.auctions.of_job(job_id)
        if found is None:
            raise HttpError(404, f"no bids for job {job_id} were heard by this gateway", "job_id")
        return found

    @get("/{job_id:str}/result", tags=["jobs"])
    async def result(
        request: Request[Any, Any, Any],
        job_id: FromPath[str],
        wait: Annotated[float, QueryParameter(ge=0, le=_LONGEST_WAIT_S)] = 0.0,
    ) -> Result:
        """A job's result; 404 while there is none. `wait` waits for it, seconds."""
        return await session.jobs.result(caller_of(request), job_id, wait)

    @get("/{job_id:str}/request", tags=["jobs"])
    async def submitted(request: Request[Any, Any, Any], job_id: FromPath[str]) -> dict[str, Any]:
        """What was submitted; 404 where it is not kept."""
        return await session.jobs.request(caller_of(request), job_id)

    return Router("/v1/jobs", route_handlers=[submit, page, status, cancel, retry, explain, bids, result, submitted])


async def _form_job(session: Session, request: Request[Any, Any, Any]) -> dict[str, Any]:
    """A job of a form: its files are stored as they come, and put among its inputs."""
    settings = session.settings
    body: dict[str, Any] | None = None
    files: dict[str, list[dict[str, str]]] = {}
    async for part in form_parts(request, settings.upload_max_bytes, settings.upload_idle_s):
        if part.name == "job":
            body = decode(dict[str, Any], await _small(part, settings.request_max_bytes) or b"{}")
        elif part.filename is None:
            why = "no file; what is no file goes into the part job, the JSON of the job"
            raise HttpError(400, why, part.name[:80])
        elif not is_file_key(part.name):
            why = "a file cannot go here; inputs that are files end in _path or _paths"
            raise HttpError(400, why, f"inputs.{part.name[:80]}")
        else:
            stored = await session.files.store(caller_of(request), part.data, part.filename or "file")
            files.setdefault(part.name, []).append(stored.reference())
    if body is None:
        raise HttpError(400, "the form has no part named job, which is the JSON of the job", "job")
    inputs = body.setdefault("inputs", {})
    if not isinstance(inputs, dict):
        raise HttpError(400, "expected an object", "inputs")
    for key, references in files.items():
        if key in inputs:
            raise HttpError(400, "given twice: among the inputs and as a file", f"inputs.{key}")
        if not key.endswith("_paths") and len(references) > 1:
            raise HttpError(400, f"takes one file; several go under {key}s", f"inputs.{key}")
        inputs[key] = references if key.endswith("_paths") else references[0]
    return body


async def _small(part: Part, most: int) -> bytes:
    data = b""
    async for piece in part.data:
        data += piece
        if len(data) > most:
            raise HttpError(413, f"the part {part.name} has more than {most} bytes", part.name)
    return data
