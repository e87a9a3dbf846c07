"""Files that come piece by piece and have no second beginning, and parts of files that go as pieces: for gateways.

What comes is stored while it comes, under a name that is known at its end only. Nothing of it is kept here, so a broken
connection ends the upload: whoever sends the file sends it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from ...names import chunk_subject
from ...port import BusError, ObjectInfo
from . import layout as layout
from .download import Chunks, ChunksGone, standing_record
from .layout import ArtifactBroken
from .link import ObjectLink
from .upload import CHUNK_TIMEOUT_S, MESSAGE_OVERHEAD, commit, new_nuid

#: Of one upload on its way to the server, bytes; of all of one connection see `link.ROOM_BYTES`.
_WINDOW_BYTES = 512 * 1024
#: Asked for at once of a file that is read, bytes; about twice this is held in memory.
_READ_BYTES = 512 * 1024


async def upload_stream(
    link: ObjectLink,
    bucket: str,
    name_of: Callable[[str], str],
    pieces: AsyncIterator[bytes],
    headers: Mapping[str, str],
) -> ObjectInfo:
    """As `Bus.put_stream`."""
    # Asked first: a bucket that is not there is told before anything is sent.
    max_age_s = await link.max_age(bucket)
    nuid = new_nuid()
    chunk_bytes = min(layout.CHUNK_BYTES, link.connection.max_payload - MESSAGE_OVERHEAD)
    sending = _Sending(link, chunk_subject(bucket, nuid), chunk_bytes)
    try:
        async for piece in pieces:
            await sending.take(piece)
        await sending.finish()
        digest = sending.digest.hexdigest()
        name = name_of(digest)
        standing = await link.find(bucket, name)
        old = standing[0] if standing is not None and not standing[0].deleted else None
        if standing is not None and old is not None and old.sha256 == digest:
            stored_at = standing[1].time
            if not layout.due_for_refresh(stored_at, max_age_s, time.time()):
                await link.purge(bucket, nuid)
                return layout.info_of(old, stored_at)
        record = layout.make_record(
            bucket,
            name,
            nuid,
            size=sending.size,
            chunks=sending.chunks,
            chunk_bytes=chunk_bytes,
            sha256=digest,
            headers=dict(headers),
            wall=time.time(),
        )
        await commit(link, record)
    except BaseException:
        await sending.give_up()
        await link.purge(bucket, nuid)
        raise
    if old is not None and old.sha256 != digest:
        await link.purge(bucket, old.nuid)
    return layout.info_of(record, time.time())


class _Sending:
    """The chunks of one upload, a bounded number of them on their way."""

    def __init__(self, link: ObjectLink, subject: str, chunk_bytes: int) -> None:
        self._link = link
        self._subject = subject
        self._chunk_bytes = chunk_bytes
        self._window = max(_WINDOW_BYTES // chunk_bytes, 1)
        self._flying: deque[asyncio.Task[int]] = deque()
        self._last_seq = 0
        self._buffer = bytearray()
        self.digest = hashlib.sha256()
        self.size = 0
        self.chunks = 0

    async def take(self, piece: bytes) -> None:
        """Some more of the file."""
        self._buffer += piece
        while len(self._buffer) >= self._chunk_bytes:
            chunk = bytes(self._buffer[: self._chunk_bytes])
            del self._buffer[: self._chunk_bytes]
            await self._send(chunk)

    async def finish(self) -> None:
        """The file has ended: all of it is stored when this returns."""
        if self._buffer:
            await self._send(bytes(self._buffer))
            self._buffer.clear()
        while self._flying:
            await self._land()

    async def give_up(self) -> None:
        """Nothing of it is on its way any more when this returns."""
        for task in self._flying:
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    async def _send(self, chunk: bytes) -> None:
        if len(self._flying) >= self._window:
            await self._land()
        # Taken here and not by the task: so the chunks of one upload go out in their order.
        await self._link.room.acquire()
        self.digest.update(chunk)
        self.size += len(chunk)
        self.chunks += 1
        task = asyncio.ensure_future(self._link.append(self._subject, chunk, timeout=CHUNK_TIMEOUT_S))
        task.add_done_callback(lambda _: self._link.room.release())
        self._flying.append(task)

    async def _land(self) -> None:
        # The server's order is the file's order only if it took the chunks in the order in which we sent them.
        seq = await self._flying[0]
        self._flying.popleft()
        if seq <= self._last_seq:
            raise BusError(f"chunks on {self._subject} were stored out of order ({seq} after {self._last_seq})")
        self._last_seq = seq


async def read_stream(
    link: ObjectLink, bucket: str, name: str, start: int, stop: int | None
) -> AsyncGenerator[bytes, None]:
    """As `Bus.read_object`."""
    record, _ = await standing_record(link, bucket, name)
    stop = record.size if stop is None else min(stop, record.size)
    whole = start == 0 and stop == record.size
    digest = hashlib.sha256()
    at = 0
    batches = Chunks(link, record, _READ_BYTES).batches()
    try:
        async for batch in batches:
            for chunk in batch:
                if whole:
                    digest.update(chunk)
                    # The last piece goes out when all of them are known to be right.
                    if at + len(chunk) == stop and digest.hexdigest() != record.sha256:
                        raise ArtifactBroken(f"object {name!r} in the bucket {bucket} is damaged")
                wanted = chunk[max(start - at, 0) : max(stop - at, 0)]
                at += len(chunk)
                if wanted:
                    yield wanted
            if at >= stop:
                break
    except ChunksGone as error:
        raise ArtifactBroken(f"object {name!r} in the bucket {bucket} is not whole: {error}") from error
    finally:
        await batches.aclose()
    if at < stop:
        raise ArtifactBroken(f"object {name!r} in the bucket {bucket} has {at} of its {record.size} bytes")
