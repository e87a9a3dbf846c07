"""Fetching a file from an object store: batches of chunks by direct gets, written and hashed off the event loop.

No consumer is made: reads of that kind need no other right than to get messages, and a stream takes at most 1,000
consumers. A chunk that a replica does not have yet, or a bucket that allows no direct gets, is read from the leader.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

import msgspec
from nats.aio.msg import Msg as NatsMsg

from pocket3d.contracts.bounds import decimal

from ...names import chunk_subject, object_stream
from ...port import BusError, Disconnected, ObjectInfo, OutcomeUnknown, Refused, Stored
from . import layout as layout
from .layout import ArtifactBroken, ObjectRecord
from .link import TRANSIENT, ObjectLink

#: Asked for at once, bytes; about twice this is held in memory.
_BATCH_BYTES = 4 * 1024 * 1024
#: A request whose answer is lost is made again after this silence, seconds.
_SILENCE_S = 2.0
#: Without one more chunk for this long, seconds, the download is given up.
_RETRY_S = 30.0
_PAUSE_S = 0.2
#: Chunks in one read from the leader (they cross as base64).
_LEADER_BATCH = 16


class ChunksGone(BusError):
    """The leader has no more chunks of this upload."""


async def download(link: ObjectLink, bucket: str, name: str, target: Path) -> ObjectInfo:
    """Write an object to a file, in constant memory; `target` appears whole or not at all.

    Raises:
        KeyError: no such object.
        ArtifactBroken: a chunk is missing, or the bytes have another digest than the record says.
        OSError: the file cannot be written.
        Refused: no such bucket, or the object is a link to another.
        Disconnected, OutcomeUnknown, NoResponders: for longer than 30 s without one more chunk.
    """
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    record, stored = await standing_record(link, bucket, name)
    try:
        while True:
            try:
                digest = await _Fetch(link, record, part).run()
                break
            except ChunksGone as error:
                # Replaced or removed while we read it? Then its record says so.
                gone = record.nuid
                record, stored = await standing_record(link, bucket, name)
                if record.nuid == gone:
                    raise ArtifactBroken(f"object {name!r} in the bucket {bucket} is not whole: {error}") from error
        if digest != record.sha256:
            raise ArtifactBroken(
                f"object {name!r} in the bucket {bucket} is damaged: its bytes have the SHA-256 {digest}, "
                f"its record says {record.sha256 or record.digest or 'nothing'}"
            )
        await asyncio.to_thread(part.replace, target)
    finally:
        await asyncio.to_thread(part.unlink, missing_ok=True)
    return layout.info_of(record, stored.time)


async def standing_record(link: ObjectLink, bucket: str, name: str) -> tuple[ObjectRecord, Stored]:
    """The record of a file that is there. Errors as `download`."""
    standing = await link.find(bucket, name)
    if standing is None or standing[0].deleted:
        raise KeyError(f"there is no object {name!r} in the bucket {bucket}")
    if standing[0].is_link:
        raise Refused(f"object {name!r} in the bucket {bucket} is a link to another; links are not followed")
    return standing


class Chunks:
    """One read of one upload's chunks, in order; about `batch_bytes` are asked for at once."""

    def __init__(self, link: ObjectLink, record: ObjectRecord, batch_bytes: int | None = None) -> None:
        self._link = link
        self._record = record
        self._stream = object_stream(record.bucket)
        self._subject = chunk_subject(record.bucket, record.nuid)
        self._batch = max((batch_bytes or _BATCH_BYTES) // record.chunk_bytes, 1)
        self._inbox = f"{link.connection.new_inbox()}."
        self._number = 0
        self._answers: asyncio.Queue[NatsMsg] = asyncio.Queue()
        self._chunks = 0
        self._next_seq = 1
        #: The bucket answers direct gets.
        self._direct = True
        self._progress = time.monotonic()

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        """All chunks, some at a time.

        Raises:
            ChunksGone, Refused
            Disconnected, OutcomeUnknown, NoResponders: for longer than 30 s without one more chunk.
        """
        if not self._record.chunks:
            return
        subscription = await self._link.connection.subscribe_raw(f"{self._inbox}*", self._on_answer)
        try:
            while self._chunks < self._record.chunks:
                try:
                    chunks = await self._direct_batch() if self._direct else []
                    if not chunks:
                        chunks = await self._leader_batch()
                except TRANSIENT:
                    if time.monotonic() - self._progress > _RETRY_S:
                        raise
                    await asyncio.sleep(_PAUSE_S)
                    continue
                self._chunks += len(chunks)
                yield chunks
                # However long whoever reads has taken.
                self._progress = time.monotonic()
        finally:
            await subscription.close()

    async def _on_answer(self, msg: NatsMsg) -> None:
        if msg.subject == f"{self._inbox}{self._number}":
            self._answers.put_nowait(msg)

    async def _direct_batch(self) -> list[bytes]:
        """The next chunks as one replica has them; empty if it has none, or the bucket allows no direct gets."""
        wanted = min(self._batch, self._record.chunks - self._chunks)
        self._number += 1
        self._answers = asyncio.Queue()
        body = msgspec.json.encode({"seq": self._next_seq, "next_by_subj": self._subject, "batch": wanted})
        await self._link.connection.publish(
            f"$JS.API.DIRECT.GET.{self._stream}", body, None, reply=f"{self._inbox}{self._number}"
        )
        chunks: list[bytes] = []
        while len(chunks) < wanted:
            try:
                msg = await asyncio.wait_for(self._answers.get(), _SILENCE_S)
            except asyncio.TimeoutError:
                if chunks:
                    break
                if not self._link.connection.connected:
                    raise Disconnected("not connected to NATS") from None
                raise OutcomeUnknown(f"{self._stream}: no answer within {_SILENCE_S:g} s") from None
            headers = msg.headers or {}
            status = headers.get("Status", "")
            if status == "503":
                self._direct = False
                break
            if status:  # 204: end of this batch; 404: nothing (more) here; 408, 413: refused
                break
            seq = decimal(headers.get("Nats-Sequence", ""))
            if seq is None:
                raise Refused(f"{self._stream}: a chunk came without its sequence")
            chunks.append(msg.data)
            self._next_seq = seq + 1
        return chunks

    async def _leader_batch(self) -> list[bytes]:
        """The next chunks as the leader has them: if it has none there are none."""
        limit = min(_LEADER_BATCH, self._record.chunks - self._chunks)
        found: list[Stored] = await self._link.reader.pages(self._stream, self._subject, self._next_seq, limit)
        if not found:
            raise ChunksGone(f"chunk {self._chunks + 1} of {self._record.chunks} is missing")
        self._next_seq = found[-1].seq + 1
        return [stored.data for stored in found]


class _Fetch:
    """One read of one upload's chunks into a file."""

    def __init__(self, link: ObjectLink, record: ObjectRecord, part: Path) -> None:
        self._chunks = Chunks(link, record)
        self._part = part
        self._digest = hashlib.sha256()
        self._writing: asyncio.Future[None] | None = None

    async def run(self) -> str:
        """Fetch all; the digest (hex) of what was written."""
        file = await asyncio.to_thread(self._part.open, "wb")
        batches = self._chunks.batches()
        try:
            async for chunks in batches:
                # The batch before must be on the disk: so memory stays bounded however slow that is.
                await self._written()
                self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, file, chunks))
            await self._written()
        finally:
            await batches.aclose()
            if self._writing is not None:
                await asyncio.wait({self._writing})
            await asyncio.to_thread(file.close)
        return self._digest.hexdigest()

    def _write(self, file: BinaryIO, chunks: list[bytes]) -> None:
        for chunk in chunks:
            file.write(chunk)
            self._digest.update(chunk)

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing
