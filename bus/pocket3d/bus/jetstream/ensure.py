"""Making a server look like a topology: create, widen, never shrink or delete, and say in words what was left alone.

The whole configuration is always sent by us: a read-modify-write through the NATS client's classes erases fields that
they do not know.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from ..port import CONSUMER_NOT_FOUND, ConsumerName
from ..topology import ConsumerSpec, StreamSpec, Topology
from .publisher import ApiError, refusal
from .reader import Answer, Reader
from .widening import widen

log = structlog.get_logger(__name__)

_STREAM_NOT_FOUND = 10059
#: Of a stream, then of a consumer.
_EXISTS = frozenset({10058, 10013, 10105, 10148})


class _Info(Answer):
    config: dict[str, Any] = {}


async def ensure(reader: Reader, topology: Topology) -> list[str]:
    """As `Bus.ensure`.

    Raises:
        Refused: the server refuses to create something; the message names it.
        NoResponders: JetStream is not enabled, or has no leader now.
    """
    left: list[str] = []
    infos = await _infos(reader, topology)
    again = 0 < len(_absent(infos)) < len(topology.streams)
    for stream in topology.streams:
        left += await _ensure_stream(reader, stream, infos[stream.name], again=again)
    for consumer in topology.consumers:
        left += await ensure_consumer(reader, consumer)
    return left


async def missing(reader: Reader, topology: Topology) -> list[str]:
    """As `Bus.missing`."""
    return _absent(await _infos(reader, topology))


async def _infos(reader: Reader, topology: Topology) -> dict[str, _Info]:
    """What the server says of each stream, by name."""
    return {each.name: await reader.api(f"STREAM.INFO.{each.name}", None, _Info) for each in topology.streams}


def _absent(infos: dict[str, _Info]) -> list[str]:
    found = infos.items()
    return [name for name, info in found if info.error is not None and info.error.err_code == _STREAM_NOT_FOUND]


async def _ensure_stream(reader: Reader, spec: StreamSpec, known: _Info, *, again: bool) -> list[str]:
    looked: _Info | None = known
    if spec.passing and spec.storage == "file" and known.config.get("storage") == "memory":
        await _drop_from_memory(reader, spec.name)
        looked = None

    async def send(config: dict[str, Any], action: str) -> ApiError | None:
        if again and action == "create":
            config = spec.config_again(time.time())
        return (await reader.api(f"STREAM.{action.upper()}.{spec.name}", config, Answer)).error

    verb = f"STREAM.INFO.{spec.name}"
    return await _ensure(reader, f"stream {spec.name}", verb, _STREAM_NOT_FOUND, spec.config(), send, looked)


async def _drop_from_memory(reader: Reader, name: str) -> None:
    """Delete a stream that an earlier version kept in memory: its storage cannot be changed, and backups stop at it."""
    error = (await reader.api(f"STREAM.DELETE.{name}", None, Answer)).error
    if error is not None and error.err_code != _STREAM_NOT_FOUND:
        raise refusal(error, f"delete stream {name}")
    # Where it is not there, another coordinator that starts now was faster.
    log.info("a stream was in memory; it is made anew in a file", stream=name)


async def ensure_consumer(reader: Reader, spec: ConsumerSpec) -> list[str]:
    """As `ensure`, of one consumer."""
    place = f"{spec.stream}.{spec.name}"

    async def send(config: dict[str, Any], action: str) -> ApiError | None:
        return await send_consumer(reader, spec.consumer, config, action)

    name = f"consumer {spec.name} on {spec.stream}"
    return await _ensure(reader, name, f"CONSUMER.INFO.{place}", CONSUMER_NOT_FOUND, spec.config(), send)


async def send_consumer(reader: Reader, consumer: ConsumerName, config: dict[str, Any], action: str) -> ApiError | None:
    """Have the server `create` or `update` a consumer; what it says against it."""
    body = {"stream_name": consumer.stream, "config": config, "action": action}
    filtered = f".{config['filter_subject']}" if config.get("filter_subject") else ""
    return (await reader.api(f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}{filtered}", body, Answer)).error


async def _ensure(
    reader: Reader,
    name: str,
    info_verb: str,
    not_found: int,
    want: dict[str, Any],
    send: Callable[[dict[str, Any], str], Awaitable[ApiError | None]],
    known: _Info | None = None,
) -> list[str]:
    """`known` is what the server said a moment ago: enough to leave a thing alone or to create it, not to change it."""
    info = await reader.api(info_verb, None, _Info) if known is None else known
    if info.error is not None and info.error.err_code == not_found:
        error = await send(want, "create")
        if error is None:
            return []
        if error.err_code not in _EXISTS:
            raise refusal(error, f"create {name}")
        # Somebody else made it meanwhile, a little differently.
        known = None
        info = await reader.api(info_verb, None, _Info)
    if info.error is not None:
        raise refusal(info.error, name)
    widened = widen(name, info.config, want)
    if widened.config is not None and known is not None:
        # The whole configuration is sent: what somebody changed meanwhile must be in it.
        return await _ensure(reader, name, info_verb, not_found, want, send)
    if widened.config is not None:
        error = await send(widened.config, "update")
        if error is not None:
            widened.left.append(f"{name}: the server does not widen it: {error.description} ({error.err_code})")
    return widened.left
