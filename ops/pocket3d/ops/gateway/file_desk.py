"""Files that go in and come out, piece by piece: uploads into the inputs bucket, artifacts of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.client.file_names import safe_name
from pocket3d.bus.jetstream.objects.layout import input_name
from pocket3d.contracts.messages import Artifact
from pocket3d.gpu_agents.io.file_kinds import media_type

from .errors import HttpError
from .job_desk import JobDesk
from .settings import GatewaySettings
from .tokens import Caller

log = structlog.get_logger("pocket3d.ops.gateway.files")


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file. An input of a job refers to it by `{"artifact": artifact, "filename": name}`."""

    artifact: str
    size: int
    media_type: str
    name: str

    def reference(self) -> dict[str, str]:
        """What stands among a job's inputs."""
        return {"artifact": self.artifact, "filename": self.name}


class FileDesk:
    """What callers do with files. No file is ever held whole, and a bounded number of uploads is read at a time."""

    def __init__(self, client: Client, jobs: JobDesk, settings: GatewaySettings) -> None:
        self._client = client
        self._jobs = jobs
        self._room = asyncio.Semaphore(settings.uploads_at_once)

    async def store(self, pieces: AsyncIterator[bytes], filename: str) -> StoredFile:
        """Store an upload under its digest, as clients do; one that is there already is not stored again.

        While too many others are read it waits, and so does its sender.

        Raises:
            HttpError: of `pieces`; 400 it is empty.
            BusError: it could not be stored; the sender may send it again.
        """
        name = safe_name(filename)
        async with self._room:
            bucket = self._client.subjects.inputs_bucket
            info = await self._client.bus.put_stream(bucket, input_name, _not_empty(pieces), headers={"filename": name})
        return StoredFile(artifact=info.name, size=info.size, media_type=media_type(name), name=name)

    async def artifact(self, caller: Caller, job_id: str, name: str | None) -> Artifact:
        """A file of a job's result; without a name its mesh, or its only file.

        Raises:
            HttpError: 404 no such file, or as `JobDesk.result`.
        """
        result = await self._jobs.result(caller, job_id)
        if name is None:
            mesh = (result.outputs or {}).get("output_mesh_path")
            only = result.artifacts[0].name if len(result.artifacts) == 1 else None
            name = mesh if isinstance(mesh, str) else only
        for artifact in result.artifacts:
            if artifact.name == name:
                return artifact
        names = ", ".join(artifact.name for artifact in result.artifacts[:20]) or f"none: it {result.status}"
        raise HttpError(404, f"job {job_id} has no file {name or ''!r}; it has {names}", "name")

    def read(self, artifact: Artifact, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Its bytes, piece by piece.

        Raises (while it is read):
            HttpError: 404, it is not kept any more.
            BusError
        """
        return self._read(artifact, start, stop)

    async def _read(self, artifact: Artifact, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        reading = self._client.bus.read_object(artifact.bucket, artifact.object, start=start, stop=stop)
        try:
            async for piece in reading:
                yield piece
        except KeyError as error:
            raise HttpError(404, f"{artifact.name} is not kept any more", "name") from error
        finally:
            await reading.aclose()


async def _not_empty(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """An empty file is a mistake: nothing was chosen, or the body was left out."""
    empty = True
    async for piece in pieces:
        empty = empty and not piece
        yield piece
    if empty:
        raise HttpError(400, "the file is empty", "file")
