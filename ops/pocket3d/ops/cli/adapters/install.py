"""`pocket3d adapters install`."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
from pathlib import Path
from typing import Any

import click

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.models_yaml import ModelsFileError, load_models_yaml
from pocket3d.adapters.catalogue.recipe import Recipe
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec

from ... import logging
from ...exit_codes import Exit
from ...installer.environments import Choice, Planned, chosen, chosen_parts, entry, plan
from ...installer.known_adapters import catalogue
from ...installer.look import build_for, find_lock, lock_file, look
from ...installer.models_file import entry_text, with_entry
from ...installer.needs import license_need, needs
from ...installer.run import Installer, InstallError
from ...installer.toolkits import jobs
from ...settings import state_folder
from ..errors import CliError, explain_to_user
from ..options import FILE, FOLDER
from ..output import licence_fields, print_fields

_CAPABILITY = re.compile(r"\d{1,2}\.\d")


@click.command("install")
@click.argument("name")
@click.option(
    "--root",
    type=FOLDER,
    envvar="POCKET3D_MODELS_ROOT",
    show_envvar=True,
    help="Make the models' folders in this one.  [default: models in the user's state folder]",
)
@click.option(
    "--models",
    type=FILE,
    envvar="POCKET3D_MODELS",
    show_envvar=True,
    default=Path("models.yaml"),
    show_default=True,
    help="Write the adapter's entry to this models.yaml.",
)
@click.option("--python", help="Make the environment with this interpreter.  [default: one that the recipe names]")
@click.option("--accept-license", is_flag=True, help="Say yes to the terms of the adapter's code and weights.")
@click.option("--with", "more", multiple=True, metavar="PART", help="Install this part of the recipe too. Repeatable.")
@click.option("--without", "less", multiple=True, metavar="PART", help="Leave this part of the recipe out. Repeatable.")
@click.option(
    "--cuda-arch",
    "architectures",
    multiple=True,
    metavar="X.Y",
    help="Compile for GPUs of this compute capability. Repeatable.  [default: those of the GPUs here]",
)
@click.option(
    "--weights-from",
    metavar="DIR|URL",
    help="Take weights from this folder, or from this mirror of the Hugging Face hub.",
)
@click.option("--fresh", is_flag=True, help="Take the newest packages that the recipe admits, not those of its lock.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
def command(
    name: str,
    root: Path | None,
    models: Path,
    python: str | None,
    accept_license: bool,
    more: tuple[str, ...],
    less: tuple[str, ...],
    architectures: tuple[str, ...],
    weights_from: str | None,
    fresh: bool,
    dry_run: bool,
) -> None:
    """Prepare the environment of an adapter from its recipe: interpreter, packages, code, weights.

    NAME is an adapter's id, or the name of an environment for all adapters that share it. Run it again to go on where
    it stopped: what is done stays. At the end every module that the adapter needs is imported in the new environment,
    the adapter is written into models.yaml, and asked whether it can work here. Nothing is fetched by jobs then.

    --weights-from DIR takes a copy of the hub's cache, folders `owner/name`, or another host's models folder.
    """
    logging.configure(level=os.environ.get("POCKET3D_LOG_LEVEL", "warning"))
    with explain_to_user():
        adapters, recipe = _chosen(name)
        folder = ((root or state_folder(os.environ) / "models") / recipe.name).expanduser().absolute()
        asked_here = _ask(adapters, {})
        terms = {each.adapter_id: each.license for each in asked_here}
        choice = _choice(adapters, recipe, more, less, architectures)
        facts = look(recipe, folder, python, choice, weights_from)
        try:
            lock = None if fresh else find_lock(recipe, facts.python_version)
        except ValueError as error:
            raise CliError(f"{lock_file(recipe)}: {error}", hint="install again with --fresh") from error
        choice = choice._replace(lock=lock, build=build_for(recipe, facts, architectures))
        planned = plan(recipe, folder, facts, choice)
        _show(adapters, recipe, folder, terms, planned, choice)
        asked = license_need(
            next((t for t in terms.values() if t and t.get("requires_acceptance")), None), accept_license
        )
        wanted = [*([asked] if asked else []), *needs(recipe, planned, facts, choice, elsewhere=bool(architectures))]
        for told in asked_here:
            if told.license is None and told.reason is not None:
                click.echo(f"note: {told.adapter_id}: its terms are not known here: {told.reason}")
        for need in wanted:
            of = f" for {need.part}" if need.blocking and need.part else ""
            click.echo(f"{'NEEDED' if need.blocking else 'note'}{of}: {need.text}")
        if dry_run:
            return
        again = f"`pocket3d adapters install {name}` with the same options goes on where it stopped"
        stopping = [need for need in wanted if need.blocking]
        if stopping:
            parts = {need.part for need in stopping}
            left = "" if None in parts else f"; {_without(parts)} installs the rest"
            raise CliError(f"nothing was done: see what is NEEDED above{left}", hint=again)
        installer = Installer(
            folder,
            click.echo,
            lock=lock_file(recipe) if lock else None,
            jobs=jobs(facts.cpus, facts.free_memory_mb),
            weights_from=weights_from,
        )
        try:
            failed = installer.run(planned)
        except KeyboardInterrupt:
            click.echo(again, err=True)
            raise
        except InstallError as error:
            raise CliError(str(error), hint=f"when that is mended, {again}") from error
        except OSError as error:
            raise CliError(f"{error.filename or folder}: {error.strerror or error}", hint=again) from error
        done = [each for each in choice.parts or () if each not in failed]
        bound = {adapter_id for part in recipe.parts if part.name in failed for adapter_id in part.needed_by}
        there = [each for each in adapters if each.adapter_id not in bound]
        entries = {}
        for each in there:
            needs_yes = bool((terms[each.adapter_id] or {}).get("requires_acceptance"))
            accepted = accept_license and needs_yes
            entries[each.adapter_id] = entry(recipe, folder, accepted=accepted, parts=done, adapter_id=each.adapter_id)
        _configure(models, entries)
        if failed:
            _outcome(_ask(there, entries), must=False)
            told_of = [f"the part {part} failed: {text}" for part, text in failed.items()]
            lost = [f"without it there is no {adapter_id}" for adapter_id in sorted(bound) if adapter_id in terms]
            raise CliError("\n".join([*told_of, *lost]), hint=f"when that is mended, {again}")
        _outcome(_ask(there, entries))


def _choice(
    adapters: list[BuiltinAdapter],
    recipe: Recipe,
    more: tuple[str, ...],
    less: tuple[str, ...],
    architectures: tuple[str, ...],
) -> Choice:
    for each in architectures:
        if not _CAPABILITY.fullmatch(each):
            raise CliError(f"--cuda-arch {each}: want a compute capability such as 8.9", Exit.USAGE)
    try:
        return Choice(parts=chosen_parts(recipe, [each.adapter_id for each in adapters], more, less))
    except ValueError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _without(parts: set[str | None]) -> str:
    return " ".join(f"--without {part}" for part in sorted(part for part in parts if part is not None))


def _chosen(name: str) -> tuple[list[BuiltinAdapter], Recipe]:
    entries = catalogue()
    recipes: dict[str, Recipe] = {
        each.recipe: importlib.import_module(each.recipe).RECIPE for each in entries if each.recipe is not None
    }
    found = chosen(name, entries, recipes)
    if not found:
        ids = ", ".join(each.adapter_id for each in entries) or "none"
        raise CliError(f"no adapter {name!r} has a recipe; those that have one: {ids}", Exit.USAGE)
    first = found[0].recipe
    assert first is not None
    return found, recipes[first]


def _ask(adapters: list[BuiltinAdapter], entries: dict[str, dict[str, Any]]) -> list[AdapterDescription]:
    """What they say of themselves: with their entries' interpreters, or with this one to know their terms."""
    from pocket3d.gpu_agents.io.describe import DeclaredAdapter, describe_adapters

    declared = []
    for each in adapters:
        told = entries.get(each.adapter_id, {})
        spec = AdapterSpec(
            adapter_id=each.adapter_id,
            class_path=each.class_path,
            feature=each.feature,
            config=told.get("config", {}),
            path=told.get("path", []),
            accept_license=told.get("accept_license", False),
        )
        declared.append(DeclaredAdapter(spec=spec, python=told.get("python"), env=told.get("env", {})))
    return asyncio.run(describe_adapters(declared))


