"""How NATS itself names what lies behind a bucket: here and nowhere else. Pure.

A key/value bucket is a stream `KV_<bucket>` with subjects `$KV.<bucket>.<key>` (ADR-8), an object store is a stream
`OBJ_<bucket>` with subjects `$O.<bucket>.C.<nuid>` and `$O.<bucket>.M.<base64url name>` (ADR-20). Our own names are in
`pocket3d.contracts.subjects`.
"""

from __future__ import annotations

import base64


def kv_stream(bucket: str) -> str:
    """The stream behind a key/value bucket."""
    return f"KV_{bucket}"


def kv_subject(bucket: str, key: str) -> str:
    """The subject of a key, or of a pattern of keys."""
    return f"$KV.{bucket}.{key}"


def object_stream(bucket: str) -> str:
    """The stream behind an object store."""
    return f"OBJ_{bucket}"


def object_subjects(bucket: str) -> tuple[str, str]:
    """All subjects of an object store: the chunks' and the records'."""
    return f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"


def chunk_subject(bucket: str, nuid: str) -> str:
    """The subject of the chunks of one upload."""
    return f"$O.{bucket}.C.{nuid}"


def record_subject(bucket: str, name: str) -> str:
    """The subject of the record of an object's name."""
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def record_subjects(bucket: str) -> str:
    """The subjects of all records of an object store."""
    return f"$O.{bucket}.M.*"
