"""Routes of SGLang's mesh API: `/v1/meshes`."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from pocket3d.bus.client.errors import ApiRefused
from pocket3d.contracts.api import ListRequest
from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Result, Status

from ..errors import HttpError
from ..multipart_reader import form_parts, is_form
from ..result_files import main_file, why
from ..session import Session, caller_of
from ..tokens import Caller
from . import embedded_files, meshes
from .embedded_files import MAX_IMAGE_BYTES
from .running import Desk, Plain, error_answers, ignored_header, json_answer

#: Most jobs of the caller that are looked through for those that were made here.
_LOOKED_THROUGH = 10_000
_PAGE = 1000
#: Longest text in a form.
_TEXT_BYTES = 40_000
_PICTURES = frozenset({"image", "image[]"})


def meshes_router(session: Session) -> Router:
    """What clients of SGLang's diffusion server call."""
    desk = Desk(session, "sglang")

    async def known(caller: Caller, mesh_id: str) -> tuple[Status, Result | None]:
        if not mesh_id.startswith(meshes.ID_PREFIX):
            raise HttpError(404, "Mesh not found")
        try:
            status = await session.jobs.status(caller, mesh_id)
        except (HttpError, ApiRefused) as error:
            if error.code != 404:
                raise
            raise HttpError(404, "Mesh not found") from error
        return status, await session.jobs.result_now(mesh_id)

    @post("/", status_code=200, opt={"right": "submit"}, tags=["SGLang"])
    async def create(request: Plain) -> Response[bytes]:
        """Make a mesh of a picture: JSON with `input_image` in base64, or a form with a part `image`."""
        caller, uid = caller_of(request), f"{meshes.ID_PREFIX}{uuid.uuid4().hex}"
        if is_form(request):
            wanted, picture = await _form(session, request)
            _, status, plan = await desk.run(caller, meshes.plan(wanted, picture, await desk.features()), uid)
        else:
            _, status, plan = await desk.submit(request, caller, meshes.plan_json, uid)
        return json_answer(encode(meshes.answer(status, None)), headers=ignored_header(plan.ignored))

    @get("/", tags=["SGLang"])
    async def page(
        request: Plain,
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        order: FromQuery[str] = "desc",
    ) -> Response[bytes]:
        """The meshes that were asked for here, the newest first unless `order` is `asc`."""
        found: list[Status] = []
        cursor: str | None = None
        for _ in range(_LOOKED_THROUGH // _PAGE):
            wanted = ListRequest(feature="image_to_mesh", limit=_PAGE, after=cursor)
            answer = await session.jobs.page(caller_of(request), wanted)
            found += [each for each in answer.jobs if each.job_id.startswith(meshes.ID_PREFIX)]
            cursor = answer.next
            if cursor is None or (order != "asc" and after is None and len(found) >= limit):
                break
        shown = meshes.page(found, after, limit, ascending=order == "asc")
        return json_answer(encode({"data": shown, "object": "list"}))

    @get("/{mesh_id:str}", tags=["SGLang"])
    async def retrieve(mesh_id: FromPath[str], request: Plain) -> Response[bytes]:
        """Where it stands."""
        return json_answer(encode(meshes.answer(*await known(caller_of(request), mesh_id))))

    @delete("/{mesh_id:str}", status_code=200, opt={"right": "submit"}, tags=["SGLang"])
    async def remove(mesh_id: FromPath[str], request: Plain) -> Response[bytes]:
        """Cancel it. One that has ended stays until it is too old: 409."""
        caller = caller_of(request)
        status, result = await known(caller, mesh_id)
        if result is not None or status.status in TERMINAL:
            raise HttpError(409, "Mesh has ended; its files are removed by age, not by request")
        status = await session.jobs.cancel(caller, mesh_id, "deleted by its client")
        return json_answer(encode({**meshes.answer(status, None), "status": "deleted"}))

    @get("/{mesh_id:str}/content", opt={"query_token": True}, tags=["SGLang"])
    async def content(mesh_id: FromPath[str], request: Plain) -> Response[Any]:
        """The file."""
        _, result = await known(caller_of(request), mesh_id)
        if result is None:
            raise HttpError(404, "Generation is still in-progress")
        if result.status != "succeeded":
            raise HttpError(404, why(result))
        return await desk.file(caller_of(request), main_file(result))

    return Router(
        "/v1/meshes",
        route_handlers=[create, page, retrieve, remove, content],
        exception_handlers=error_answers(meshes.error),
    )


async def _form(session: Session, request: Plain) -> tuple[meshes.MeshRequest, dict[str, str]]:
    """The texts of a form, and its picture, which is stored as it comes."""
    texts: dict[str, str] = {}
    picture: dict[str, str] | None = None
    async for part in form_parts(request, MAX_IMAGE_BYTES + (1 << 20), session.settings.upload_idle_s):
        if part.name in _PICTURES and part.filename is not None:
            # Further pictures are passed over, as by the original.
            if picture is None:
                embedded_files.check_picture(part.filename)
                picture = (await session.files.store(caller_of(request), part.data, part.filename)).reference()
        elif part.filename is None:
            texts[part.name] = await _text(part.name, part.data)
    wanted = meshes.read_form(texts)
    if picture is None:
        raise HttpError(422, "Field 'image' is required for mesh generation", "image")
    return wanted, picture


async def _text(name: str, data: Any) -> str:
    found = b""
    async for piece in data:
        found += piece
        if len(found) > _TEXT_BYTES:
            raise HttpError(413, f"the field has more than {_TEXT_BYTES} bytes", name[:80])
    return found.decode("utf-8", "replace")
