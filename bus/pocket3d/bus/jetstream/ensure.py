"""Making a server look like a topology: create, widen, never shrink or delete, and say in words what was left alone.

The whole configuration is always sent by us: a read-modify-write through the NATS client's classes erases fields that
they do not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..port import CONSUMER_NOT_FOUND, ConsumerName
from ..topology import ConsumerSpec, StreamSpec, Topology
from .publisher import ApiError, refusal
from .reader import Answer, Reader

_STREAM_NOT_FOUND = 10059
#: Of a stream, then of a consumer.
_EXISTS = frozenset({10058, 10013, 10105, 10148})

#: Larger is wider; 0 and below mean no limit.
_LIMITS = frozenset(
    {
        "max_msgs",
        "max_bytes",
        "max_age",
        "max_msgs_per_subject",
        "max_msg_size",
        "max_consumers",
        "max_ack_pending",
        "max_deliver",
    }
)
_GROWING = frozenset({"num_replicas", "duplicate_window"})
#: May be set and changed at any time.
_FREE = frozenset({"description", "ack_wait", "priority_groups", "priority_policy"})
#: How a stream takes messages in: of one whose subjects are rewritten, this is changed as a whole or not at all.
INTAKE = ("subjects", "subject_transform", "republish", "discard", "discard_new_per_subject", "max_msgs_per_subject")
#: May be switched on.
_SWITCHES = frozenset({"allow_atomic", "allow_direct", "allow_rollup_hdrs"})


def widen(name: str, have: dict[str, Any], want: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Compare a configuration with the wanted one.

    Returns:
        The configuration to send as an update, None if nothing is to be widened; and the differences left alone.
    """
    changed: dict[str, Any] = {}
    left: list[str] = []
    if have.get("subject_transform") != want.get("subject_transform", have.get("subject_transform")):
        # Older agents would not reach it any more.
        left.append(f"{name} takes {_listed(have)}, wanted {_listed(want)}: `pocket3d topology --switch-results`")
        want = {key: wanted for key, wanted in want.items() if key not in INTAKE}
    for key, wanted in want.items():
        present = have.get(key)
        if key == "metadata":
            ours = {k: v for k, v in wanted.items() if (present or {}).get(k) != v}
            if ours:
                changed[key] = {**(present or {}), **ours}
        elif key == "subjects":
            missing = [subject for subject in wanted if subject not in (present or [])]
            extra = [subject for subject in present or [] if subject not in wanted]
            if missing:
                changed[key] = [*(present or []), *missing]
            if extra:
                left.append(f"{name} also takes {', '.join(extra)}")
        elif key == "sources":
            if _sources(present) != _sources(wanted):
                left.append(f"{name} copies from other sources than wanted")
        elif _normal(key, present) != _normal(key, wanted):
            if _may_change(key, present, wanted):
                changed[key] = wanted
            else:
                left.append(f"{name}: {key} is {present!r}, wanted {wanted!r}")
    return ({**have, **changed} if changed else None), left


def _listed(config: dict[str, Any]) -> str:
    return ", ".join(config.get("subjects") or ()) or "nothing"


def _may_change(key: str, present: Any, wanted: Any) -> bool:
    if key in _FREE:
        return True
    if key in _SWITCHES:
        return bool(wanted)
    if key in _GROWING:
        return int(wanted) > int(present or 0)
    if key in _LIMITS:
        limit, old = int(wanted), int(present or 0)
        return limit <= 0 or (0 < old < limit)
    return False


def _normal(key: str, value: Any) -> Any:
    if key in _LIMITS:
        return max(int(value or 0), 0)
    return value or None


def _sources(sources: Any) -> list[tuple[str, str, str]]:
    return sorted(
        (source["name"], transform["src"], transform["dest"])
        for source in sources or []
        for transform in source.get("subject_transforms") or [{"src": "", "dest": ""}]
    )


class _Info(Answer):
    config: dict[str, Any] = {}


async def ensure(reader: Reader, topology: Topology) -> list[str]:
    """As `Bus.ensure`.

    Raises:
        Refused: the server refuses to create something; the message names it.
        NoResponders: JetStream is not enabled, or has no leader now.
    """
    left: list[str] = []
    for stream in topology.streams:
        left += await _ensure_stream(reader, stream)
    for consumer in topology.consumers:
        left += await ensure_consumer(reader, consumer)
    return left


async def _ensure_stream(reader: Reader, spec: StreamSpec) -> list[str]:
    async def send(config: dict[str, Any], action: str) -> ApiError | None:
        return (await reader.api(f"STREAM.{action.upper()}.{spec.name}", config, Answer)).error

    return await _ensure(
        reader, f"stream {spec.name}", f"STREAM.INFO.{spec.name}", _STREAM_NOT_FOUND, spec.config(), send
    )


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
) -> list[str]:
    info = await reader.api(info_verb, None, _Info)
    if info.error is not None and info.error.err_code == not_found:
        error = await send(want, "create")
        if error is None:
            return []
        if error.err_code not in _EXISTS:
            raise refusal(error, f"create {name}")
        # Somebody else made it meanwhile, a little differently.
        info = await reader.api(info_verb, None, _Info)
    if info.error is not None:
        raise refusal(info.error, name)
    config, left = widen(name, info.config, want)
    if config is not None:
        error = await send(config, "update")
        if error is not None:
            left.append(f"{name}: the server does not widen it: {error.description} ({error.err_code})")
    return left
