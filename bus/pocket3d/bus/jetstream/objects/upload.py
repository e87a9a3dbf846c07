"""Storing a file in an object store: streamed, with a bounded number of chunks in flight.

An upload has a subject of its own for its chunks. If anything is uncertain about one of them the whole upload starts
again on a new subject; what the failed one left is purged, and nothing refers to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import string
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from ...file_digest import open_source, sha256_of
from ...names import chunk_subject, record_subject
from ...port import BusError, ObjectInfo
from . import layout as layout
from .layout import ArtifactBroken, ObjectRecord
from .link import TRANSIENT, ObjectLink

_log = structlog.get_logger("pocket3d.bus.objects")

#: Bytes in flight; a server refuses more than its buffer takes, and a client would hold them all in memory.
_WINDOW_BYTES = 2 * 1024 * 1024
#: Read and hashed in one step of a helper thread, bytes.
_BLOCK_BYTES = 1024 * 1024
CHUNK_TIMEOUT_S = 10.0
_NUID = string.ascii_letters + string.digits
#: How long chunks under way are waited for when one of them has failed, seconds.
_SETTLE_S = 1.0
#: How long an upload is tried again after its first failure, seconds: as long as a replicated server may be away.
_RETRY_S = 30.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
#: Room for the subject and what the bus adds to a message, bytes.
MESSAGE_OVERHEAD = 1024


class _OutOfOrder(BusError):
    """The chunks did not get rising sequences."""


async def upload(
    link: ObjectLink, bucket: str, name: str, source: Path | bytes, headers: Mapping[str, str]
) -> ObjectInfo:
    """Store a file under a name, in constant memory.

    An object of that name with the same digest is left as it is, or stored anew if it is past half the time that its
    bucket keeps it. A broken connection is waited for (30 s); the upload then starts again from the beginning.

    Raises:
        ArtifactBroken: the name is `sha256-<hex>` and the file has another digest.
        OSError: the file cannot be read.
        Refused: no such bucket, or it is full.
        Disconnected, OutcomeUnknown, NoResponders: for longer than 30 s.
    """
    promised = layout.promised_digest(name)
    standing = await link.find(bucket, name)
    old = standing[0] if standing is not None and not standing[0].deleted else None
    same = False
    if old is not None and standing is not None:
        digest = await asyncio.to_thread(sha256_of, source)
        if promised is not None:
            _check_promise(name, promised, digest)
        same = old.sha256 == digest
        stored_at = standing[1].time
        if same and not layout.due_for_refresh(stored_at, await link.max_age(bucket), time.time()):
            return layout.info_of(old, stored_at)

    first_failure: float | None = None
    pause = _FIRST_PAUSE_S
    while True:
        try:
            record = await _store(link, bucket, name, source, dict(headers), promised)
            break
        except (*TRANSIENT, _OutOfOrder) as error:
            now = time.monotonic()
            tell = _log.debug
            if first_failure is None:
                first_failure, tell = now, _log.warning
            if now - first_failure > _RETRY_S:
                raise
            tell("an upload starts again from the beginning", bucket=bucket, name=name, error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
    if old is not None and not same:
        # Of the same file, chunks are left to their age: somebody may be reading them.
        await link.purge(bucket, old.nuid)
    stands = await link.find(bucket, name)
    stored_at = stands[1].time if stands is not None and stands[0].nuid == record.nuid else time.time()
    return layout.info_of(record, stored_at)


async def _store(
    link: ObjectLink,
    bucket: str,
    name: str,
    source: Path | bytes,
    headers: dict[str, str],
    promised: str | None,
) -> ObjectRecord:
    """One try: all chunks, then the record."""
    nuid = new_nuid()
    chunk_bytes = min(layout.CHUNK_BYTES, link.connection.max_payload - MESSAGE_OVERHEAD)
    reading = await asyncio.to_thread(open_source, source)
    try:
        sent = await _send_chunks(link, chunk_subject(bucket, nuid), reading, chunk_bytes)
        digest = sent.digest.hexdigest()
        if promised is not None:
            _check_promise(name, promised, digest)
        record = layout.make_record(
            bucket,
            name,
            nuid,
            size=sent.size,
            chunks=sent.chunks,
            chunk_bytes=chunk_bytes,
            sha256=digest,
            headers=headers,
            wall=time.time(),
        )
        await commit(link, record)
    except BaseException:
        await link.purge(bucket, nuid)
        raise
    finally:
        await asyncio.to_thread(reading.close)
    return record


class _Sent:
    """What an upload has sent so far."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.chunks = 0
        self.last_seq = 0


