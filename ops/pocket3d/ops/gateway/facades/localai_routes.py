"""Routes of LocalAI: `/3d/generations`, and the files that it answers with the address of."""

from __future__ import annotations

import time
from typing import Any

from litestar import Response, Router, get, post
from litestar.params import FromPath

from pocket3d.contracts.codec import encode

from ..errors import HttpError
from ..result_files import main_file
from ..session import Session, caller_of
from . import localai
from .running import Desk, Plain, error_answers, ignored_header, json_answer

_SUFFIX = ".glb"


def localai_router(session: Session) -> Router:
    """What LocalAI's clients call."""
    desk = Desk(session, "localai")

    @post("/3d/generations", status_code=200, opt={"right": "submit"}, tags=["LocalAI"])
    async def generations(request: Plain) -> Response[Any]:
        """Make a mesh of a picture and answer when it is there."""
        caller = caller_of(request)
        uid, _, plan = await desk.submit(request, caller, localai.plan)
        made = main_file(await desk.finished(request, caller, uid))
        created, headers = int(time.time()), ignored_header(plan.ignored)
        if plan.file_inside:
            return await desk.in_json(caller, made, localai.around_base64(uid, created), headers)
        url = f"{request.base_url}generated-3d/{uid}{_SUFFIX}"
        return json_answer(encode(localai.answer(uid, created, url)), headers=headers)

    @get("/generated-3d/{name:str}", opt={"query_token": True}, tags=["LocalAI"])
    async def generated(name: FromPath[str], request: Plain) -> Response[Any]:
        """The file of an answer."""
        if not name.endswith(_SUFFIX):
            raise HttpError(404, "no such file")
        result = await desk.result(caller_of(request), name.removesuffix(_SUFFIX))
        if result is None:
            raise HttpError(404, "the job has not ended")
        return await desk.file(caller_of(request), main_file(result))

    handlers = error_answers(localai.error)
    return Router("/", route_handlers=[generations, generated], exception_handlers=handlers)
