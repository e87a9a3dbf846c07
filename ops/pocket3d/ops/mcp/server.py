"""The MCP server: the tools, and how they are told and asked."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from pocket3d.bus.client import Client
from pocket3d.bus.client.chain_handle import ChainHandle
from pocket3d.bus.client.errors import ClientError, WaitTimeout
from pocket3d.bus.client.file_names import safe_name
from pocket3d.bus.client.handle import JobHandle
from pocket3d.bus.jetstream.objects.layout import ArtifactBroken, input_name
from pocket3d.bus.port import BusError
from pocket3d.contracts.chain_messages import CHAIN_TERMINAL
from pocket3d.contracts.features import canonical
from pocket3d.contracts.version import VERSION

from . import answers
from .folder import Folder, FolderError
from .job_inputs import with_files

P = ParamSpec("P")
T = TypeVar("T")

#: Longest wait of one call; a client asks again.
_LONGEST_WAIT_S = 600.0
#: Within so long a job that cannot be done is rejected, seconds.
_JUDGED_S = 0.5
#: Longest page of jobs.
_MOST_LISTED = 100
#: Largest upload inside a call, decoded, bytes. Larger files go through the folder.
MAX_UPLOAD_BYTES = 8 << 20

_INSTRUCTIONS = """\
Runs programs that make and change 3D meshes on a fleet of GPUs. A job has a feature (what is asked for) and inputs; it
is queued, run by some adapter, and ends with exactly one result with files.
Start with list_features; list_features(feature=...) shows an adapter's parameters. submit returns a job_id at once;
result(job_id, wait_s=...) waits. If a job stays queued, explain says why. download writes a job's files into the folder
of this server. To work on with what a job makes, give {"result": job_id} as the input of the next one, ended or not; or
submit all of it at once by chain, whose steps are jobs of their own.\
"""

JobId = Annotated[str, Field(description="as submit answered it", max_length=64)]
Wait = Annotated[float, Field(description="seconds to wait for the end, 0 to 600; call again to wait on", ge=0, le=600)]
Inputs = Annotated[
    dict[str, Any],
    Field(
        description="parameters by name. Under a key that ends in _path goes a file: its name in the folder of this "
        'server, an upload {"artifact": ...}, or what another job makes: {"result": job_id, "name": optional}'
    ),
]

Steps = Annotated[
    list[dict[str, Any]],
    Field(
        description='of each {"name", "feature", "inputs"}, and optionally "model_preference"; an input that is a file '
        'may be what an earlier step makes: {"step": name, "name": optional}',
        min_length=1,
    ),
]
ChainId = Annotated[str, Field(description="as chain answered it", max_length=40)]

_LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_MAKES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def build(client: Client, folder: Folder | None = None) -> MCPServer:
    """The server of one connection.

    Args:
        client: connected; whoever made it closes it.
        folder: what tools may read and write; without one they touch no file.
    """
    server: MCPServer = MCPServer(
        "pocket3d", title="Pocket3DStudio", instructions=_INSTRUCTIONS, version=VERSION, log_level="WARNING"
    )
    tools = Tools(client, folder)
    for tool, about in (
        (tools.list_features, _LOOKS),
        (tools.submit, _MAKES),
        (tools.status, _LOOKS),
        (tools.result, _LOOKS),
        (tools.explain, _LOOKS),
        (tools.cancel, _ENDS),
        (tools.list_jobs, _LOOKS),
        (tools.upload, _MAKES),
        (tools.download, _MAKES),
        (tools.chain, _MAKES),
        (tools.chain_status, _LOOKS),
        (tools.cancel_chain, _ENDS),
    ):
        server.add_tool(_telling(tool), annotations=about)
    return server


def _telling(tool: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """A tool whose errors that somebody can do something about are told; others are bugs, which the SDK logs."""

    @wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await tool(*args, **kwargs)
        except (ClientError, BusError, ArtifactBroken, FolderError, OSError) as error:
            field = getattr(error, "field", None)
            text = str(error)
            raise ToolError(f"{field}: {text}" if field and field not in text else text) from error

    return call


class Tools:
    """The tools. Their docstrings are what agents read."""

    def __init__(self, client: Client, folder: Folder | None) -> None:
        self._client = client
        self._folder = folder

    async def list_features(
        self,
        feature: Annotated[str | None, Field(description="one feature, with the parameters of its adapters")] = None,
    ) -> dict[str, Any]:
        """What can be asked for, what each feature requires, and which adapters serve it."""
        found = await self._client.features()
        if feature is None:
            return answers.features(found)
        for info in found.features:
            if info.feature == canonical(feature):
                return answers.feature(info)
        known = ", ".join(info.feature for info in found.features)
        raise ToolError(f"feature: {feature[:80]!r} is not known; known: {known}")

    async def submit(
        self,
        feature: Annotated[str, Field(description="one of list_features")],
        inputs: Inputs,
        ctx: Context[Any, Any],
        model: Annotated[str | None, Field(description="an adapter's id; no other may run it")] = None,
        priority: Literal["high", "normal", "low"] = "normal",
        job_id: Annotated[
            str | None, Field(description="1 to 64 letters, digits, - and _; the same id again is the same job")
        ] = None,
        wait_s: Wait = 0,
    ) -> dict[str, Any]:
        """Submit a job. The answer is its result if it ends within wait_s, else where it stands, with its job_id."""
        given = with_files(inputs, self._file)
        job = await self._client.submit(feature, given, model_preference=model, priority=priority, job_id=job_id)
        return await self._ended(job, max(wait_s, _JUDGED_S), ctx)

    async def status(self, job_id: JobId) -> dict[str, Any]:
        """Where a job stands, and how far it is if it runs."""
        return await self._stands(self._job(job_id))

    async def result(self, job_id: JobId, ctx: Context[Any, Any], wait_s: Wait = 0) -> dict[str, Any]:
        """How a job ended: what its adapter says and the names of its files; or where it stands if it has not."""
        job = self._job(job_id)
        # Of a job that nobody knows there is nothing to wait for.
        await job.status()
        return await self._ended(job, wait_s, ctx)

    async def explain(self, job_id: JobId) -> dict[str, Any]:
        """Why a job does not run: which hosts could take it and what is short by how much; or where it runs."""
        return answers.plain(await self._job(job_id).explain())

    async def cancel(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """End a job, queued or running. Of one that has ended nothing changes."""
        return answers.plain(await self._job(job_id).cancel(reason))

    async def list_jobs(
        self,
        status: Annotated[str | None, Field(description="e.g. queued, running, succeeded, failed")] = None,
        feature: str | None = None,
        limit: Annotated[int, Field(ge=1, le=_MOST_LISTED)] = 20,
        after: Annotated[str | None, Field(description="`next` of the page before")] = None,
    ) -> dict[str, Any]:
        """Jobs of everybody, the newest first."""
        page = await self._client.list(status=status, feature=feature, limit=limit, after=after)
        return answers.plain(page)

    async def upload(
        self,
        file: Annotated[str | None, Field(description="name of a file in the folder of this server")] = None,
        data: Annotated[str | None, Field(description="or the bytes themselves, in base64, up to 8 MiB")] = None,
        filename: Annotated[str | None, Field(description="with data: its name, whose suffix says what it is")] = None,
    ) -> dict[str, Any]:
        """Store a file for jobs. The answer is what goes among a job's inputs."""
        if (file is None) == (data is None):
            raise ToolError("want one of file and data")
        if file is not None:
            return dict(await self._client.upload(self._file(file)))
        assert data is not None
        if not filename:
            raise ToolError("filename: data needs a name, e.g. cat.png")
        return await self._upload(data, filename)

    async def download(self, job_id: JobId, overwrite: bool = False) -> dict[str, Any]:
        """Write the files of a job that succeeded into the folder of this server, under the job's id."""
        job = self._job(job_id)
        await job.status()
        folder = self._need_folder()
        target = await asyncio.to_thread(folder.for_job, job_id)
        # Waiting is another tool's.
        paths = await job.download(target, overwrite=overwrite, timeout=0)
        return {"folder": str(folder.root), "files": [folder.relative(path) for path in paths]}

    async def chain(
        self,
        steps: Steps,
        ctx: Context[Any, Any],
        chain_id: Annotated[
            str | None, Field(description="1 to 40 letters, digits, - and _; the same id again is the same chain")
        ] = None,
        wait_s: Wait = 0,
    ) -> dict[str, Any]:
        """Submit several jobs at once, of which later ones take what earlier ones make. The answer is where it stands
        at its end, or after wait_s; each step has a job_id, under which result and download find its files.
        """
        given = [{**step, "inputs": with_files(step.get("inputs", {}), self._file)} for step in steps]
        chain = await self._client.submit_chain(given, chain_id=chain_id)
        return await self._chain_ended(chain, wait_s, ctx)

    async def chain_status(self, chain_id: ChainId, ctx: Context[Any, Any], wait_s: Wait = 0) -> dict[str, Any]:
        """Where a chain and its steps stand; waits up to wait_s for its end."""
        return await self._chain_ended(self._chain(chain_id), wait_s, ctx)

    async def cancel_chain(self, chain_id: ChainId, reason: str | None = None) -> dict[str, Any]:
        """End a chain: steps that run are stopped, others never start. What has succeeded stays."""
        return answers.plain(await self._chain(chain_id).cancel(reason))

    # -- how

    def _chain(self, chain_id: str) -> ChainHandle:
        try:
            return self._client.chain(chain_id)
        except ValueError as error:
            raise ToolError(str(error)) from error

    async def _chain_ended(self, chain: ChainHandle, wait_s: float, ctx: Context[Any, Any]) -> dict[str, Any]:
        """Its status at its end, or after so long. Meanwhile it is told how much is done."""
        deadline = asyncio.get_running_loop().time() + min(wait_s, _LONGEST_WAIT_S)
        following = chain.follow()
        try:
            told = await anext(following)
            while told.status not in CHAIN_TERMINAL and asyncio.get_running_loop().time() < deadline:
                await ctx.report_progress(told.fraction, 1.0, told.status)
                left_s = deadline - asyncio.get_running_loop().time()
                told = await asyncio.wait_for(anext(following), left_s)
        except asyncio.TimeoutError:
            told = await chain.status()
        finally:
            await following.aclose()
        return answers.plain(told)

    def _job(self, job_id: str) -> JobHandle:
        try:
            return self._client.job(job_id)
        except ValueError as error:
            raise ToolError(str(error)) from error

    def _need_folder(self) -> Folder:
        if self._folder is None:
            raise ToolError("this server has no folder: it must be started with `pocket3d mcp --folder DIR`")
        return self._folder

    def _file(self, name: str) -> Path:
        return self._need_folder().file(name)

    async def _stands(self, job: JobHandle) -> dict[str, Any]:
        told = answers.plain(await job.status())
        if told["status"] == "running":
            progress = job.progress()
            with contextlib.suppress(asyncio.TimeoutError, StopAsyncIteration):
                # The latest comes at once, if there is one.
                latest = await asyncio.wait_for(anext(progress), 1.0)
                told["progress"] = answers.plain(latest)
            await progress.aclose()
        return told

    async def _ended(self, job: JobHandle, wait_s: float, ctx: Context[Any, Any]) -> dict[str, Any]:
        """Its result, or where it stands after so long. While it is waited for its progress is told."""
        telling = asyncio.ensure_future(_tell_progress(job, ctx)) if wait_s > 0 else None
        try:
            return answers.result(await job.result(timeout=min(wait_s, _LONGEST_WAIT_S)))
        except WaitTimeout:
            return await self._stands(job)
        finally:
            if telling is not None:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    async def _upload(self, data: str, filename: str) -> dict[str, Any]:
        if len(data) // 4 * 3 > MAX_UPLOAD_BYTES + 3:
            raise ToolError(f"data: more than {MAX_UPLOAD_BYTES >> 20} MiB; put the file into the folder")
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ToolError(f"data: not base64: {error}") from error
        if not content:
            raise ToolError("data: it is empty")
        name = safe_name(filename)
        stored = await self._client.bus.put_stream(
            self._client.subjects.inputs_bucket, input_name, _once(content), headers={"filename": name}
        )
        return {"artifact": stored.name, "filename": name}


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


async def _tell_progress(job: JobHandle, ctx: Context[Any, Any]) -> None:
    async for progress in job.progress():
        if progress.fraction is not None:
            await ctx.report_progress(progress.fraction, 1.0, progress.message or progress.stage)