async def _send_chunks(link: ObjectLink, subject: str, reading: BinaryIO, chunk_bytes: int) -> _Sent:
    sent = _Sent()
    flying: deque[asyncio.Task[int]] = deque()
    window = max(_WINDOW_BYTES // chunk_bytes, 1)

    def next_block() -> bytes:
        block = reading.read(_BLOCK_BYTES - _BLOCK_BYTES % chunk_bytes or chunk_bytes)
        sent.digest.update(block)
        return block

    async def land() -> None:
        # The server's order is the file's order only if it took the chunks in the order in which we sent them.
        seq = await flying.popleft()
        if seq <= sent.last_seq:
            raise _OutOfOrder(f"chunks on {subject} were stored out of order ({seq} after {sent.last_seq})")
        sent.last_seq = seq

    reader = asyncio.ensure_future(asyncio.to_thread(next_block))
    try:
        while block := await reader:
            reader = asyncio.ensure_future(asyncio.to_thread(next_block))
            for start in range(0, len(block), chunk_bytes):
                chunk = block[start : start + chunk_bytes]
                flying.append(asyncio.ensure_future(link.append(subject, chunk, timeout=CHUNK_TIMEOUT_S)))
                sent.chunks += 1
                sent.size += len(chunk)
                if len(flying) >= window:
                    await land()
        while flying:
            await land()
    except BaseException as error:
        # Our caller purges the chunks then: not before the answers to those under way are in, for a chunk can be stored
        # after a purge that was sent later. What is still silent after a while went down with its connection.
        if flying and not isinstance(error, asyncio.CancelledError):
            await asyncio.wait(flying, timeout=_SETTLE_S)
        raise
    finally:
        for task in flying:
            task.cancel()
        # Nor is the file to be closed while a thread still reads it.
        await asyncio.gather(reader, *flying, return_exceptions=True)
    return sent


async def commit(link: ObjectLink, record: ObjectRecord) -> None:
    """Write the record. An unknown outcome is asked for; writing the same record twice changes nothing."""
    data = msgspec.json.encode(record)
    deadline = time.monotonic() + _RETRY_S
    pause = _FIRST_PAUSE_S
    while True:
        try:
            await link.append(record_subject(record.bucket, record.name), data, headers=layout.ROLLUP)
            return
        except TRANSIENT:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


async def remove(link: ObjectLink, bucket: str, name: str) -> None:
    """Mark a file as removed and purge its chunks. Errors as `Bus.delete_object`."""
    standing = await link.find(bucket, name)
    if standing is None or standing[0].deleted:
        return
    old = standing[0]
    gone = ObjectRecord(name=name, bucket=bucket, nuid=old.nuid, size=0, chunks=0, mtime=old.mtime, deleted=True)
    await commit(link, gone)
    await link.purge(bucket, old.nuid)


def new_nuid() -> str:
    """The name of one upload: 22 letters and digits."""
    return "".join(secrets.choice(_NUID) for _ in range(22))


def _check_promise(name: str, promised: str, digest: str) -> None:
    if digest != promised:
        raise ArtifactBroken(f"the file for {name} has the digest {digest}: did it change while it was uploaded?")
