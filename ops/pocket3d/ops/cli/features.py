"""`pocket3d features`."""

from __future__ import annotations

from typing import Any

import click

from pocket3d.contracts.api import FeatureAdapter

from .errors import runs
from .options import Target, connects, json_option
from .output import print_json, print_table


@click.command("features")
@json_option
@connects
@runs
async def command(target: Target, as_json: bool) -> None:
    """List what can be asked for: required inputs, adapters that serve it, their parameters."""
    async with target.client("cli:features") as client:
        answer = await client.features()
    if as_json:
        print_json(answer)
        return
    rows: list[tuple[Any, ...]] = []
    for feature in answer.features:
        required = " and ".join(each.replace("|", " or ") for each in feature.required)
        if not feature.adapters:
            rows.append((feature.feature, required, "(no adapter in the fleet)", None))
        rows += [(feature.feature, required, _name(adapter), _parameters(adapter)) for adapter in feature.adapters]
    print_table(("FEATURE", "REQUIRED", "ADAPTER", "PARAMETERS"), rows)


def _name(adapter: FeatureAdapter) -> str:
    return adapter.adapter_id if adapter.available else f"{adapter.adapter_id} (not available)"


def _parameters(adapter: FeatureAdapter) -> str:
    if adapter.parameters is None:
        return "any"
    return " ".join(adapter.parameters.get("properties", {}))
