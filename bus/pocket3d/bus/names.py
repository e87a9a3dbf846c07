"""How NATS itself names what lies behind a bucket, and what it takes for a subject: here and nowhere else. Pure.

A key/value bucket is a stream `KV_<bucket>` with subjects `$KV.<bucket>.<key>` (ADR-8), an object store is a stream
`OBJ_<bucket>` with subjects `$O.<bucket>.C.<nuid>` and `$O.<bucket>.M.<base64url name>` (ADR-20). Our own names are in
`pocket3d.contracts.subjects`.
"""

from __future__ import annotations

import base64
import re

from .errors import Refused

_NO_SUBJECT = re.compile(r"[ \t\r\n]|\A\Z")
#: A server closes the connection that sends it a longer line than 4096 bytes: a subject, that of the answer, numbers.
_MOST_BYTES = 3900


def check_subject(subject: str, reply: str = "") -> None:
    """Whether a message can be sent there. Parts of a subject may come from others' messages.

    Args:
        subject: where to.
        reply: where its answer goes.

    Raises:
        Refused: it is empty, has white space, or is longer than servers take.
    """
    if _NO_SUBJECT.search(subject):
        raise Refused(f"{subject[:80]!r} is no subject: it is empty or has white space")
    length = len(subject) + len(reply)
    # Characters have up to four bytes.
    if length > _MOST_BYTES // 4 and len((subject + reply).encode()) > _MOST_BYTES:
        raise Refused(f"{subject[:80]!r}... is too long for a subject: {length} characters")


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
