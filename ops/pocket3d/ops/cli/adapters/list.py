"""`pocket3d adapters list`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pocket3d.contracts.codec import encode

from ...installer.known_adapters import known_adapters
from ..agent_options import models_option
from ..errors import runs
from ..licence_text import licence_cells
from ..options import json_option
from ..output import megabytes, print_table


@click.command("list")
@models_option
@json_option
@runs
async def command(models: Path | None, as_json: bool) -> None:
    """List all known adapters: built-in, with a recipe, of installed packages, in models.yaml.

    Each is asked in its own interpreter. With --json one array.
    """
    found = await known_adapters(models)
    if as_json:
        click.echo(encode([each.as_json() for each in found]).decode())
        return
    rows: list[tuple[Any, ...]] = []
    for each in found:
        about = each.about
        needs = megabytes(about.vram_mb) if about.vram_mb else None
        state = "yes" if each.available else "no"
        terms = licence_cells(about.license, each.source)
        rows.append((each.adapter_id, about.feature, needs, " ".join(about.devices), each.source, state, *terms))
    head = ("ADAPTER", "FEATURE", "VRAM", "DEVICES", "SOURCE", "AVAILABLE", "COMMERCIAL", "TERRITORY", "LICENCE")
    print_table(head, rows)
    for each in found:
        if each.reason:
            click.echo(f"{each.adapter_id}: {each.reason}")
