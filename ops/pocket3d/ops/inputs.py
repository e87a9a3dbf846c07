"""`pocket3d submit`'s words: `key=value`, `key:=JSON`, `key=@file`. Pure: files are named here and uploaded elsewhere.

text_prompt="a red chair"   typed by the adapters' schema for the feature, else a string
seed=7                      a number, if the schema says so
options:='{"a": [1, 2]}'    JSON
image_path=cat.png          a file, since the key ends in _path
image_paths=a.png image_paths=b.png
mask=@mask.png              a file, since it is asked for
mesh_path=@chair-0001       the file that job chair-0001 makes, unless a file has that name; @./chair-0001 is a file
mesh_path=@chair-0001/a.glb one of several
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocket3d.contracts.artifact_names import is_artifact_name
from pocket3d.contracts.jobs import is_file_key
from pocket3d.contracts.subjects import JOB_ID_PATTERN

_WORD = re.compile(r"(?P<key>[^\s:=@]+)(?P<operator>:=|=@|=)(?P<text>.*)", re.DOTALL)

#: The types of JSON Schema.
_KINDS = ("string", "integer", "number", "boolean", "null", "array", "object")
#: Characters of a word that errors show.
_SHOWN = 200


class InputError(ValueError):
    """A word of the command line is no input. The message shows the word and how to write it."""


class LocalFile(NamedTuple):
    """A file to upload, in the place of the input's value."""

    path: Path
    #: It was written with an @: where there is no such file it may be that of a job.
    or_job: bool = False


Schema = dict[str, Any]


def parse_inputs(words: Sequence[str], schemas: Iterable[Schema | None] = ()) -> dict[str, Any]:
    """The inputs that the words give; files as `LocalFile`.

    `schemas` are the JSON Schemas of the adapters that serve the feature; None for one that declares none.

    Raises:
        InputError: not a `key=value`, bad JSON, a key given twice, or a value that no schema's type takes.
    """
    known = [schema for schema in schemas if schema]
    inputs: dict[str, Any] = {}
    for word in words:
        match = _WORD.fullmatch(word)
        if not match:
            raise InputError(f"{_shown(word)} is no input: write key=value, key:=JSON or key=@file")
        key, text = match["key"], match["text"]
        value = _value(key, match["operator"], text, known)
        if key.endswith("_paths") and isinstance(value, LocalFile):
            listed = inputs.setdefault(key, [])
            if not isinstance(listed, list):
                raise InputError(f"{key!r} is given as JSON and as a file; give it once")
            listed.append(value)
            continue
        if key in inputs:
            raise InputError(f"{key!r} is given twice")
        inputs[key] = value
    return inputs


def local_files(inputs: dict[str, Any]) -> list[Path]:
    """The files that `parse_inputs` found, in order."""
    values = (each for value in inputs.values() for each in (value if isinstance(value, list) else [value]))
    return [each.path for each in values if isinstance(each, LocalFile)]


def result_of(file: LocalFile) -> dict[str, str] | None:
    """The file of a job that `@JOB` or `@JOB/name` means; None if it can only mean a file of this machine."""
    job_id, slash, name = str(file.path).partition("/")
    if not file.or_job or not JOB_ID_PATTERN.fullmatch(job_id) or (slash and not is_artifact_name(name)):
        return None
    return {"result": job_id, **({"name": name} if slash else {})}


def with_results(value: Any, is_file: Callable[[Path], bool]) -> Any:
    """An input's value with a reference to a job's result in place of each `@JOB` that is no file of this machine."""
    if isinstance(value, list):
        return [with_results(each, is_file) for each in value]
    named = result_of(value) if isinstance(value, LocalFile) else None
    return value if named is None or is_file(value.path) else named


def with_files(value: Any, convert: Callable[[Path], Any]) -> Any:
    """An input's value with each `LocalFile` in it as `convert` makes it of its path."""
    if isinstance(value, list):
        return [with_files(each, convert) for each in value]
    return convert(value.path) if isinstance(value, LocalFile) else value


def _value(key: str, operator: str, text: str, schemas: list[Schema]) -> Any:
    if operator == ":=":
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{key}:={_shown(text)} is not JSON: {error}") from error
    if operator == "=@" or is_file_key(key):
        if not text:
            raise InputError(f"{key}={'@' if operator == '=@' else ''} names no file")
        try:
            # `@./chair` is a file whatever lies there.
            or_job = operator == "=@" and is_file_key(key) and not text.startswith(".")
            return LocalFile(Path(text).expanduser(), or_job)
        except RuntimeError as error:
            message = f"{key}={_shown(text)}: there is no such user, or the user has no home folder"
            raise InputError(message) from error
    return _typed(key, text, schemas)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _typed(key: str, text: str, schemas: list[Schema]) -> Any:
    """The text as the first type that a schema allows for the key and that the text has."""
    wanted: list[str] = []
    for schema in schemas:
        wanted += _types(_entry(_entry(schema, "properties"), key), schema)
    for kind in wanted:
        value = _as(kind, text)
        if value is not _NO:
            return value
    if wanted:
        kinds = " or ".join(dict.fromkeys(wanted))
        hint = f"; write {key}:=JSON" if {"array", "object"} & set(wanted) else ""
        raise InputError(f"{key}={_shown(text)}: want {kinds}{hint}")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def _types(schema: Any, whole: Schema, depth: int = 0) -> list[str]:
    """The JSON types that a property's schema names, in its order. What is not of JSON Schema's form names none: an
    agent may advertise anything.
    """
    if not isinstance(schema, dict) or depth > 4:
        return []
    named = schema.get("type")
    if isinstance(named, (str, list)):
        return [kind for kind in ([named] if isinstance(named, str) else named) if kind in _KINDS]
    for choice in ("enum", "const"):
        if choice in schema:
            values = schema[choice] if choice == "enum" else [schema[choice]]
            if not isinstance(values, list):
                return []
            return [_type_of(value) for value in values]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        return _types(_entry(_entry(whole, "$defs"), reference.removeprefix("#/$defs/")), whole, depth + 1)
    return [
        kind
        for combined in ("anyOf", "oneOf", "allOf")
        if isinstance(listed := schema.get(combined), list)
        for inner in listed
        for kind in _types(inner, whole, depth + 1)
    ]


def _entry(mapping: Any, key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, dict) else None


def _type_of(value: Any) -> str:
    names = {type(None): "null", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "string")


_NO = object()


def _as(kind: str, text: str) -> Any:
    """The text as a JSON type, or `_NO`."""
    if kind == "string":
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), _NO)
    if kind == "null":
        return None if text in ("null", "") else _NO
    for number in {"integer": (int,), "number": (int, float)}.get(kind, ()):
        with contextlib.suppress(ValueError):
            value = number(text)
            return value if math.isfinite(value) else _NO
    return _NO
