"""Routes of 3DAIGC-API under `/api/v1`, as far as its client Open3DStudio calls them."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from pocket3d.bus.client.file_names import safe_name
from pocket3d.contracts.api import AgentList, EmptyRequest, FeatureList, ListRequest
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Artifact, Result, Status

from ..errors import HttpError
from ..multipart_reader import form_parts, is_form
from ..result_files import main_file, thumbnail
from ..session import Session, caller_of
from ..tokens import Caller
from . import aigc, aigc_answers, embedded_files
from .plans import Plan
from .running import Desk, Plain, error_answers, json_answer

#: Most jobs that the history and the counts look through.
_LOOKED_THROUGH = 10_000
_PAGE = 1000
#: Longest page of the history.
_MOST_LISTED = 500


def aigc_router(session: Session) -> Router:
    """What clients of 3DAIGC-API call."""
    desk = Desk(session, "3daigc")
    handlers = [*_jobs(desk), *_ended_jobs(desk), *_uploads(desk), *_fleet(desk)]
    return Router("/api/v1", route_handlers=handlers, exception_handlers=error_answers(aigc_answers.error))


def _jobs(desk: Desk) -> list[HTTPRouteHandler]:
    """The endpoints that make jobs."""

    def endpoint_handler(path: str, endpoint: aigc.Endpoint) -> HTTPRouteHandler:
        def make(data: bytes, features: FeatureList) -> Plan:
            return aigc.plan(endpoint, data, features)

        @post(f"/{path}", status_code=200, opt={"right": "submit"}, tags=["3DAIGC-API"], name=f"aigc {path}")
        async def submit(request: Plain) -> Response[bytes]:
            """Make a job of this feature."""
            _, status, plan = await desk.submit(request, caller_of(request), make)
            return json_answer(encode(aigc_answers.accepted(status, plan.ignored)))

        return submit

    return [endpoint_handler(path, endpoint) for path, endpoint in aigc.ENDPOINTS.items()]


def _ended_jobs(desk: Desk) -> list[HTTPRouteHandler]:
    """The endpoints about jobs and their files."""
    jobs = desk.session.jobs

    async def known(caller: Caller, job_id: str) -> tuple[Status, Result | None]:
        return await jobs.status(caller, job_id), await jobs.result_now(job_id)

    async def send(caller: Caller, result: Result, artifact: Artifact, filename: str, form: str) -> Response[None]:
        if form == "base64":
            around = aigc_answers.around_base64(result, artifact, filename, time.time())
            return await desk.in_json(caller, artifact, around)
        named = msgspec.structs.replace(artifact, name=filename)
        return await desk.file(caller, named, {"X-Job-ID": result.job_id})

    async def ended(request: Plain, job_id: str) -> Result:
        status, result = await known(caller_of(request), job_id)
        if result is None:
            word = aigc_answers.word(status.status)
            raise HttpError(400, f"Job is not completed yet. Current status: {word}")
        return result

    @get("/system/jobs/history", tags=["3DAIGC-API"])
    async def history(
        request: Plain,
        limit: FromQuery[int] = 100,
        offset: FromQuery[int] = 0,
        status: FromQuery[str | None] = None,
        feature: FromQuery[str | None] = None,
        start_date: FromQuery[str | None] = None,
        end_date: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        """Jobs, the newest first."""
        limit, offset = min(max(limit, 1), _MOST_LISTED), max(offset, 0)
        since = aigc_answers.since(start_date) if start_date else None
        until = aigc_answers.since(end_date) if end_date else None
        found: list[Status] = []
        cursor: str | None = None
        for _ in range(_LOOKED_THROUGH // _PAGE):
            wanted = ListRequest(feature=feature, since=since, limit=_PAGE, after=cursor)
            answer = await jobs.page(caller_of(request), wanted)
            found += [each for each in answer.jobs if aigc_answers.is_listed(each, status, until)]
            cursor = answer.next
            if cursor is None or len(found) > offset + limit:
                break
        shown = aigc_answers.history(found, limit, offset, str(request.base_url), more=cursor is not None)
        filters = {"status": status, "feature": feature, "start_date": start_date, "end_date": end_date}
        return json_answer(encode({**shown, "filters": filters, "timestamp": time.time()}))

    @get("/system/jobs/queue/stats", tags=["3DAIGC-API"])
    async def queue_stats(request: Plain) -> Response[bytes]:
        """How many jobs wait, run and are done, of the latest that are listed."""
        words: list[str] = []
        cursor: str | None = None
        for _ in range(_LOOKED_THROUGH // _PAGE):
            answer = await jobs.page(caller_of(request), ListRequest(limit=_PAGE, after=cursor))
            words += [aigc_answers.word(each.status) for each in answer.jobs]
            cursor = answer.next
            if cursor is None:
                break
        return json_answer(encode(aigc_answers.queue_stats(words, time.time())))

    @get("/system/jobs/{job_id:str}", tags=["3DAIGC-API"])
    async def job(job_id: FromPath[str], request: Plain) -> Response[bytes]:
        """Where a job stands, with addresses of its files."""
        status, result = await known(caller_of(request), job_id)
        return json_answer(encode(aigc_answers.job(status, result, str(request.base_url))))

    @get("/system/jobs/{job_id:str}/info", tags=["3DAIGC-API"])
    async def info(job_id: FromPath[str], request: Plain) -> Response[bytes]:
        """About the result of a job."""
        return json_answer(encode(aigc_answers.info(*await known(caller_of(request), job_id))))

    @get("/system/jobs/{job_id:str}/download", opt={"query_token": True}, tags=["3DAIGC-API"])
    async def download(
        job_id: FromPath[str],
        request: Plain,
        form: Annotated[str, QueryParameter(name="format")] = "file",
        filename: FromQuery[str | None] = None,
    ) -> Response[None]:
        """The file that a job made: its bytes, or base64 in JSON with `format=base64`."""
        result = await ended(request, job_id)
        made = main_file(result)
        name = safe_name(filename or f"result_{job_id}_{made.name.rpartition('/')[2]}")
        return await send(caller_of(request), result, made, name, form)

    @get("/system/jobs/{job_id:str}/thumbnail", opt={"query_token": True}, tags=["3DAIGC-API"])
    async def picture(
        job_id: FromPath[str],
        request: Plain,
        form: Annotated[str, QueryParameter(name="format")] = "file",
        filename: FromQuery[str | None] = None,
    ) -> Response[None]:
        """The picture of what a job made."""
        result = await ended(request, job_id)
        made = thumbnail(result)
        if made is None:
            raise HttpError(404, "No thumbnail available for this job")
        name = safe_name(filename or f"thumbnail_{job_id}_{made.name.rpartition('/')[2]}")
        return await send(caller_of(request), result, made, name, form)

    @delete("/system/jobs/{job_id:str}", status_code=200, opt={"right": "submit"}, tags=["3DAIGC-API"])
    async def remove(job_id: FromPath[str], request: Plain) -> Response[bytes]:
        """Cancel a job. One that has ended stays until it is too old: 409."""
        caller = caller_of(request)
        status, result = await known(caller, job_id)
        if result is not None or status.status in TERMINAL:
            raise HttpError(409, "the job has ended; its files are removed by age, not by request")
        await jobs.cancel(caller, job_id, "deleted by its client")
        return json_answer(encode({"job_id": job_id, "status": "cancelled", "message": "Job cancelled"}))

    return [history, queue_stats, job, info, download, picture, remove]


def _uploads(desk: Desk) -> list[HTTPRouteHandler]:
    session = desk.session

    async def store(request: Plain, kind: str) -> Response[bytes]:
        if not is_form(request):
            raise HttpError(422, "want a form (multipart/form-data) with a part `file`", "file")
        settings = session.settings
        async for part in form_parts(request, settings.upload_max_bytes, settings.upload_idle_s):
            if part.name == "file" and part.filename is not None:
                (embedded_files.check_mesh if kind == "mesh" else embedded_files.check_picture)(part.filename)
                stored = await session.files.store(caller_of(request), part.data, part.filename)
                return json_answer(encode(await about(stored.artifact, stored.name, kind)))
        raise HttpError(422, "the form has no file named `file`", "file")

    async def about(artifact: str, filename: str | None, kind: str | None) -> dict[str, Any]:
        client = session.client
        found = await client.bus.object_info(client.subjects.inputs_bucket, artifact)
        if found is None:
            raise HttpError(404, "File not found")
        name = filename or found.headers.get("filename", artifact)
        return aigc_answers.upload(found, name, kind or embedded_files.kind_of(name))

    @post("/file-upload/image", status_code=200, opt={"right": "submit"}, tags=["3DAIGC-API"])
    async def image(request: Plain) -> Response[bytes]:
        """Store a picture for jobs."""
        return await store(request, "image")

    @post("/file-upload/mesh", status_code=200, opt={"right": "submit"}, tags=["3DAIGC-API"])
    async def mesh(request: Plain) -> Response[bytes]:
        """Store a mesh for jobs."""
        return await store(request, "mesh")

    @get("/file-upload/metadata/{file_id:str}", tags=["3DAIGC-API"])
    async def metadata(file_id: FromPath[str]) -> Response[bytes]:
        """About an upload."""
        return json_answer(encode({**await about(file_id, None, None), "is_available": True}))

    return [image, mesh, metadata]


def _fleet(desk: Desk) -> list[HTTPRouteHandler]:
    session = desk.session

    async def adverts() -> AgentList:
        return await session.jobs.api("agents", EmptyRequest(), AgentList)

    @get("/system/auth-status", opt={"right": "open"}, tags=["3DAIGC-API"])
    async def auth_status() -> Response[bytes]:
        """Whether a token is wanted."""
        return json_answer(encode(aigc_answers.auth_status(bool(session.tokens), time.time())))

    @get("/system/models", tags=["3DAIGC-API"])
    async def models(feature: FromQuery[str | None] = None) -> Response[bytes]:
        """The adapters, by feature."""
        features = await desk.features()
        if feature is None:
            return json_answer(encode(aigc_answers.all_models(features)))
        found = aigc_answers.models(features).get(feature)
        if found is None:
            raise HttpError(404, f"Feature '{feature[:80]}' not found")
        return json_answer(encode({"feature": feature, "models": found}))

    @get("/system/features", tags=["3DAIGC-API"])
    async def features() -> Response[bytes]:
        """What can be asked for."""
        return json_answer(encode(aigc_answers.all_features(await desk.features())))

    @get("/system/models/{model_id:str}/parameters", tags=["3DAIGC-API"])
    async def parameters(model_id: FromPath[str]) -> Response[bytes]:
        """The parameters of one adapter."""
        found = aigc_answers.parameters(await desk.features(), (await adverts()).agents, model_id, time.time())
        return json_answer(encode(found))

    @get("/system/status", tags=["3DAIGC-API"])
    async def status() -> Response[bytes]:
        """The GPUs of the fleet."""
        found = aigc_answers.devices((await adverts()).agents)
        return json_answer(encode({"timestamp": rfc3339(time.time()), "gpu": found}))

    def available_models(path: str, feature: str) -> HTTPRouteHandler:
        @get(f"/{path}/available-models", tags=["3DAIGC-API"], name=f"aigc {path} models")
        async def of_feature() -> Response[bytes]:
            """The adapters of this feature."""
            found = aigc_answers.models(await desk.features()).get(feature, [])
            return json_answer(encode({"available_models": found, "models_details": {}}))

        return of_feature

    return [
        auth_status,
        models,
        features,
        parameters,
        status,
        available_models("mesh-retopology", "mesh_retopology"),
        available_models("mesh-uv-unwrapping", "uv_unwrapping"),
    ]
