"""What all facades do: run a plan's jobs, wait for the last one, and send its file as bytes or inside JSON."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from pocket3d.bus.client.errors import ClientError
from pocket3d.bus.port import BusError
from pocket3d.contracts.api import EmptyRequest, FeatureList
from pocket3d.contracts.codec import WireError
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.messages import Artifact, Result, Status

from ..body import read_whole
from ..errors import HttpError, Told, tell
from ..file_desk import StoredFile
from ..files import artifact_headers
from ..result_files import why
from ..session import Session
from ..streamed_response import StreamedResponse
from ..tokens import Caller
from .embedded_files import File
from .plans import Plan, Step, body, files_of, job_id, with_references

log = structlog.get_logger("pocket3d.ops.gateway.facades")

#: Largest request with files inside, bytes: one of the largest meshes in base64, and pictures beside it.
MAX_BODY_BYTES = 64 << 20
#: So many of these are held in memory at a time; others wait, unread.
_BODIES_AT_ONCE = 2
#: One that takes longer to come is given up, seconds.
_BODY_S = 120.0
#: How long an answer is waited for whose client waits, seconds; then it is told the job's id.
_LONGEST_WAIT_S = 7200.0
#: Pieces of a file in base64 are made of so many bytes at least, a multiple of three.
_PIECE = 3 * (1 << 16)

Plain = Request[Any, Any, Any]


class Desk:
    """A facade's way to the session."""

    def __init__(self, session: Session, facade: str) -> None:
        self.session = session
        self._facade = facade
        self._bodies = asyncio.Semaphore(_BODIES_AT_ONCE)

    async def features(self) -> FeatureList:
        """What the fleet can do now."""
        return await self.session.jobs.api("features", EmptyRequest(), FeatureList)

    async def submit(
        self, request: Plain, caller: Caller, make: Callable[[bytes, FeatureList], Plan], uid: str | None = None
    ) -> tuple[str, Status, Plan]:
        """Read a request, make its plan, upload its files and submit its jobs.

        Returns:
            The id that the client is told, the last job's status, and the plan.
        """
        async with self._bodies:
            try:
                data = await asyncio.wait_for(read_whole(request, MAX_BODY_BYTES), _BODY_S)
            except asyncio.TimeoutError:
                # Others wait for this one.
                raise HttpError(408, f"the body was not there within {_BODY_S:g} s") from None
            # Base64 of megabytes would hold up the others.
            plan = await asyncio.to_thread(make, data, await self.features())
            return await self.run(caller, plan, uid)

    async def run(self, caller: Caller, plan: Plan, uid: str | None = None) -> tuple[str, Status, Plan]:
        """Upload a plan's files and submit its jobs; if a later one is refused, the earlier ones are cancelled."""
        uid = uid or uuid.uuid4().hex
        references: dict[File, Mapping[str, Any]] = {}
        for file in dict.fromkeys(each for step in plan.steps for each in files_of(step)):
            references[file] = (await self._store(caller, file)).reference()
        before: str | None = None
        status: Status | None = None
        for number, step in enumerate(plan.steps, 1):
            job = job_id(uid, number, len(plan.steps))
            try:
                status = await self._submit_step(caller, step, job, with_references(step, references, before))
            except (HttpError, WireError, ClientError, BusError):
                if before is not None:
                    await self._give_up(caller, before)
                raise
            before = job
        assert status is not None, "a plan has a step"
        return uid, status, plan

    async def _store(self, caller: Caller, file: File) -> StoredFile:
        return await self.session.files.store(caller, _pieces(file.data), file.filename)

    async def _submit_step(self, caller: Caller, step: Step, job: str, inputs: Mapping[str, Any]) -> Status:
        status = await self.session.jobs.submit(caller, body(self._facade, step, job, inputs))
        if status.status == "rejected":
            error = status.error
            raise HttpError(400, error.message if error else "the job is rejected", error.field if error else None)
        return status

    async def _give_up(self, caller: Caller, job: str) -> None:
        try:
            await self.session.jobs.cancel(caller, job, "the next job of its request was refused")
        except (HttpError, ClientError, BusError) as error:
            log.warning("a job that is of no use could not be cancelled", job_id=job, error=str(error))

    async def finished(self, request: Plain, caller: Caller, job: str) -> Result:
        """The result of a job that succeeded, whose client waits for it. One that hangs up is waited for no longer; its
        job goes on.

        Raises:
            HttpError: 504 it takes too long, 499 the client has gone; 400, 409, 500 or 503 it did not succeed.
        """
        waiting = asyncio.ensure_future(self.session.jobs.result(caller, job, _LONGEST_WAIT_S))
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait([waiting, gone], return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return _succeeded(await waiting)
            raise HttpError(499, f"the client has gone; job {job} goes on")
        except HttpError as error:
            if error.code == 404:
                raise HttpError(504, f"job {job} has no result after {_LONGEST_WAIT_S:g} s; it goes on") from error
            raise
        finally:
            for task in (waiting, gone):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, HttpError, ClientError, BusError):
                    await task

    async def result(self, caller: Caller, job: str) -> Result | None:
        """A job's result, None while it has none.

        Raises:
            HttpError, ApiRefused: 404, no such job.
        """
        # Whether the caller may see it, and whether it is there at all, is asked first.
        await self.session.jobs.status(caller, job)
        return await self.session.jobs.result_now(job)

    async def file(
        self, caller: Caller, artifact: Artifact, headers: Mapping[str, str] | None = None
    ) -> Response[None]:
        """An answer of a file's bytes.

        Raises:
            HttpError: as `FileDesk.open`.
        """
        opened = await self.session.files.open(caller, artifact)
        about = {"Content-Type": artifact.media_type, "Content-Length": str(artifact.size)}
        return self._streamed(
            opened.pieces,
            opened.done,
            {**artifact_headers(artifact, f'"{artifact.sha256}"'), **about, **(headers or {})},
        )

    async def in_json(
        self, caller: Caller, artifact: Artifact, around: tuple[bytes, bytes], headers: Mapping[str, str] | None = None
    ) -> Response[None]:
        """An answer of JSON with a file's bytes in base64 in it, in constant memory. Errors as `file`.

        Args:
            caller: who asks.
            artifact: the file.
            around: the JSON before and after the base64.
            headers: further ones.
        """
        opened = await self.session.files.open(caller, artifact)
        pieces = base64_between(opened.pieces, *around)
        return self._streamed(pieces, opened.done, {"Content-Type": "application/json", **(headers or {})})

    def _streamed(
        self, pieces: AsyncGenerator[bytes, None], done: Callable[[], None], headers: Mapping[str, str]
    ) -> Response[None]:
        return StreamedResponse(pieces, 200, headers, self.session.settings.send_timeout_s, done)


