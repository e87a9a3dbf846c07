"""Chains as people write them down: a YAML file with the steps, and the inputs that may be filled in. Pure.

    description: From a prompt to a rigged mesh.
    inputs:
      prompt: {description: what it is to be}          # must be given: it has no default
      faces: 4000                                      # short for {default: 4000}
    steps:
      - {name: mesh, feature: text_to_mesh, inputs: {text_prompt: {input: prompt}}}
      - {name: rig, feature: auto_rig, inputs: {mesh_path: {step: mesh}}}

A text under a key that ends in `_path` is a file beside the chain's file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pocket3d.contracts.chains import ChainStep
from pocket3d.contracts.codec import WireError, convert
from pocket3d.contracts.input_files import is_file_key

from .inputs import InputError, LocalFile, parse_inputs

_FIELDS = ("description", "inputs", "steps", "tenant", "priority", "retry")
_NO_DEFAULT = object()


class ChainFileError(InputError):
    """The file is no chain. The message says where and what to write."""


class ChainInput(NamedTuple):
    """Something that may be filled in."""

    name: str
    description: str
    #: Whether it must be given; `default` is None then.
    required: bool
    default: Any


class ChainFile(NamedTuple):
    """A chain as it was written down."""

    description: str
    inputs: tuple[ChainInput, ...]
    steps: list[dict[str, Any]]
    #: `tenant`, `priority` and `retry`, where it says them.
    more: dict[str, Any]


def read_chain_file(text: str, name: str) -> ChainFile:
    """Read a chain's file; `name` is what messages call it.

    Raises:
        ChainFileError
    """
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ChainFileError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ChainFileError(f"{name} is nested too deeply") from error
    if not isinstance(body, dict) or not isinstance(body.get("steps"), list) or not body["steps"]:
        raise ChainFileError(f"{name} is no chain: want a mapping with a list of `steps`")
    unknown = [str(key) for key in body if key not in _FIELDS]
    if unknown:
        raise ChainFileError(f"{name}: unknown field {unknown[0]!r}; known: {', '.join(_FIELDS)}")
    given = body.get("inputs") or {}
    if not isinstance(given, dict):
        raise ChainFileError(f"{name}: inputs: want a mapping of names")
    inputs = tuple(_input(str(key), value) for key, value in given.items())
    steps = [_step(place, step, name) for place, step in enumerate(body["steps"])]
    known = {each.name for each in inputs}
    for step in steps:
        for key, value in step["inputs"].items():
            for wanted in _inputs_in(value):
                if wanted not in known:
                    told = f"{name}: steps.{step['name']}.inputs.{key}: there is no input {wanted!r}"
                    raise ChainFileError(f"{told}; {_known(sorted(known), wanted)}")
    more = {key: body[key] for key in ("tenant", "priority", "retry") if body.get(key) is not None}
    return ChainFile(str(body.get("description") or "").strip(), inputs, steps, more)


def words_of(chain: ChainFile, words: Sequence[str]) -> dict[str, Any]:
    """What `key=value` words fill in; files as `LocalFile`, other values typed as their defaults are.

    Raises:
        InputError: not such words, an input that the chain has not, or one that is missing.
    """
    properties = {each.name: {"type": _type_of(each.default)} for each in chain.inputs if each.default is not None}
    values = parse_inputs(words, [{"properties": properties}])
    names = [each.name for each in chain.inputs]
    for key in values:
        if key not in names:
            raise InputError(f"this chain has no input {key!r}; {_known(names, key)}")
    missing = [each for each in chain.inputs if each.required and each.name not in values]
    if missing:
        told = "; ".join(f"{each.name}=... ({each.description or 'no description'})" for each in missing)
        raise InputError(f"this chain needs {told}")
    return values


def steps_of(chain: ChainFile, values: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The steps with all inputs filled in, ready for `Client.submit_chain`.

    Args:
        chain: as it was written down.
        values: what was given, as `words_of` returns it.
        folder: where the chain's file is: files that it names are beside it.
    """
    filled = {
        each.name: values[each.name] if each.name in values else _beside(each.name, each.default, folder)
        for each in chain.inputs
    }
    steps = []
    for step in chain.steps:
        inputs = {}
        for key, value in step["inputs"].items():
            made = _filled(_beside(key, value, folder), filled)
            if made is not None:
                inputs[key] = made
        steps.append({**step, "inputs": inputs})
    return steps


def _input(name: str, value: Any) -> ChainInput:
    if isinstance(value, dict) and value.keys() <= {"description", "default"}:
        default = value.get("default", _NO_DEFAULT)
        required = default is _NO_DEFAULT
        return ChainInput(name, str(value.get("description") or ""), required, None if required else default)
    return ChainInput(name, "", False, value)


def _step(place: int, step: Any, name: str) -> dict[str, Any]:
    where = f"{name}: steps[{place}]"
    if not isinstance(step, dict):
        raise ChainFileError(f"{where}: want a mapping with name, feature and inputs")
    made = {"inputs": {}, **step}
    made["inputs"] = made["inputs"] or {}
    try:
        convert(ChainStep, made)
    except WireError as error:
        raise ChainFileError(f"{where}.{error.field}: {error.message}") from error
    return made


def _inputs_in(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in _inputs_in(each)]
    return [str(value["input"])] if _is_input(value) else []


def _is_input(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"input"}


def _filled(value: Any, filled: Mapping[str, Any]) -> Any:
    """A value with each `{input: name}` replaced; lists that fill a place in a list become part of it."""
    if isinstance(value, list):
        made: list[Any] = []
        for each in value:
            one = _filled(each, filled)
            made += one if _is_input(each) and isinstance(one, list) else [one]
        return made
    made_of = filled[value["input"]] if _is_input(value) else value
    return _as_path(made_of)


def _as_path(value: Any) -> Any:
    """What the client uploads in place of what the command line names."""
    if isinstance(value, list):
        return [_as_path(each) for each in value]
    return value.path if isinstance(value, LocalFile) else value


def _beside(key: str, value: Any, folder: Path) -> Any:
    """The texts under a key of files as paths beside the chain's file."""
    if not is_file_key(key):
        return value
    if isinstance(value, list):
        return [_beside(key, each, folder) for each in value]
    return folder / value if isinstance(value, str) else value


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "string")


def _known(names: Sequence[str], wanted: str) -> str:
    near = difflib.get_close_matches(wanted, names, n=1)
    return f"{f'did you mean {near[0]!r}? ' if near else ''}it has {', '.join(names) or 'none'}"
