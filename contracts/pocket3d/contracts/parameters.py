"""Does a job's `inputs` fit what an adapter declares? By JSON Schema (draft 2020-12), with words for producers.

Coordinators ask before the auction, agents again at the award. Workers do not import this: it needs jsonschema.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry

from .bounded_schema import BoundedValidator, OverBudget, check_property_patterns, errors_of

__all__ = ["CheckCache", "ParameterCheck", "ParameterProblem"]

_MESSAGE_CHARS = 300
#: Longest schema, bytes of JSON, and how deep it may be nested. The largest of our own adapters has 2.2 kB, 4 deep.
MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 32
#: A schema is given up when inputs of fewer bytes of JSON take too long; with larger ones the inputs may be the reason.
_SMALL_INPUTS = 4096
#: Similar names are looked for up to so many characters: it takes the square of them.
_LONGEST_HINTED = 100


class ParameterProblem(NamedTuple):
    """What is wrong with an input."""

    #: Dotted path, `inputs.quality`.
    field: str
    message: str


class ParameterCheck:
    """A declared JSON Schema of inputs, ready to judge; nothing outside it is fetched.

    Raises:
        ValueError: not a JSON Schema, one too large or too deep, or one that names properties by a pattern whose search
            may take too long.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        _check_size(schema)
        try:
            Draft202012Validator.check_schema(dict(schema))
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message[:_MESSAGE_CHARS]}") from error
        except Exception as error:
            # As in `problem`.
            raise ValueError(f"not a JSON Schema: {_short(error)}") from error
        check_property_patterns(schema)
        # An empty registry: a `$ref` to an address is an error, not a download.
        self._validator = BoundedValidator(dict(schema), registry=Registry())
        self._given_up = False

    def problem(self, inputs: Mapping[str, Any]) -> ParameterProblem | None:
        """What is wrong with these inputs, the most telling thing first; None if they fit.

        Never raises: a schema that cannot be used is what is wrong, with every input that meets its fault. One by which
        judging small inputs takes too long is not asked again: its adapter alone judges. Of large inputs that take too
        long what was found by then is told, if anything was.
        """
        if self._given_up:
            return None
        try:
            found = best_match(self._errors(inputs))
            return None if found is None else self._in_words(found)
        except Exception as error:  # noqa: BLE001
            # A stranger's schema drives jsonschema into whatever its pieces raise: RecursionError by a `$ref` to
            # itself, OverflowError by a pattern's bounds, ValueError by an address, TypeError, re.error. None of them
            # may cost more than this adapter this job.
            return ParameterProblem("inputs", f"the adapter's schema cannot be used: {_short(error)}"[:_MESSAGE_CHARS])

    def _errors(self, inputs: Mapping[str, Any]) -> Iterator[ValidationError]:
        found = False
        try:
            for error in errors_of(self._validator, dict(inputs)):
                found = True
                yield error
        except OverBudget:
            self._given_up = not found and len(msgspec.json.encode(inputs)) < _SMALL_INPUTS

    @staticmethod
    def _in_words(error: ValidationError) -> ParameterProblem:
        path = list(error.absolute_path)
        schema: Any = error.schema
        wanted: Any = error.validator_value
        if error.validator == "required" and isinstance(error.instance, Mapping):
            missing = next(name for name in wanted if name not in error.instance)
            return ParameterProblem(_dotted([*path, missing]), "is required")
        if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
            known = sorted(schema.get("properties", {}))
            patterns = list(schema.get("patternProperties", {}))
            unknown = next(n for n in error.instance if n not in known and not any(re.search(p, n) for p in patterns))
            short = [name for name in known if len(name) <= _LONGEST_HINTED]
            close = difflib.get_close_matches(unknown, short) if len(unknown) <= _LONGEST_HINTED else []
            hint = f"did you mean {close[0]!r}? " if close else ""
            return ParameterProblem(
                _dotted([*path, unknown]), f"unknown parameter; {hint}known: {', '.join(known)}"[:_MESSAGE_CHARS]
            )
        value = msgspec.json.encode(error.instance).decode()
        shown = value if len(value) <= 60 else value[:57] + "..."
        return ParameterProblem(_dotted(path), f"{shown}: {_wanted(error)}"[:_MESSAGE_CHARS])


class CheckCache:
    """One `ParameterCheck` per schema, however many agents declare it.

    Args:
        most: schemas; where there are more, all are forgotten, and made again as they are asked for.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._checks: dict[bytes, ParameterCheck | None] = {}

    def of(self, schema: Mapping[str, Any] | None) -> ParameterCheck | None:
        """The check of a schema; None without one, or where it is no JSON Schema: then only the adapter judges."""
        if schema is None:
            return None
        try:
            key = msgspec.json.encode(schema)
        except (TypeError, ValueError, RecursionError):
            return None
        if key not in self._checks:
            if len(self._checks) >= self._most:
                self._checks.clear()
            try:
                self._checks[key] = ParameterCheck(schema)
            except ValueError:
                self._checks[key] = None
        return self._checks[key]


def _check_size(schema: Mapping[str, Any]) -> None:
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            break
    else:
        raise ValueError(f"not a usable JSON Schema: nested more than {MAX_SCHEMA_DEPTH} deep")
    size = len(msgspec.json.encode(schema))
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(f"not a usable JSON Schema: {size} bytes, at most {MAX_SCHEMA_BYTES}")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MESSAGE_CHARS]


def _dotted(path: list[Any]) -> str:
    return "inputs" + "".join(_parts(path))


def _parts(path: list[Any]) -> Iterator[str]:
    for part in path:
        yield f"[{part}]" if isinstance(part, int) else f".{part}"


def _wanted(error: ValidationError) -> str:
    value: Any = error.validator_value
    kind = error.validator
    if kind == "type":
        return f"want {value if isinstance(value, str) else ' or '.join(value)}"
    if kind == "enum":
        return f"want one of {', '.join(str(each) for each in value)}"
    if kind == "minimum":
        return f"want {value} or more"
    if kind == "maximum":
        return f"want {value} or less"
    if kind == "exclusiveMinimum":
        return f"want more than {value}"
    if kind == "exclusiveMaximum":
        return f"want less than {value}"
    if kind == "maxLength":
        return f"want at most {value} characters"
    if kind == "minLength":
        return f"want at least {value} characters"
    return str(error.message)