def _show(
    adapters: list[BuiltinAdapter],
    recipe: Recipe,
    folder: Path,
    terms: dict[str, dict[str, Any] | None],
    planned: list[Planned],
    choice: Choice,
) -> None:
    parts = [f"{part.name} ({'yes' if part.name in (choice.parts or ()) else 'no'})" for part in recipe.parts]
    print_fields(
        [
            ("adapters", ", ".join(each.adapter_id for each in adapters)),
            ("environment", f"{recipe.name} in {folder}"),
            *([("parts", ", ".join(parts))] if parts else []),
            *licence_fields(terms[adapters[0].adapter_id], "recipe"),
        ]
    )
    for number, each in enumerate(planned, 1):
        click.echo(f"{number}. {'(done) ' if each.done else ''}{each.name}: {each.step.says()}")


def _configure(models: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Write the entries, or say where they belong."""
    existing = models.read_text(encoding="utf-8") if models.exists() else ""
    text = existing
    for adapter_id, told in entries.items():
        added = with_entry(text, adapter_id, told)
        if added is None:
            click.echo(f"{models} has {adapter_id} already or cannot be added to; under `adapters:` it should say:")
            click.echo(entry_text(adapter_id, told), nl=False)
        else:
            text = added
            click.echo(f"{models}: {adapter_id} added")
    if text == existing:
        return
    written = models.with_name(f"{models.name}.new")
    written.write_text(text, encoding="utf-8")
    try:
        load_models_yaml(written)
    except ModelsFileError as error:
        written.unlink()
        raise CliError(f"{models} is wrong as it is, nothing was added to it: {error}", Exit.USAGE) from error
    written.replace(models)


def _outcome(described: list[AdapterDescription], *, must: bool = True) -> None:
    for each in described:
        click.echo(f"{each.adapter_id}: {'available' if each.available else f'not available: {each.reason}'}")
    if must and not all(each.available for each in described):
        raise click.exceptions.Exit(int(Exit.ERROR))
