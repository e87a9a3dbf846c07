"""Files that go in and come out, piece by piece: uploads into the inputs bucket, artifacts of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec
import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.client.file_names import safe_name
from pocket3d.bus.jetstream.objects.layout import input_name
from pocket3d.contracts.messages import Artifact
from pocket3d.gpu_agents.io.file_kinds import media_type

from .errors import HttpError
from .job_desk import JobDesk
from .limits import Places
from .result_files import main_file
from .settings import GatewaySettings
from .tokens import Caller
from .upload_turns import UploadTurns

log = structlog.get_logger("pocket3d.ops.gateway.files")

#: When somebody may come again for whom there was no place, seconds.
_AGAIN_S = 10


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file. An input of a job refers to it by `{"artifact": artifact, "filename": name}`."""

    artifact: str
    size: int
    media_type: str
    name: str

    def reference(self) -> dict[str, str]:
        """What stands among a job's inputs."""
        return {"artifact": self.artifact, "filename": self.name}


class Download(NamedTuple):
    """A file that is sent to a caller."""

    pieces: AsyncGenerator[bytes, None]
    #: To be called at its end, however that comes: it gives the caller's place back.
    done: Callable[[], None]


class FileDesk:
    """What callers do with files. No file is ever held whole, and a bounded number is received, and sent, at a time."""

    def __init__(self, client: Client, jobs: JobDesk, settings: GatewaySettings) -> None:
        self._client = client
        self._jobs = jobs
        self._room = asyncio.Semaphore(settings.uploads_at_once)
        #: Of each caller: one of them leaves some of the room to others, however slow its uploads are.
        self._most_of_one = -(-settings.uploads_at_once * 3 // 4)
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._sending = Places(settings.downloads_max, settings.downloads_per_token)
        #: For what all uploads together may take of the process.
        self.turns = UploadTurns()

    async def store(self, caller: Caller, pieces: AsyncIterator[bytes], filename: str) -> StoredFile:
        """Store an upload under its digest, as clients do; one that is there already is not stored again.

        While too many others are read, or too many of its caller, it waits, and so does its sender.

        Raises:
            HttpError: of `pieces`; 400 it is empty.
            BusError: it could not be stored; the sender may send it again.
        """
        name = safe_name(filename)
        mine = self._rooms.setdefault(caller.key, asyncio.Semaphore(self._most_of_one))
        async with mine, self._room:
            bucket = self._client.subjects.inputs_bucket
            info = await self._client.bus.put_stream(
                bucket, input_name, self._in_turn(pieces), headers={"filename": name}
            )
        return StoredFile(artifact=info.name, size=info.size, media_type=media_type(name), name=name)

    async def artifact(self, caller: Caller, job_id: str, name: str | None) -> Artifact:
        """A file of a job's result; without a name what was asked for: a mesh, or its only file.

        Raises:
            HttpError: 404 no such file, or as `JobDesk.result`.
        """
        result = await self._jobs.result(caller, job_id)
        if name is None:
            return main_file(result)
        for artifact in result.artifacts:
            if artifact.name == name:
                return artifact
        names = ", ".join(artifact.name for artifact in result.artifacts[:20]) or f"none: it {result.status}"
        raise HttpError(404, f"job {job_id} has no file {name!r}; it has {names}", "name")

    async def open(self, caller: Caller, artifact: Artifact, start: int = 0, stop: int | None = None) -> Download:
        """Its bytes, piece by piece. The first is fetched now: what is gone is an error and no broken file.

        Raises:
            HttpError: 404 it is not kept any more, 429 too many are being sent to this caller, 503 to all.
            BusError: also while it is read.
        """
        if not self._sending.take(caller.key):
            code, whom = (503, "") if self._sending.full else (429, " to you")
            told = f"too many files are being sent{whom} at the moment; come again when some have arrived"
            raise HttpError(code, told, headers={"Retry-After": str(_AGAIN_S)})
        done = partial(self._sending.give_back, caller.key)
        reading = self._read(artifact, start, stop)
        try:
            first = await anext(reading, b"")
        except BaseException:
            done()
            raise
        return Download(_after(first, reading), done)

    async def _read(self, artifact: Artifact, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        reading = self._client.bus.read_object(artifact.bucket, artifact.object, start=start, stop=stop)
        try:
            async for piece in reading:
                yield piece
        except KeyError as error:
            raise HttpError(404, f"{artifact.name} is not kept any more", "name") from error
        finally:
            await reading.aclose()

    async def _in_turn(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        # An empty file is a mistake: nothing was chosen, or the body was left out.
        empty = True
        async for piece in pieces:
            empty = empty and not piece
            await self.turns.wait()
            yield piece
        if empty:
            raise HttpError(400, "the file is empty", "file")


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
