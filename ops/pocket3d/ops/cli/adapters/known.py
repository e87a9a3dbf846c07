"""`pocket3d adapters list` and `show`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from pocket3d.contracts.codec import encode

from ...exit_codes import Exit
from ...installer.known_adapters import KnownAdapter, known_adapters
from ..errors import CliError, runs
from ..options import commercial_option, json_option, models_option
from ..output import licence_cells, licence_fields, print_fields, print_table, requirement


@click.command("list")
@models_option
@commercial_option
@json_option
@runs
async def list_known(models: Path | None, commercial_only: bool, as_json: bool) -> None:
    """List all known adapters: built-in, with a recipe, of installed packages, in models.yaml.

    Each is asked in its own interpreter. With --json one array.
    """
    found = await known_adapters(models)
    if commercial_only:
        found = [each for each in found if each.about.commercial == "yes"]
    if as_json:
        click.echo(encode([each.as_json() for each in found]).decode())
        return
    rows: list[tuple[Any, ...]] = []
    for each in found:
        about = each.about
        needs = requirement(about.vram_mb, about.variants)
        state = "yes" if each.available else "no"
        terms = licence_cells(about.license, each.source)
        rows.append((each.adapter_id, about.feature, needs, " ".join(about.devices), each.source, state, *terms))
    head = ("ADAPTER", "FEATURE", "VRAM", "DEVICES", "SOURCE", "AVAILABLE", "COMMERCIAL", "TERRITORY", "LICENCE")
    print_table(head, rows)
    for each in found:
        if each.reason:
            click.echo(f"{each.adapter_id}: {each.reason}")


@click.command("show")
@click.argument("adapter_id")
@models_option
@json_option
@runs
async def show(adapter_id: str, models: Path | None, as_json: bool) -> None:
    """Show all about one adapter: where it comes from, what it needs, its licence, its parameters."""
    each = find(adapter_id, await known_adapters(models))
    if as_json:
        click.echo(encode(each.as_json()).decode())
        return
    about, spec = each.about, each.adapter.spec
    print_fields(
        [
            ("adapter", each.adapter_id),
            ("feature", about.feature),
            ("available", "yes" if each.available else f"no: {each.reason}"),
            ("source", each.source),
            ("class", spec.class_path),
            ("interpreter", each.adapter.python or "the agent's"),
            ("import folders", ", ".join(spec.path)),
            ("VRAM", requirement(about.vram_mb, about.variants)),
            ("at once", about.max_concurrent),
            ("devices", ", ".join(about.devices)),
            *licence_fields(about.license, each.source),
            ("excluded territories", ", ".join(about.excluded_territories) or None),
        ]
    )
    click.echo()
    if about.parameters is None:
        click.echo("parameters: any keys are taken" if each.available else "parameters: not known while unavailable")
        return
    # Whatever the adapter's author calls a schema.
    required, named = about.parameters.get("required"), about.parameters.get("properties")
    required = required if isinstance(required, list) else []
    named = named if isinstance(named, dict) else {}
    rows = [_row(key, facts, key in required) for key, facts in named.items()]
    print_table(("PARAMETER", "TYPE", "DEFAULT", "RANGE", "DESCRIPTION"), rows)
    if about.parameters.get("additionalProperties", True) is not False:
        click.echo("(further keys are taken)")


def find(adapter_id: str, known: list[KnownAdapter]) -> KnownAdapter:
    """The one of that id.

    Raises:
        CliError: there is none.
    """
    for each in known:
        if each.adapter_id == adapter_id:
            return each
    near = difflib.get_close_matches(adapter_id, [each.adapter_id for each in known], n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else "`pocket3d adapters` lists them"
    raise CliError(f"no adapter {adapter_id!r} is known here", Exit.USAGE, hint=hint)


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
