"""What object stores ask of a connection: chunks and records appended, found, read and purged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from ...names import chunk_subject, object_stream, record_subject, record_subjects
from ...port import BusError, Disconnected, ListedObject, NoResponders, ObjectInfo, OutcomeUnknown, Stored
from ..connection import Connection
from ..publisher import Publisher
from ..reader import Answer, Reader
from . import layout as layout
from .layout import ObjectRecord

_log = structlog.get_logger("pocket3d.bus.objects")

#: It may work when tried again: nothing was said about the file itself.
TRANSIENT = (Disconnected, OutcomeUnknown, NoResponders)

#: Of all streamed uploads of one connection on their way to the server, bytes: what else goes over the connection
#: comes after it.
ROOM_BYTES = 2 * 1024 * 1024


class ObjectLink:
    """Object stores over one connection, message by message. `object_upload` and `object_download` make files of it."""

    def __init__(self, connection: Connection, reader: Reader, publisher: Publisher) -> None:
        self.connection = connection
        self.reader = reader
        self._publisher = publisher
        #: One place for each chunk of a streamed upload that is on its way.
        self.room = asyncio.Semaphore(ROOM_BYTES // layout.CHUNK_BYTES)

    async def append(
        self, subject: str, data: bytes, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> int:
        """As `Bus.append`."""
        return await self._publisher.append(subject, data, headers, None, timeout)

    async def find(self, bucket: str, name: str) -> tuple[ObjectRecord, Stored] | None:
        """The record that stands under a name, also that of a removed file. Errors as `Bus.last`."""
        stored = await self.reader.last(object_stream(bucket), record_subject(bucket, name))
        return (layout.read_record(stored), stored) if stored is not None else None

    async def info(self, bucket: str, name: str) -> ObjectInfo | None:
        """As `Bus.object_info`."""
        standing = await self.find(bucket, name)
        if standing is None or standing[0].deleted:
            return None
        info = layout.info_of(standing[0], standing[1].time)
        max_age_s = await self.max_age(bucket)
        return info._replace(kept_until=info.stored_at + max_age_s) if max_age_s else info

    async def listed(self, bucket: str, start: int, limit: int) -> list[ListedObject]:
        """As `Bus.objects`. Records that make no sense, and those of removed files, are passed over."""
        found: list[ListedObject] = []
        while len(found) < limit:
            page = await self.reader.pages(object_stream(bucket), record_subjects(bucket), start, limit - len(found))
            for stored in page:
                start = stored.seq + 1
                try:
                    record = layout.read_record(stored)
                except layout.ArtifactBroken as error:
                    _log.debug("a record in an object store makes no sense", error=str(error))
                    continue
                if not record.deleted:
                    found.append(ListedObject(record.name, stored.seq, record.nuid, stored.time))
            if not page:
                break
        return found

    async def uploads(self, bucket: str) -> dict[str, int]:
        """As `Bus.uploads`."""
        found = await self.reader.subjects(object_stream(bucket), chunk_subject(bucket, "*"))
        return {subject.rpartition(".")[2]: chunks for subject, chunks in found.items()}

    async def max_age(self, bucket: str) -> float:
        """How long the bucket keeps a file, seconds; 0 for ever. Errors as `Bus.last`."""
        info = await self.reader.info(object_stream(bucket))
        return float(info.config.get("max_age") or 0) / 1e9

    async def purge(self, bucket: str, nuid: str) -> None:
        """Remove the chunks of one upload; if that fails they go with their age."""
        if not nuid:
            return
        body = {"filter": chunk_subject(bucket, nuid)}
        try:
            answer = await self.reader.api(f"STREAM.PURGE.{object_stream(bucket)}", body, Answer)
            said = answer.error.description if answer.error is not None else None
        except BusError as error:
            said = str(error)
        if said is not None:
            _log.warning("chunks that nothing refers to were left behind", bucket=bucket, nuid=nuid, error=said)
