"""What the fleet's schemas say of a request before it is submitted. Pure.

A coordinator rejects what no adapter takes too, a moment after `queued`, when nobody looks any more; and a job for an
adapter that nobody has waits for ever, since a host that has it may join.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pocket3d.contracts.adapter_ids import with_ours
from pocket3d.contracts.api import FeatureAdapter, FeatureInfo
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import as_uploads
from pocket3d.contracts.jobs import Rejection
from pocket3d.contracts.parameters import CheckCache, ParameterProblem

_CHECKS = CheckCache()


def problem(
    info: FeatureInfo | None, inputs: Mapping[str, Any], models: Sequence[str] = (), variant: str | None = None
) -> Rejection | None:
    """What is wrong with a request, the most telling thing first; None if some adapter of the fleet takes it.

    Args:
        info: what the fleet says of the feature; nothing is judged without it, or while nobody serves the feature.
        inputs: the parameters, files as references.
        models: adapter ids that are wanted, best first; empty for any.
        variant: the only variant that is wanted.
    """
    serving = list(info.adapters) if info is not None else []
    inputs = as_uploads(inputs)
    if info is None or not serving:
        return None
    wanted = [each for each in serving if each.adapter_id in with_ours(models)] if models else serving
    if not wanted:
        named = ", ".join(models)
        text = f"no adapter of the fleet that serves {info.feature} is called {named}"
        return Rejection(
            FailureCode.INVALID_INPUT,
            "model_preference",
            _guess(text, models[0], [each.adapter_id for each in serving]),
        )
    if variant is not None:
        variants = list(dict.fromkeys(each.name for adapter in wanted for each in adapter.variants))
        if variant not in variants:
            text = f"no adapter that may run it has a variant {variant}"
            return Rejection(FailureCode.INVALID_INPUT, "variant", _guess(text, variant, variants))
    return _unknown_key(wanted, inputs) or _refused(wanted, inputs)


def _guess(text: str, meant: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(meant, known, n=2) or [each for each in known if each.startswith(meant)][:2]
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{text}; {guess}known: {', '.join(sorted(known)) or 'none'}"


def _unknown_key(adapters: Sequence[FeatureAdapter], inputs: Mapping[str, Any]) -> Rejection | None:
    """A parameter that no adapter knows: a misspelt one is told before the one that seems to be missing for it."""
    known: set[str] = set()
    for adapter in filter(_judges, adapters):
        schema = adapter.parameters or {}
        properties = schema.get("properties")
        closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
        if not closed or not isinstance(properties, Mapping):
            return None
        known |= set(properties)
    for key in inputs if known else ():
        if key not in known:
            text = _guess(f"unknown parameter {key}", key, sorted(known))
            return Rejection(FailureCode.INVALID_INPUT, f"inputs.{key}", text)
    return None


def _judges(adapter: FeatureAdapter) -> bool:
    """False of one that cannot run and says nothing of its parameters."""
    return adapter.available or adapter.parameters is not None


def _refused(adapters: Sequence[FeatureAdapter], inputs: Mapping[str, Any]) -> Rejection | None:
    """As the coordinator judges: refused where every adapter refuses."""
    problems: dict[str, ParameterProblem] = {}
    for adapter in adapters:
        if not _judges(adapter):
            continue
        check = _CHECKS.of(adapter.parameters)
        found = check.problem(inputs) if check is not None else None
        if found is None:
            return None
        problems[adapter.adapter_id] = found
    if not problems:
        return None
    adapter_id = min(problems)
    field, message = problems[adapter_id]
    return Rejection(FailureCode.INVALID_INPUT, field, f"{message} ({adapter_id})")
