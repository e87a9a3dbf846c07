"""Requests to the leading coordinator: `p3d.api.*`."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec

from pocket3d.contracts.api import ApiError
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.codec import WireError, decode, encode

from ..jetstream_away import why_away
from ..port import Bus, BusError, Disconnected, Msg, NoResponders, OutcomeUnknown
from .errors import ApiRefused, NoLeader

T = TypeVar("T")

#: Between two tries, seconds: a new leader needs some time.
_PAUSE_S = 0.25
#: How long a coordinator that stands by has to say that it is there, seconds.
_PING_S = 1.0


async def call(
    bus: Bus, subject: str, request: msgspec.Struct, kind: type[T], timeout: float, coordinators: str | None = None
) -> T:
    """Ask until somebody answers. For requests that may be repeated: all but `submit`.

    `coordinators` is the service that coordinators answer whether they lead or not: where nobody leads, it is asked
    whether one stands by.

    Raises:
        ApiRefused: the coordinator's own error, or 502 for an answer that cannot be read.
        NoLeader: nobody answered in time.
        Disconnected: no connection, and none came in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    data = encode(request)
    while True:
        left = max(deadline - loop.time(), 0.05)
        try:
            answer = await bus.request(subject, data, timeout=left)
        except Disconnected:
            if loop.time() + _PAUSE_S > deadline:
                raise
        except (NoResponders, OutcomeUnknown) as error:
            if loop.time() + _PAUSE_S > deadline:
                # Nobody can lead where the lease cannot be stored.
                raise NoLeader(
                    subject, timeout, await why_away(bus), standby=await _is_there(bus, coordinators)
                ) from error
        else:
            return _read(kind, subject, answer)
        await asyncio.sleep(_PAUSE_S)


async def _is_there(bus: Bus, service: str | None) -> bool:
    if service is None:
        return False
    try:
        await bus.request(f"$SRV.PING.{service}", b"", timeout=_PING_S)
    except BusError:
        return False
    return True


def _read(kind: type[T], subject: str, answer: Msg) -> T:
    _raise_error(answer)
    try:
        return decode(kind, answer.data)
    except WireError as error:
        told = f"the answer of {subject} cannot be read by this version of pocket3d: {error}"
        raise ApiRefused(502, told) from error


def _raise_error(answer: Msg) -> None:
    code = answer.headers.get("Nats-Service-Error-Code")
    if code is None:
        return
    message, field = answer.headers.get("Nats-Service-Error", "error"), None
    try:
        body = decode(ApiError, answer.data)
    except WireError:
        pass  # the headers say it too
    else:
        message, field = body.error, body.field
    raise ApiRefused(decimal(code, 3) or 500, message, field)
