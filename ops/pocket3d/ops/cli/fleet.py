"""Commands about the fleet: `pocket3d agents` and `features`."""

from __future__ import annotations

import difflib
from typing import Any

import click

from pocket3d.contracts.api import FeatureAdapter, FeatureInfo, FeatureList
from pocket3d.contracts.features import canonical
from pocket3d.contracts.messages import Advert, RunningJob
from pocket3d.contracts.variants import label

from ..exit_codes import Exit
from ..terminal_text import printable
from .errors import CliError, runs
from .options import Target, connects, json_option
from .output import megabytes, print_json, print_table, requirement_cell
from .parameters import print_parameters


@click.command("agents")
@click.option("--adapters", is_flag=True, help="List every adapter too, and why one is not available.")
@json_option
@connects
@runs
async def agents(target: Target, adapters: bool, as_json: bool) -> None:
    """List agents, their devices, what is loaded and what runs. With --json one advert per line."""
    async with target.client("cli:agents") as client:
        found = (await client.agents()).agents
    if as_json:
        for advert in found:
            print_json(advert)
        return
    if not found:
        click.echo("no agent is there", err=True)
        click.echo(
            "hint: `pocket3d agent -s URL` starts one; `pocket3d up` starts everything on this machine", err=True
        )
        return
    print_table(
        ("AGENT", "HOST", "DEVICE", "NAME", "FREE", "TOTAL", "RUNNING", "LOADED"),
        [row for advert in found for row in _rows(advert)],
    )
    for advert in found:
        if advert.reason is not None:
            click.echo(f"{advert.agent_id} takes no jobs: {advert.reason}")
        for device in advert.devices:
            if device.quarantine is not None:
                click.echo(f"{advert.agent_id}/{device.id} gets no jobs: {device.quarantine}")
    if adapters:
        click.echo()
        print_table(
            ("AGENT", "ADAPTER", "FEATURE", "VRAM", "AVAILABLE", "REASON"),
            [
                (
                    a.agent_id,
                    o.adapter_id,
                    o.feature,
                    requirement_cell(o.vram_mb, o.variants),
                    "yes" if o.available else "no",
                    o.reason,
                )
                for a in found
                for o in a.adapters or []
            ],
        )


def _rows(advert: Advert) -> list[tuple[str | None, ...]]:
    rows: list[tuple[str | None, ...]] = []
    name = advert.agent_id + (" (draining)" if advert.draining else "")
    for device in advert.devices:
        free = max(0, device.free_mb - device.reserved_mb - device.buffer_mb)
        rows.append(
            (
                name,
                advert.host,
                device.id,
                device.name,
                megabytes(free),
                megabytes(device.total_mb),
                ", ".join(_running(advert, each) for each in advert.running if each.device == device.id),
                # The last: it may be a dozen names.
                ", ".join(
                    label(each.adapter_id, each.variant) for each in advert.residents if each.device == device.id
                ),
            )
        )
    return rows or [(name, advert.host, None, "no devices", None, None, None, None)]


def _running(advert: Advert, run: RunningJob) -> str:
    if not run.on_device:
        return f"{run.job_id} (storing)"
    wanted = run.adapter_id, run.device, run.variant
    loaded = any((each.adapter_id, each.device, each.variant) == wanted for each in advert.residents)
    return run.job_id if loaded else f"{run.job_id} (loading)"


@click.command("features")
@click.argument("feature", required=False)
@json_option
@connects
@runs
async def features(target: Target, feature: str | None, as_json: bool) -> None:
    """List what can be asked for: required inputs, adapters that serve it, their parameters.

    With FEATURE: the parameters of each of its adapters, with their ranges.
    """
    async with target.client("cli:features") as client:
        answer = await client.features()
    if feature is not None:
        answer = FeatureList(features=[_find(feature, answer.features)])
    if as_json:
        print_json(answer)
        return
    if feature is not None:
        _show(answer.features[0])
        return
    rows: list[tuple[Any, ...]] = []
    for info in answer.features:
        required = " and ".join(each.replace("|", " or ") for each in info.required)
        if not info.adapters:
            rows.append((info.feature, required, "(no adapter in the fleet)", None))
        rows += [(info.feature, required, _name(adapter), _parameters(adapter)) for adapter in info.adapters]
    print_table(("FEATURE", "REQUIRED", "ADAPTER", "PARAMETERS"), rows)


def _find(name: str, known: list[FeatureInfo]) -> FeatureInfo:
    found = next((each for each in known if each.feature == canonical(name)), None)
    if found is None:
        near = difflib.get_close_matches(name, [each.feature for each in known], n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "`pocket3d features` lists them"
        raise CliError(f"no feature {name!r} is known", Exit.USAGE, hint=hint)
    return found


def _show(feature: FeatureInfo) -> None:
    required = " and ".join(each.replace("|", " or ") for each in feature.required)
    click.echo(f"{feature.feature}: {f'needs {required}' if required else 'needs nothing'}")
    if not feature.adapters:
        click.echo("no adapter in the fleet serves it")
    for adapter in feature.adapters:
        click.echo(printable(f"\n{_name(adapter)}"))
        if adapter.parameters is None:
            click.echo("any keys are taken")
        else:
            print_parameters(adapter.parameters)


def _name(adapter: FeatureAdapter) -> str:
    name = label(adapter.adapter_id, " or ".join(each.name for each in adapter.variants) or None)
    return name if adapter.available else f"{name} (not available)"


def _parameters(adapter: FeatureAdapter) -> str:
    if adapter.parameters is None:
        return "any"
    # Whatever an agent calls a schema.
    named = adapter.parameters.get("properties")
    return " ".join(named) if isinstance(named, dict) else ""
