"""What went wrong, as an HTTP answer: `{"error": {"code": int, "message": str, "field"?: str}}`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pocket3d.bus.client.errors import (
    ApiRefused,
    ChainFailed,
    ChainWaitTimeout,
    ClientError,
    JetStreamAway,
    JobFailed,
    JobIdTaken,
    JobRefused,
    NoLeader,
    NotSetUp,
    QueueFull,
    WaitTimeout,
)
from pocket3d.bus.jetstream.objects.layout import ArtifactBroken
from pocket3d.bus.port import BusError, TooLarge
from pocket3d.contracts.codec import WireError, encode
from pocket3d.contracts.failures import FailureCode


class HttpError(Exception):
    """An answer that is an error. `code` is the HTTP status."""

    def __init__(
        self, code: int, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.headers = dict(headers or {})


class Told(NamedTuple):
    """What a client is told of an error."""

    code: int
    message: str
    field: str | None
    headers: dict[str, str]

    def body(self) -> bytes:
        """The JSON of the answer."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        return encode({"error": error})


#: Kinds of errors -> HTTP status; the first that fits counts.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (QueueFull, 429),
    (JobIdTaken, 409),
    (WaitTimeout, 504),
    (ChainWaitTimeout, 504),
    (ChainFailed, 409),
    (NoLeader, 503),
    (NotSetUp, 503),
    (JetStreamAway, 503),
    (JobFailed, 409),
    (TooLarge, 413),
    (ArtifactBroken, 502),
    (BusError, 503),
    (ClientError, 500),
)


def tell(error: Exception) -> Told | None:
    """An error of ours as a client is told it; None for one that is a bug."""
    if isinstance(error, HttpError):
        return Told(error.code, error.message, error.field, error.headers)
    if isinstance(error, ApiRefused):
        return Told(error.code if 400 <= error.code < 600 else 502, error.message, error.field, {})
    if isinstance(error, JobRefused):
        code = 413 if error.code is FailureCode.TOO_LARGE else 400
        return Told(code, error.message, error.field, {})
    if isinstance(error, WireError):
        return Told(400, error.message, error.field, {})
    for kind, code in _STATUS:
        if isinstance(error, kind):
            return Told(code, str(error), None, {"Retry-After": "2"} if code == 503 else {})
    return None
