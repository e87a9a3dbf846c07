"""Routes of Hunyuan3D's api_server: `/generate`, `/send`, `/status/{uid}`."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, get, post
from litestar.params import FromPath

from ..result_files import main_file, why
from ..session import Session, caller_of
from . import hunyuan
from .running import Desk, Plain, error_answers, ignored_header, json_answer


def hunyuan_router(session: Session) -> Router:
    """What Blender add-ons call."""
    desk = Desk(session, "hunyuan3d")

    @post("/generate", status_code=200, opt={"right": "submit"}, tags=["Hunyuan3D"])
    async def generate(request: Plain) -> Response[Any]:
        """Make a mesh, or texture one, and answer with its file."""
        caller = caller_of(request)
        uid, _, plan = await desk.submit(request, caller, hunyuan.plan)
        made = main_file(await desk.finished(request, caller, uid))
        return await desk.file(caller, made, {"X-Pocket3D-Job": uid, **ignored_header(plan.ignored)})

    @post("/send", status_code=200, opt={"right": "submit"}, tags=["Hunyuan3D"])
    async def send(request: Plain) -> Response[bytes]:
        """As `/generate`, but answer at once with an id."""
        uid, _, plan = await desk.submit(request, caller_of(request), hunyuan.plan)
        return json_answer(hunyuan.sent(uid), headers=ignored_header(plan.ignored))

    @get("/status/{uid:str}", tags=["Hunyuan3D"])
    async def status(uid: FromPath[str], request: Plain) -> Response[Any]:
        """Where it stands; the file, in base64, once it is there."""
        result = await desk.result(caller_of(request), uid)
        if result is None:
            return json_answer(hunyuan.processing())
        if result.status != "succeeded":
            return json_answer(hunyuan.failed(why(result)))
        return await desk.in_json(caller_of(request), main_file(result), hunyuan.COMPLETED)

    handlers = error_answers(hunyuan.error)
    return Router("/", route_handlers=[generate, send, status], exception_handlers=handlers)
