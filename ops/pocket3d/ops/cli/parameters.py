"""An adapter's parameters as a table: type, default, range, description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pocket3d.contracts.codec import encode

from .output import print_table


def print_parameters(schema: Mapping[str, Any]) -> None:
    """Print what a JSON Schema of inputs says; it may be whatever an adapter's author calls one."""
    required, named = schema.get("required"), schema.get("properties")
    required = required if isinstance(required, list) else []
    named = named if isinstance(named, dict) else {}
    rows = [_row(key, facts, key in required) for key, facts in named.items()]
    print_table(("PARAMETER", "TYPE", "DEFAULT", "RANGE", "DESCRIPTION"), rows)
    if schema.get("additionalProperties", True) is not False:
        click.echo("(further keys are taken)")


def _row(key: str, facts: Any, required: bool) -> tuple[Any, ...]:
    facts = facts if isinstance(facts, dict) else {}
    default = "required" if required else _value(facts.get("default")) if "default" in facts else None
    return key, _type(facts), default, _range(facts), facts.get("description")


def _type(facts: dict[str, Any]) -> str | None:
    kind = facts.get("type")
    if isinstance(kind, list):
        return " or ".join(str(each) for each in kind)
    if kind is None and "enum" in facts:
        return "choice"
    return None if kind is None else str(kind)


def _range(facts: dict[str, Any]) -> str | None:
    if isinstance(facts.get("enum"), list):
        return " | ".join(_value(each) for each in facts["enum"])
    low, high = facts.get("minimum"), facts.get("maximum")
    if low is None and high is None:
        longest = facts.get("maxLength")
        return None if longest is None else f"up to {longest} characters"
    return f"{'' if low is None else low}..{'' if high is None else high}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()
