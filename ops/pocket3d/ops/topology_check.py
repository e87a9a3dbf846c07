"""How a server differs from the topology, without changing it."""

from __future__ import annotations

from typing import Any

import msgspec

from pocket3d.bus.jetstream.ensure import widen
from pocket3d.bus.port import Bus, BusError
from pocket3d.bus.topology import Topology

_NOT_FOUND = frozenset({10059, 10014})
_TIMEOUT_S = 5.0


class _ApiError(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Info(msgspec.Struct):
    config: dict[str, Any] = {}
    error: _ApiError | None = None


async def differences(bus: Bus, topology: Topology) -> list[str]:
    """In words, one per stream or consumer that is missing or different; empty if all is as it should be.

    Raises:
        NoResponders: the server has no JetStream, or this user may not ask.
        Disconnected, OutcomeUnknown
    """
    found: list[str] = []
    for stream in topology.streams:
        found += await _compare(bus, f"stream {stream.name}", f"STREAM.INFO.{stream.name}", stream.config())
    for consumer in topology.consumers:
        place = f"{consumer.stream}.{consumer.name}"
        name = f"consumer {consumer.name} on {consumer.stream}"
        found += await _compare(bus, name, f"CONSUMER.INFO.{place}", consumer.config())
    return found


async def _compare(bus: Bus, name: str, request: str, want: dict[str, Any]) -> list[str]:
    answer = await bus.request(f"$JS.API.{request}", b"", timeout=_TIMEOUT_S)
    info = msgspec.json.decode(answer.data, type=_Info)
    if info.error is not None:
        if info.error.err_code in _NOT_FOUND:
            return [f"{name}: missing"]
        raise BusError(f"{name}: {info.error.description} ({info.error.err_code})")
    changes, left = widen(name, info.config, want)
    # What `ensure` would change is told too: the whole configuration is compared, field by field.
    changed = [key for key in changes or {} if (changes or {})[key] != info.config.get(key)]
    return [*left, *([f"{name}: differs in {', '.join(changed)}; `pocket3d topology` widens it"] if changed else [])]