def ignored_header(ignored: tuple[str, ...]) -> dict[str, str]:
    """Tells what of a request was passed over."""
    return {"X-Pocket3D-Ignored": ", ".join(ignored)} if ignored else {}


def json_answer(data: bytes, code: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """An answer of JSON that is encoded already."""
    return Response(data, status_code=code, media_type="application/json", headers=dict(headers or {}))


def error_answers(in_shape: Callable[[Told], bytes]) -> ExceptionHandlersMap:
    """Handlers that tell errors in a facade's own shape."""

    def answer(request: Plain, error: Exception) -> Response[bytes]:
        if isinstance(error, HTTPException):
            told = tell(HttpError(error.status_code, error.detail, None, error.headers))
        else:
            told = tell(error)
        if told is None:
            log.exception("a request failed", path=request.url.path, method=request.method, exc_info=error)
            told = Told(500, "the gateway failed; its log says how", None, {})
        return json_answer(in_shape(told), told.code, told.headers)

    return {Exception: answer, HTTPException: answer}


def _succeeded(result: Result) -> Result:
    if result.status == "succeeded":
        return result
    if result.error is not None and result.error.code in (FailureCode.INVALID_INPUT, FailureCode.ARTIFACT_MISSING):
        raise HttpError(400, why(result))
    raise HttpError({"rejected": 400, "cancelled": 409, "expired": 503}.get(result.status, 500), why(result))


async def base64_between(pieces: AsyncGenerator[bytes, None], head: bytes, tail: bytes) -> AsyncGenerator[bytes, None]:
    """A file in base64 with texts around it, piece by piece."""
    try:
        yield head
        rest = b""
        async for piece in pieces:
            rest += piece
            if len(rest) >= _PIECE:
                whole = len(rest) - len(rest) % 3
                yield base64.b64encode(rest[:whole])
                rest = rest[whole:]
        yield base64.b64encode(rest) + tail
    finally:
        await pieces.aclose()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


async def _hung_up(request: Plain) -> None:
    """Wait until the client has closed its connection; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
