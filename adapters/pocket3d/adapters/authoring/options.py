"""The inputs of an adapter, declared once: the declaration is the published JSON Schema, the check and the values.

    class BrickOptions(Options):
        mesh_path: MeshFile
        output_format: str = "glb"
        rows: Annotated[int, Meta(ge=1, le=500, description="rows of bricks")] = 20
        bond: Annotated[Literal["running", "stack"], Meta(description="how rows lie on each other")] = "running"
        seed: Annotated[Seed, Meta(description="of the colours; the same seed gives the same wall")] = 0

    class BrickAdapter(BaseTextureModel):
        options_type = BrickOptions

        def _process_request(self, inputs):
            options = BrickOptions.read(inputs)

`BaseModel.get_parameter_schema` publishes `options_type`, and `BaseModel.validate_inputs` reads by it.

- A field without a default is required. A default of None means that the key may be absent; no default is published.
- A null among the inputs counts as an absent key.
- Keys of a feature (`mesh_path`, `text_prompt`, `image_path`) are fields too. The feature's base class checks their
  files; here they are published, and known.
- `output_format` is published with the formats of the adapter, and checked by `_validate_common_inputs`.
- What JSON Schema cannot say goes into `__post_init__`, which raises `InvalidInput` with the key.
"""

from __future__ import annotations

import copy
import difflib
import functools
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from ..errors import InvalidInput

__all__ = ["MAX_SEED", "ImageFile", "ImageFiles", "MeshFile", "MeshFiles", "Meta", "Options", "Seed", "json_schema"]

O = TypeVar("O", bound="Options")  # noqa: E741  # as `T`, for Options

#: The largest seed that torch, numpy and scikit-learn all take.
MAX_SEED = 2**32 - 1
_MOST_CHARACTERS = 60

Seed = Annotated[int, Meta(ge=0, le=MAX_SEED)]
#: Files are of no JSON type: producers name them by reference, workers find local paths in their place.
MeshFile = Annotated[
    Any,
    Meta(description="one file: glb, vrm, obj, ply, stl, off, 3mf, fbx, dae or 3ds, or a zip of a mesh with its files"),
]
MeshFiles = Annotated[
    Any,
    Meta(
        description="files that mesh_path names, found by their names: the .bin and pictures of a gltf, the .mtl and"
        " pictures of an obj, the pictures of an fbx or a dae"
    ),
]
ImageFile = Annotated[
    Any, Meta(description="an image: png, jpg, webp, tiff, bmp or gif; avif and heic where the host can read them")
]
ImageFiles = Annotated[Any, Meta(description="the same as a list of one")]


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The inputs that one adapter takes; subclass it at the top level of a module. See the module for the rules."""

    @classmethod
    def read(cls: type[O], inputs: Mapping[str, Any]) -> O:
        """The values of one request, with defaults in place of absent keys and nulls.

        Raises:
            InvalidInput: a key that is unknown, missing, of another type or out of its bounds; `field` names it.
        """
        properties = _object_schema(cls)["properties"]
        given = {key: _number(value, properties.get(key, {})) for key, value in inputs.items() if value is not None}
        for key, value in given.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise _refused(key, value, properties)
        try:
            return msgspec.convert(given, cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, InvalidInput):
                raise error.__cause__ from None
            raise _explained(cls, given, error) from error


def json_schema(options: type[Options], output_formats: Sequence[str] = ()) -> dict[str, Any]:
    """The declaration as JSON Schema of the inputs. It is the caller's own: an adapter whose configuration changes a
    default or a bound writes it into the answer.

    `output_formats` are what `output_format` may be, if it is declared.
    """
    schema = copy.deepcopy(_object_schema(options))
    wanted = schema["properties"].get("output_format")
    if wanted is not None:
        wanted["enum"] = list(output_formats)
    return schema


@functools.cache
def _object_schema(options: type[Options]) -> dict[str, Any]:
    found = msgspec.json.schema(options)
    definitions = found["$defs"]
    declared = definitions.pop(options.__name__)
    if definitions:
        raise TypeError(f"{options.__name__} refers to {', '.join(definitions)}; inputs are JSON values of their own")
    hints = typing.get_type_hints(options, include_extras=True)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: _property(one, hints[key]) for key, one in declared["properties"].items()},
        "additionalProperties": declared.get("additionalProperties", True),
    }
    if declared.get("required"):
        schema["required"] = declared["required"]
    return schema


def _property(declared: dict[str, Any], hint: Any) -> dict[str, Any]:
    """One property without what a default of None adds, enumerations in the order of the declaration."""
    found = dict(declared)
    nullable = "null" in found.get("type", ())
    for one in found.pop("anyOf", ()):
        if one != {"type": "null"}:
            found = {**one, **found}
    if found.get("default", ...) is None and not nullable:
        del found["default"]
    if "enum" in found:
        found["enum"] = list(_literals(hint))
        found.setdefault("type", "string" if isinstance(found["enum"][0], str) else "integer")
    return found


def _literals(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    return next(filter(None, map(_literals, typing.get_args(hint))), ())


def _number(value: Any, declared: Mapping[str, Any]) -> Any:
    """JSON has one kind of number: 7.0 is a whole one."""
    whole = "integer" in declared.get("type", ())
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _explained(options: type[Options], given: Mapping[str, Any], error: msgspec.ValidationError) -> InvalidInput:
    """msgspec names one place at the end of its text; ours is always one key of the inputs."""
    schema = _object_schema(options)
    properties = schema["properties"]
    for key in given:
        if key not in properties and not schema["additionalProperties"]:
            close = difflib.get_close_matches(str(key), properties, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            return InvalidInput(f"{key} is no parameter; {hint}known: {', '.join(properties)}", str(key))
    for key in schema.get("required", ()):
        if key not in given:
            return InvalidInput(f"{key} is required", key)
    key = str(error).rpartition("`$.")[2].rstrip("`").partition("[")[0].partition(".")[0]
    if key in given:
        return _refused(key, given[key], properties)
    return InvalidInput(str(error))


def _refused(key: str, value: Any, properties: Mapping[str, Any]) -> InvalidInput:
    text = repr(value)
    shown = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
    return InvalidInput(f"{key} is {shown}; want {_wanted(properties.get(key, {}))}", key)


def _wanted(declared: Mapping[str, Any]) -> str:
    if "enum" in declared:
        return "one of " + ", ".join(str(one) for one in declared["enum"])
    kind = declared.get("type")
    named = {"boolean": "true or false", "array": "a list", "object": "an object"}.get(str(kind))
    if named is not None:
        return named
    if kind == "string":
        shortest, longest = declared.get("minLength", 0), declared.get("maxLength")
        if longest is not None:
            return f"a text of {shortest} to {longest} characters"
        return "a text that is not empty" if shortest else "a text"
    number = "a whole number" if "integer" in (kind or ()) else "a number"
    low, high = declared.get("minimum"), declared.get("maximum")
    if low is None:
        return number
    return f"{number} of at least {low}" if high is None else f"{number} from {low} to {high}"
