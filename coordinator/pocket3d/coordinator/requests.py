"""Requests that were read a moment ago, kept within bounds: a job that is awarded at once is not read twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from pocket3d.contracts.jobs import Job


class Request(NamedTuple):
    """A job's message as published, and what it says; None for one that is no job."""

    data: bytes
    job: Job | None


class RequestCache:
    """The latest requests by their sequence in the jobs stream.

    Args:
        max_bytes: of all messages together; the oldest leave first.
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
        self.bytes += len(request.data)
        while self.bytes > self._max_bytes:
            _, dropped = self._requests.popitem(last=False)
            self.bytes -= len(dropped.data)

    def forget(self, seq: int) -> None:
        """The job has left the stream."""
        dropped = self._requests.pop(seq, None)
        if dropped is not None:
            self.bytes -= len(dropped.data)
