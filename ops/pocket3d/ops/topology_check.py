"""How a server differs from the topology, without changing it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from pocket3d.bus.jetstream.widening import spoken, widen
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


class Comparison(NamedTuple):
    """A server beside the topology, in words."""

    #: What is missing or different; empty if all is as it should be.
    differences: list[str]
    #: What is wider than wanted, and stays so.
    kept: list[str]


async def compare(bus: Bus, topology: Topology) -> Comparison:
    """One line for each stream or consumer that is missing or different.

    Raises:
        NoResponders: the server has no JetStream, or this user may not ask.
        Disconnected, OutcomeUnknown
    """
    found = Comparison([], [])
    ages: dict[str, float] = {}
    for stream in topology.streams:
        config = await _compare(bus, f"stream {stream.name}", f"STREAM.INFO.{stream.name}", stream.config(), found)
        if config is not None:
            ages[stream.name] = int(config.get("max_age") or 0) or math.inf
    for consumer in topology.consumers:
        place = f"{consumer.stream}.{consumer.name}"
        name = f"consumer {consumer.name} on {consumer.stream}"
        await _compare(bus, name, f"CONSUMER.INFO.{place}", consumer.config(), found)
    found.differences.extend(_outlived(topology, ages))
    return found


def _outlived(topology: Topology, ages: Mapping[str, float]) -> Iterator[str]:
    """What is removed while another stream still refers to it."""
    for stream in topology.streams:
        age, other = ages.get(stream.name, math.inf), ages.get(stream.referred_to_by or "", 0)
        if age < other:
            longer = "for ever" if math.isinf(other) else spoken("max_age", other)
            yield (
                f"stream {stream.name} keeps for {spoken('max_age', age)} what {stream.referred_to_by} refers to "
                f"{longer}: set results_max_age_s to that of {stream.referred_to_by}, and `pocket3d topology` widens it"
            )


async def _compare(bus: Bus, name: str, request: str, want: dict[str, Any], found: Comparison) -> dict[str, Any] | None:
    """The configuration on the server; None if it is missing."""
    answer = await bus.request(f"$JS.API.{request}", b"", timeout=_TIMEOUT_S)
    info = msgspec.json.decode(answer.data, type=_Info)
    if info.error is not None:
        if info.error.err_code in _NOT_FOUND:
            found.differences.append(f"{name}: missing")
            return None
        raise BusError(f"{name}: {info.error.description} ({info.error.err_code})")
    widened = widen(name, info.config, want)
    found.differences.extend(widened.left)
    found.kept.extend(widened.kept)
    if widened.changes:
        # What `ensure` would change is told too: the whole configuration is compared, field by field.
        found.differences.append(f"{name}: {'; '.join(widened.changes)}; `pocket3d topology` widens it")
    return info.config
