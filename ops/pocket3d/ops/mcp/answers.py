"""What tools answer: the wire's words without nulls, and without what an agent has no use for. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from pocket3d.contracts.api import FeatureInfo, FeatureList
from pocket3d.contracts.messages import Result


def plain(message: msgspec.Struct) -> dict[str, Any]:
    """A message of the system as JSON, without its nulls."""
    told: dict[str, Any] = _without_nulls(msgspec.to_builtins(message))
    told.pop("v", None)
    return told


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def features(found: FeatureList) -> dict[str, Any]:
    """Every feature that some adapter serves, in short."""
    shown = [
        {
            "feature": info.feature,
            "required": info.required,
            "adapters": [adapter.adapter_id for adapter in info.adapters if adapter.available],
        }
        for info in found.features
    ]
    return {
        "features": [each for each in shown if each["adapters"]],
        "not_served_now": [each["feature"] for each in shown if not each["adapters"]],
    }


def feature(info: FeatureInfo) -> dict[str, Any]:
    """One feature with the parameters of its adapters."""
    return plain(info)


def result(found: Result) -> dict[str, Any]:
    """A result: how it ended, what the adapter says, and the names of its files."""
    told = plain(found)
    told["files"] = [
        {"name": artifact.name, "size": artifact.size, "media_type": artifact.media_type}
        for artifact in found.artifacts
    ]
    for key in ("artifacts", "token", "metadata", "tenant"):
        told.pop(key, None)
    return told
