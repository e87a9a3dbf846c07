"""From the parameters of a foreign request to those that the fleet's adapters know. Pure.

Clients of another program always send its parameters, whatever model answers; an adapter refuses keys that it does not
know. So the adapter is looked for that knows most of them, it gets those, and the rest is told as ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pocket3d.contracts.api import FeatureAdapter, FeatureList
from pocket3d.contracts.features import canonical

from ..errors import HttpError


class Wanted(NamedTuple):
    """One parameter of a request. Those with the value None were not given. Several of one name are ways to say it."""

    #: As the client calls it.
    name: str
    value: Any
    #: What adapters call it; the first that an adapter knows is taken. By default as the client.
    keys: tuple[str, ...] = ()


class Fitted(NamedTuple):
    """What is sent, and what is not."""

    inputs: dict[str, Any]
    #: Names, as the client calls them, of what no adapter that could run it knows.
    ignored: tuple[str, ...]


def available(features: FeatureList, feature: str) -> list[FeatureAdapter]:
    """The adapters that can serve a feature, or an alias, now."""
    name = canonical(feature)
    return [
        adapter for info in features.features if info.feature == name for adapter in info.adapters if adapter.available
    ]


def fit(
    features: FeatureList, feature: str, wanted: Sequence[Wanted], preference: str | None = None, needed: str = ""
) -> Fitted:
    """The inputs for the adapter that knows most of what is wanted, or for the preferred one.

    A value that this adapter does not take is sent all the same, so that the refusal names it.

    Args:
        features: of the fleet.
        feature: canonical, or an alias.
        wanted: without the feature's files and texts.
        preference: an adapter's id.
        needed: a key that the adapter must know, e.g. `views`.

    Raises:
        HttpError: 503 no adapter is there for it, 400 the preferred one is not.
    """
    adapters = available(features, feature)
    if not adapters:
        raise HttpError(503, f"no adapter for {canonical(feature)} is available in this fleet: `pocket3d agents` lists")
    if preference is not None:
        adapters = [adapter for adapter in adapters if adapter.adapter_id == preference]
        if not adapters:
            there = ", ".join(adapter.adapter_id for adapter in available(features, feature))
            raise HttpError(
                400, f"model {preference[:80]!r} is not available for {feature}; available: {there}", "model"
            )
    if needed:
        adapters = [adapter for adapter in adapters if needed in _properties(adapter)]
        if not adapters:
            raise HttpError(503, f"no available adapter for {canonical(feature)} takes {needed}")
    given = [each for each in wanted if each.value is not None]
    best = max(adapters, key=lambda adapter: _fits(adapter, given))
    inputs: dict[str, Any] = {}
    known: set[str] = set()
    for each in given:
        key = _key(best, each)
        if key is not None:
            inputs.setdefault(key, each.value)
            known.add(each.name)
    return Fitted(inputs, tuple(dict.fromkeys(each.name for each in given if each.name not in known)))


def _properties(adapter: FeatureAdapter) -> Mapping[str, Any]:
    """What it says it takes; nothing where it takes any keys, since it does not say what it does with them."""
    properties = (adapter.parameters or {}).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _key(adapter: FeatureAdapter, wanted: Wanted) -> str | None:
    properties = _properties(adapter)
    return next((key for key in wanted.keys or (wanted.name,) if key in properties), None)


def _fits(adapter: FeatureAdapter, wanted: Sequence[Wanted]) -> tuple[int, int]:
    """How much of it an adapter takes, and how much it knows."""
    properties = _properties(adapter)
    known = [(properties[key], each.value) for each in wanted if (key := _key(adapter, each)) is not None]
    return sum(_takes(schema, value) for schema, value in known), len(known)


def _takes(schema: Any, value: Any) -> bool:
    """True unless a schema's choice or bounds plainly refuse a value; the coordinator judges all of it."""
    if not isinstance(schema, Mapping):
        return True
    choice = schema.get("enum")
    if isinstance(choice, list) and value not in choice:
        return False
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    least, most = schema.get("minimum"), schema.get("maximum")
    return not (isinstance(least, (int, float)) and value < least) and not (
        isinstance(most, (int, float)) and value > most
    )
