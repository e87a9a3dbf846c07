"""`pocket3d adapters check`."""

from __future__ import annotations

import asyncio
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

from pocket3d.adapters.catalogue.models_yaml import ConfiguredAdapter
from pocket3d.adapters.catalogue.recipe import Recipe
from pocket3d.adapters.check import Check, Report, check_spec
from pocket3d.adapters.kit.checked_process import ProcessError, describe
from pocket3d.adapters.kit.contract_checks import CheckPlan
from pocket3d.contracts.codec import encode
from pocket3d.contracts.worker_frames import AdapterSpec

from ... import logging
from ...exit_codes import Exit
from ...inputs import parse_inputs, with_files
from ..errors import CliError, explain_to_user
from ..options import FOLDER, THIS_FOLDER, json_option, models_option, seconds_option


@click.command("check")
@click.argument("adapter", metavar="NAME_OR_CLASS")
@models_option
@click.option(
    "--input",
    "words",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an input of the request; KEY:=JSON sets any JSON value. Repeatable.",
)
@click.option(
    "--config",
    "config_words",
    multiple=True,
    metavar="KEY:=JSON",
    help="Set an argument of the constructor. Repeatable.",
)
@click.option("--python", help="Run a class with this interpreter.  [default: this one]")
@click.option(
    "--path",
    "folders",
    multiple=True,
    type=THIS_FOLDER,
    help="Import a class from this folder.  [default: the current one]",
)
@click.option(
    "--device",
    type=click.Choice(["cuda", "cpu"]),
    help="Run it on this kind of device.  [default: what it runs on and this machine has]",
)
@click.option("--variant", metavar="NAME", help="Load this one of its variants.  [default: the best]")
@seconds_option("--load-timeout", "Give a load S seconds.", least=1, default=900)
@seconds_option("--run-timeout", "Give a run S seconds.", least=1, default=3600)
@seconds_option("--cancel-patience", "Give a cancelled run S seconds to end.", least=0.1, default=30)
@click.option("--work-dir", type=FOLDER, help="Keep its files in this folder, which is new or empty.")
@json_option
def command(
    adapter: str,
    models: Path | None,
    words: tuple[str, ...],
    config_words: tuple[str, ...],
    python: str | None,
    folders: tuple[Path, ...],
    device: str | None,
    variant: str | None,
    load_timeout: float,
    run_timeout: float,
    cancel_patience: float,
    work_dir: Path | None,
    as_json: bool,
) -> None:
    """Run one adapter against its contract, without a server. Exit code 1 if something failed.

    NAME_OR_CLASS is an adapter's id or a class, my_model.adapter:MyAdapter. It is described, loaded, given a request
    with sample files, a wrong one, and one that is cancelled, unloaded and loaded again, in a worker process of its own
    interpreter. Where the adapter has a recipe, every module that it needs is imported first, as `install` does.
    """
    if work_dir is not None and work_dir.is_dir() and any(work_dir.iterdir()):
        raise CliError(f"{work_dir} is not empty", Exit.USAGE)
    logging.configure(level=os.environ.get("POCKET3D_LOG_LEVEL", "warning"))
    # Not in a thread of an event loop: Ctrl-C has to end it, and with it the worker.
    with explain_to_user():
        if _is_class(adapter):
            spec = AdapterSpec(
                adapter_id="checked",
                class_path=adapter.replace(":", "."),
                config=_plain(parse_inputs(config_words)),
                path=[str(each.absolute()) for each in folders or (Path.cwd(),)],
                accept_license=True,
            )
            target = ConfiguredAdapter(spec=spec, python=python)
        else:
            if config_words or python or folders:
                told = "--config, --python and --path are for a class; models.yaml has them for an id"
                raise CliError(told, Exit.USAGE)
            target = asyncio.run(_named(adapter, models))
        report = _check(target, words, device, variant, (load_timeout, run_timeout, cancel_patience), work_dir)
    # Under the name that was typed: a class that is checked by itself has no id of its own.
    report = msgspec.structs.replace(report, adapter_id=adapter)
    click.echo(encode({"adapter_id": adapter, "ok": report.ok, "checks": report.checks}) if as_json else report.text())
    if not report.ok:
        raise click.exceptions.Exit(int(Exit.ERROR))


