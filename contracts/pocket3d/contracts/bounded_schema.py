"""JSON Schema of strangers, judged with a bound on the work.

A schema of 300 bytes can ask for more than a computer ever does: `$ref`s that double at each level, a pattern such as
`^(a+)+$`, whose search by backtracking takes 2^n steps for n characters. So each judgement has a budget: a keyword
costs one and what it compares by itself, a pattern what its search may take at most, an error what its text takes. A
pattern that could take more than is left is not searched: what it forbids is left to the adapter's own judgement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

#: What one judgement may cost. The inputs of our own adapters cost 10 to 60; all of it takes about half a second.
BUDGET = 10_000
#: An error is told with the value at fault, which may be the whole request.
_ERROR_COST = 50
#: Steps of a search that take as long as one keyword.
_STEPS = 1_000
_LONGEST_PATTERN = 1_000
#: Bytes of a schema's own values, compared one by one, that take as long as one keyword.
_COMPARED = 100
_COUNTED = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_MANY = 100
#: More than any count that `re` takes.
_ENDLESS = 1 << 40

_left: ContextVar[list[float]] = ContextVar("_left")
Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class OverBudget(Exception):
    """Judging takes too long."""


def errors_of(validator: Any, instance: Any) -> Iterator[ValidationError]:
    """What a `BoundedValidator` finds wrong with a value.

    Raises:
        OverBudget: judging it takes more than `BUDGET`.
    """
    _left.set([BUDGET])
    yield from validator.iter_errors(instance)


def search_steps(pattern: str, length: int) -> float:
    """A bound on the steps that Python's `re` takes to search a text of that length; infinite where none is known.

    Each repetition of one character (`[a-z]*`) ends at one of `length` places, each alternative doubles the ways, and a
    search begins anywhere unless `^` holds it. Repetitions of groups, references back and looks around have no bound
    here.
    """
    if len(pattern) > _LONGEST_PATTERN:
        return float("inf")
    repeats = branches = at = 0
    size = len(pattern)
    while at < len(pattern):
        sign, rest = pattern[at], pattern[at + 1 :]
        at += 1
        counted = _COUNTED.match(pattern, at - 1) if sign == "{" else None
        if sign == "\\":
            if rest[:1].isdigit() or rest[:1] in "gk":
                return float("inf")
            at += 1
        elif sign == "[":
            # A bracket that comes first is one of the set.
            end = re.compile(r"\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL).match(pattern, at)
            at = end.end() if end else len(pattern)
        elif sign == "(" and rest[:1] == "?" and rest[:2] != "?:":
            return float("inf")
        elif sign == "(" and rest[:2] == "?:":
            at += 2
        elif sign == ")" and rest[:1] in ("*", "+", "{"):
            return float("inf")
        elif sign in "|?":
            branches += 1
        elif sign in "*+":
            repeats += 1
        elif counted:
            most = min(int(counted[3] or (0 if counted[2] else counted[1]) or _MANY + 1), _ENDLESS)
            repeats += bool(counted[2]) or most > _MANY
            size += most
            at = counted.end()
    held = pattern.startswith("^") and "|" not in pattern
    return float(size) * 2.0 ** min(branches, 100) * float(length + 1) ** min(repeats + (not held), 20)


def check_property_patterns(schema: Any) -> None:
    """Refuse patterns of property names that take more than linear time: they decide what each name means.

    Raises:
        ValueError: there is one.
    """
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            named = value.get("patternProperties")
            for pattern in named if isinstance(named, Mapping) else ():
                if search_steps(pattern, _STEPS) > _STEPS * _STEPS:
                    raise ValueError(f"not a usable JSON Schema: the search for {pattern[:80]!r} may take too long")
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _spend(cost: float) -> None:
    left = _left.get()
    left[0] -= cost
    if left[0] < 0:
        raise OverBudget("judging its inputs takes too long")


@lru_cache(maxsize=4096)
def _steps_per_character(pattern: str) -> float:
    return search_steps(pattern, _STEPS) / _STEPS


def _own_work(name: str, value: Any, instance: Any, schema: Any) -> float:
    """What a keyword costs that loops without asking others."""
    if name in ("enum", "const"):
        return len(msgspec.json.encode(value)) / _COMPARED
    if name in ("patternProperties", "additionalProperties", "unevaluatedProperties") and isinstance(instance, dict):
        # Each pattern is searched in each name.
        names = sum(len(each) + 1 for each in instance)
        return names * sum(map(_steps_per_character, schema.get("patternProperties", ()))) / _STEPS
    return 0.0


def _bounded(name: str, keyword: Keyword) -> Keyword:
    def judge(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _spend(1 + _own_work(name, value, instance, schema))
        for error in keyword(validator, value, instance, schema) or ():
            _spend(_ERROR_COST)
            yield error

    return judge


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string"):
        cost = search_steps(pattern, len(instance)) / _STEPS
        if cost > _left.get()[0]:
            return
        _spend(cost)
        if not re.search(pattern, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique_items(validator: Any, wanted: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    # jsonschema compares each with each where they cannot be sorted.
    if wanted and validator.is_type(instance, "array"):
        encode = msgspec.json.Encoder(order="deterministic").encode
        texts = [encode(each) for each in instance]
        _spend(sum(map(len, texts)) / _STEPS)
        if len(set(texts)) < len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")


_KEYWORDS = {**Draft202012Validator.VALIDATORS, "pattern": _pattern, "uniqueItems": _unique_items}
_extend: Any = extend
BoundedValidator: Any = _extend(Draft202012Validator, {name: _bounded(name, each) for name, each in _KEYWORDS.items()})
