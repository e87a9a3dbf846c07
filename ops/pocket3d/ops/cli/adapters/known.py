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
from ..output import licence_cells, licence_fields, print_fields, print_table, requirement, requirement_cell
from ..parameters import print_parameters


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
        needs = requirement_cell(about.vram_mb, about.variants)
        state = "yes" if each.available else "no"
        terms = licence_cells(about.license, each.source)
        rows.append((each.adapter_id, about.feature, needs, " ".join(about.devices), each.source, state, *terms))
    head = ("ADAPTER", "FEATURE", "VRAM", "DEVICES", "SOURCE", "AVAILABLE", "COMMERCIAL", "TERRITORY", "LICENCE")
    print_table(head, rows)
    for each in found:
        if each.reason and each.source != "recipe":
            click.echo(f"{each.adapter_id}: {each.reason}")
    if recipes := sum(each.source == "recipe" for each in found):
        told = "1 of them is" if recipes == 1 else f"{recipes} of them are"
        click.echo(f"{told} not configured: `pocket3d adapters install ADAPTER` prepares one by its recipe")


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
    print_parameters(about.parameters)


def find(adapter_id: str, known: list[KnownAdapter], otherwise: str = "`pocket3d adapters` lists them") -> KnownAdapter:
    """The one of that id. `otherwise` is what to do where there is none, nor one of a similar name.

    Raises:
        CliError: there is none.
    """
    for each in known:
        if each.adapter_id == adapter_id:
            return each
    near = difflib.get_close_matches(adapter_id, [each.adapter_id for each in known], n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else otherwise
    raise CliError(f"no adapter {adapter_id!r} is known here", Exit.USAGE, hint=hint)