def _is_class(name: str) -> bool:
    """Ids may have dots too (`hunyuan3d-2.1-painting`), but hardly only Python's names between them."""
    parts = name.split(".")
    return ":" in name or (len(parts) > 1 and all(part.isidentifier() for part in parts))


async def _named(adapter_id: str, models: Path | None) -> ConfiguredAdapter:
    from ...installer.known_adapters import known_adapters
    from .known import find

    module = adapter_id.replace("-", "_")
    known = find(
        adapter_id,
        await known_adapters(models),
        "install its package, name it in a models.yaml (--models), or check its class: "
        f"`pocket3d adapters check {module}.adapter:CLASS --path FOLDER`",
    )
    if known.source == "recipe":
        raise CliError(known.reason or "it is not configured", hint="and then check it with that models.yaml: --models")
    return known.adapter


def _check(
    target: ConfiguredAdapter,
    words: tuple[str, ...],
    device: str | None,
    variant: str | None,
    limits: tuple[float, float, float],
    work_dir: Path | None,
) -> Report:
    from pocket3d.gpu_agents.workers.environment import child_environment, interpreter, link_namespace

    with tempfile.TemporaryDirectory(prefix="pocket3d-import-") as folder:
        python = interpreter(target.python)
        env = child_environment(
            os.environ,
            python=python,
            namespace=link_namespace(Path(folder)),
            env=target.env,
            path=[],
            # The first GPU, as an agent's worker sees one; whoever wants another says so in CUDA_VISIBLE_DEVICES.
            visible="" if device == "cpu" else os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
        )
        try:
            schema = describe(python, env, target.spec).parameters if words else None
        except ProcessError:
            # The check itself tells what is wrong with it.
            schema = None
        plan = CheckPlan(
            spec=target.spec,
            python=python,
            env=env,
            inputs=_plain(parse_inputs(words, [schema])),
            device=device,
            variant=variant,
            load_timeout_s=limits[0],
            run_timeout_s=limits[1],
            cancel_patience_s=limits[2],
        )
        imports = _imports(target, python, env)
        report = check_spec(plan, work_dir)
        return msgspec.structs.replace(report, checks=[*imports, *report.checks])


def _imports(target: ConfiguredAdapter, python: str, env: dict[str, str]) -> list[Check]:
    """What the loader says to the modules that the recipe names; nothing for an adapter without a recipe."""
    from ...installer.environments import modules_of
    from ...installer.import_check import import_all
    from ...installer.import_findings import problems
    from ...installer.known_adapters import catalogue

    module = next((each.recipe for each in catalogue() if each.adapter_id == target.spec.adapter_id), None)
    if module is None:
        return []
    recipe: Recipe = importlib.import_module(module).RECIPE
    wanted = modules_of(recipe, target.spec.adapter_id, target.spec.config)
    if not wanted.modules:
        return []
    found = import_all(python, wanted.modules, env, (*target.spec.path, *wanted.path))
    told = problems(found, cuda=recipe.cuda, libraries=wanted.libraries)
    again = f"mend the environment: pocket3d adapters install {target.spec.adapter_id}"
    return [
        Check("imports", "failed" if each.certain else "note", each.text, each.advice or again) for each in told
    ] or [Check("imports", "ok", f"{len(found.modules)} modules import in {python}", None)]


def _plain(inputs: dict[str, Any]) -> dict[str, Any]:
    """Files as the paths that a worker gets."""
    return {key: with_files(value, lambda path: str(path.absolute())) for key, value in inputs.items()}
