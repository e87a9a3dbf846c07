"""How an object store lays out files in a stream (NATS ADR-20), so that `nats obj` reads ours and we read its. Pure.

Stream `OBJ_<bucket>`: the chunks of a file on `$O.<bucket>.C.<nuid>` in order, and on
`$O.<bucket>.M.<base64url name>` one JSON record that names the nuid, the size and the digest. The record is written
last: a file is there or it is not.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from typing import Any

import msgspec

from ...port import BusError, ObjectInfo, Stored

#: As other clients cut files, bytes.
CHUNK_BYTES = 128 * 1024
#: Replaces the record before it on the same subject.
ROLLUP = {"Nats-Rollup": "sub"}
_DIGEST = "SHA-256="
_INPUT = re.compile(r"sha256-([0-9a-f]{64})")


class ArtifactBroken(BusError):
    """An artifact is not whole: a chunk is missing, or its bytes do not have the digest that they should have."""


class _Options(msgspec.Struct, frozen=True, omit_defaults=True):
    max_chunk_size: int = 0
    #: Set for a name that stands for another object or bucket.
    link: dict[str, Any] | None = None


class ObjectRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The record of one file."""

    name: str
    description: str = ""
    #: A list per header, as Go writes it; one text each, as nats-py does.
    headers: dict[str, list[str] | str] | None = None
    options: _Options | None = None
    bucket: str
    nuid: str = ""
    size: int
    #: RFC 3339.
    mtime: str = ""
    chunks: int
    digest: str = ""
    deleted: bool = False

    @property
    def sha256(self) -> str:
        """The digest in hex; empty if the record has none that can be read."""
        if self.digest[: len(_DIGEST)].upper() != _DIGEST:
            return ""
        text = self.digest[len(_DIGEST) :]
        try:
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
        except (binascii.Error, ValueError):
            return ""

    @property
    def is_link(self) -> bool:
        """True if the name stands for another object."""
        return self.options is not None and self.options.link is not None

    @property
    def chunk_bytes(self) -> int:
        """Size of its chunks, bytes."""
        stated = self.options.max_chunk_size if self.options else 0
        return stated or -(-self.size // max(self.chunks, 1)) or CHUNK_BYTES


def make_record(
    bucket: str,
    name: str,
    nuid: str,
    *,
    size: int,
    chunks: int,
    chunk_bytes: int,
    sha256: str,
    headers: dict[str, str],
    wall: float,
) -> ObjectRecord:
    """The record of a finished upload."""
    mtime = dt.datetime.fromtimestamp(wall, tz=dt.timezone.utc).isoformat().replace("+00:00", "Z")
    return ObjectRecord(
        name=name,
        headers={key: [value] for key, value in headers.items()} or None,
        options=_Options(max_chunk_size=chunk_bytes),
        bucket=bucket,
        nuid=nuid,
        size=size,
        mtime=mtime,
        chunks=chunks,
        digest=_DIGEST + base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode(),
    )


def read_record(stored: Stored) -> ObjectRecord:
    """The record in a stored message.

    Raises:
        ArtifactBroken: it is not one.
    """
    try:
        return msgspec.json.decode(stored.data, type=ObjectRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactBroken(f"{stored.subject} in {stored.stream} holds no record of an object: {error}") from error


def info_of(record: ObjectRecord, stored_at: float) -> ObjectInfo:
    """What the port tells of a file."""
    headers = {k: v if isinstance(v, str) else ", ".join(v) for k, v in (record.headers or {}).items()}
    return ObjectInfo(record.bucket, record.name, record.size, record.sha256, headers, stored_at)


def input_name(sha256: str) -> str:
    """The name under which an input with that digest (hex) is stored, so that equal files are stored once."""
    return f"sha256-{sha256.lower()}"


def promised_digest(name: str) -> str | None:
    """The digest (hex) that a name promises, None if it promises none."""
    found = _INPUT.fullmatch(name)
    return found[1] if found else None


def due_for_refresh(stored_at: float, max_age_s: float, now: float) -> bool:
    """True if a file is past half the time that its bucket keeps it; `max_age_s` 0 is for ever."""
    return max_age_s > 0 and now - stored_at > max_age_s / 2
