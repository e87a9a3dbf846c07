"""An adapter's declared parameters as JSON Schema of its inputs."""

from __future__ import annotations

from typing import Any

_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "list": "array", "dict": "object"}


def as_json_schema(declared: dict[str, Any] | None) -> dict[str, Any] | None:
    """Take a JSON Schema as it is, and turn `{"parameters": {name: {type, default, minimum, maximum, enum,
    description, required}}}`, the other form in use, into one. That form lists options only, so it allows further keys.

    Raises:
        ValueError: neither form.
    """
    if declared is None:
        return None
    if not isinstance(declared, dict):
        raise ValueError(f"get_parameter_schema() returned {type(declared).__name__}, want a dict or None")
    listed = declared.get("parameters")
    if not isinstance(listed, dict):
        if declared.get("type", "object") != "object":
            raise ValueError("get_parameter_schema() must describe an object: the inputs")
        return declared
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, facts in listed.items():
        if not isinstance(facts, dict):
            raise ValueError(f"get_parameter_schema(): parameters.{name} is {type(facts).__name__}, want a dict")
        rest = dict(facts)
        if rest.pop("required", False) is True:
            required.append(name)
        kind = rest.get("type")
        if isinstance(kind, str):
            rest["type"] = _TYPES.get(kind, kind)
        properties[name] = rest
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": True}
    if required:
        schema["required"] = required
    return schema
