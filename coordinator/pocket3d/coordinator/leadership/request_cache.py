"""Requests as published: those read a moment ago are kept within bounds, so that a job that is awarded at once is not
read twice; and what is taken over from one into its result or its dead letter.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import DeadLetter

from ..engine.effects import PublishDead

#: What a small request takes beside its text, bytes.
_OVERHEAD = 1024


class Request(NamedTuple):
    """A job's message as published, and what it says; None for one that is no job."""

    data: bytes
    job: Job | None


def read_request(data: bytes) -> Request:
    """A message of the jobs stream, which may hold anything."""
    try:
        return Request(data, decode(Job, data))
    except WireError:
        return Request(data, None)


class RequestCache:
    """The latest requests by their sequence in the jobs stream.

    Args:
        max_bytes: of all requests together, about; the oldest leave first.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._requests: OrderedDict[int, Request] = OrderedDict()
        self.bytes = 0

    def get(self, seq: int) -> Request | None:
        """The request, if it is still here."""
        return self._requests.get(seq)

    def put(self, seq: int, request: Request) -> None:
        """Keep one; a redelivery takes the place of the former."""
        self.forget(seq)
        self._requests[seq] = request
        self.bytes += _size(request)
        while self.bytes > self._max_bytes:
            _, dropped = self._requests.popitem(last=False)
            self.bytes -= _size(dropped)

    def forget(self, seq: int) -> None:
        """The job has left the stream."""
        dropped = self._requests.pop(seq, None)
        if dropped is not None:
            self.bytes -= _size(dropped)


def _size(request: Request) -> int:
    # Decoded it is there once more.
    return 2 * len(request.data) + _OVERHEAD


class Bodies:
    """The requests that one effect needs: those at hand, and those that are still to be read.

    Args:
        seqs: sequences in the jobs stream.
        cache: where some may be at hand.
    """

    def __init__(self, seqs: Iterable[int], cache: RequestCache) -> None:
        self._found: dict[int, Request | None] = {}
        #: Still to be read.
        self.missing: set[int] = set()
        for seq in seqs:
            request = cache.get(seq)
            if request is not None:
                self._found[seq] = request
            else:
                self.missing.add(seq)

    def arrived(self, seq: int, request: Request | None) -> None:
        """One was read; None if the jobs stream no longer holds it."""
        if seq in self.missing:
            self.missing.discard(seq)
            self._found[seq] = request

    def get(self, seq: int) -> Request | None:
        """The request with that sequence, or None if it is gone."""
        return self._found[seq]


def metadata_of(request: Request | None) -> dict[str, Any]:
    """What the producer wants back, from a request that may be anything."""
    if request is None:
        return {}
    if request.job is not None:
        return request.job.metadata
    try:
        body = msgspec.json.decode(request.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return metadata if isinstance(metadata, dict) and len(msgspec.json.encode(metadata)) <= 65_536 else {}


def dead_letter(effect: PublishDead, body: bytes, at: str) -> DeadLetter:
    """The request as it was published (in base64 where it is no JSON object), and its error."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        request = None
    usable = isinstance(request, dict)
    raw = None if usable else base64.b64encode(body[: 700 * 1024]).decode()
    return DeadLetter(
        job_id=effect.job_id,
        feature=effect.feature,
        priority=effect.priority,
        request=request if usable else None,
        request_raw=raw,
        error=effect.error,
        at=at,
    )
