"""What it takes to make a model's environment: the steps, and which of them are done. Pure.

`run` performs the steps, `needs` says what is wanted from a person first. A step is done when its stamp is that of the
same step made after the same steps: a recipe that changes repeats what the change touches, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.recipe import Contents, Part, Recipe

from .compute_capability import Card
from .locks import Lock
from .steps import (
    CheckImports,
    CloneCode,
    CompileExtension,
    FetchFile,
    FetchWeights,
    MakeVenv,
    PipInstall,
    Step,
)
from .toolkits import Build, Toolkit

#: What a worker needs beside the model (see `pocket3d.adapters.worker`).
WORKER_PACKAGES = ("msgspec>=0.19,<1", "structlog>=24.1")
#: What building without isolation needs in the environment itself. Version 82 lost pkg_resources, which packages of the
#: years of these recipes import.
BUILD_PACKAGES = ("setuptools<81", "wheel", "ninja")
#: Variables of every model's workers: what a job needs lies in the model's folder, so that nothing is fetched in a job,
#: and neither pipelines that diffusers copies (two recipes have one of the same name) nor kernels that torch compiles
#: are shared with another environment.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_MODULES_CACHE": "{root}/hf-modules",
    "TORCH_EXTENSIONS_DIR": "{root}/torch-extensions",
}


class Planned(NamedTuple):
    """A step in its place."""

    name: str
    step: Step
    #: The stamp it leaves.
    key: str
    done: bool
    #: The part of the recipe that it belongs to; None for what all need.
    part: str | None = None


class Facts(NamedTuple):
    """What is on this machine."""

    #: Absolute path and version of the interpreter to use; None if there is none that fits.
    python: str | None
    python_version: str | None
    git: bool
    compiler: bool
    free_mb: int
    #: Version of the C++ compiler if it is gcc.
    gcc: str | None = None
    #: True if that interpreter has its C headers (Python.h).
    headers: bool = True
    #: CUDA toolkits, those that a person named first.
    toolkits: tuple[Toolkit, ...] = ()
    #: GPUs that the driver shows.
    cards: tuple[Card, ...] = ()
    #: `platform.machine()`.
    machine: str = "x86_64"
    cpus: int = 1
    free_memory_mb: int = 0
    #: Sonames of the recipe's libraries that the loader does not find.
    lost_libraries: frozenset[str] = frozenset()
    #: Stamps of the steps that were done: name -> key.
    stamps: Mapping[str, str] = {}
    #: Names of the steps whose result is (still) there, where one can look: environment, code, weights.
    present: frozenset[str] = frozenset()
    #: Names of the steps whose weights a folder given by `--weights-from` lacks, and what of them.
    not_in_folder: Mapping[str, str] = {}


class Choice(NamedTuple):
    """What a person decides about an installation."""

    #: Names of the recipe's parts; None for those that are installed by default.
    parts: tuple[str, ...] | None = None
    #: The versions to take; None for the newest that fit.
    lock: Lock | None = None
    build: Build = Build()


BY_DEFAULT = Choice()


def environment_python(folder: Path) -> Path:
    """The interpreter of the environment that stands in a model's folder."""
    return folder / "venv" / "bin" / "python"


def chosen_parts(recipe: Recipe, adapters: Iterable[str], more: Iterable[str], less: Iterable[str]) -> tuple[str, ...]:
    """The parts to install: those by default, those that an adapter needs, and what a person adds and takes away.

    Raises:
        ValueError: there is no such part, or an adapter cannot do without it.
    """
    ids, added, taken = set(adapters), set(more), set(less)
    known = {part.name for part in recipe.parts}
    unknown = sorted((added | taken) - known)
    if unknown:
        there = ", ".join(sorted(known)) or "none"
        raise ValueError(f"the recipe {recipe.name} has no part {', '.join(unknown)}; its parts: {there}")
    found = []
    for part in recipe.parts:
        bound = sorted(ids & set(part.needed_by))
        if part.name in taken and bound:
            raise ValueError(f"{', '.join(bound)} cannot do without {part.name}")
        if part.name not in taken and (part.default or part.name in added or bound):
            found.append(part.name)
    return tuple(found)


def steps(recipe: Recipe, folder: Path, python: str, choice: Choice = BY_DEFAULT) -> dict[str, Step]:
    """All steps in order, by name."""
    return {name: step for name, step, _ in _steps(recipe, folder, python, choice)}


def _steps(recipe: Recipe, folder: Path, python: str, choice: Choice) -> list[tuple[str, Step, str | None]]:
    """Name, step, and the part of the recipe."""
    root = str(folder)
    parts = [part for part in recipe.parts if _wanted(part, choice)]
    everything: list[Contents] = [recipe, *parts]
    base = [*WORKER_PACKAGES, *(("huggingface_hub",) if any(each.weights for each in everything) else ())]
    base += BUILD_PACKAGES if any(each.compiled for each in everything) else ()
    locked = choice.lock is not None
    found: list[tuple[str, Step, str | None]] = [
        ("environment", MakeVenv(python=python, folder=str(folder / "venv")), None)
    ]
    found += _code(recipe, folder, None)
    found.append(("worker packages", PipInstall(requirements=tuple(base), locked=locked), None))
    if recipe.torch:
        found.append(("torch", PipInstall(requirements=_filled(recipe.torch, root), pins="named", locked=locked), None))
    found += _packages(recipe, recipe, folder, choice, None)
    if parts:
        # What the parts must keep.
        last = max(number for number, (_, step, _) in enumerate(found) if isinstance(step, PipInstall))
        name, step, part_name = found[last]
        found[last] = (name, msgspec.structs.replace(step, pins="all"), part_name)
    found += _fetched(recipe, folder, {name for name, _, _ in found}, None)
    found += _check(recipe, recipe, folder, None)
    for part in parts:
        found += _code(part, folder, part.name)
        found += _packages(recipe, part, folder, choice, part.name)
        found += _fetched(part, folder, {name for name, _, _ in found}, part.name)
        found += _check(recipe, part, folder, part.name)
    return found


def _wanted(part: Part, choice: Choice) -> bool:
    return part.default if choice.parts is None else part.name in choice.parts


def _named(name: str, part: str | None) -> str:
    return name if part is None else f"{name} ({part})"


def _code(contents: Contents, folder: Path, part: str | None) -> list[tuple[str, Step, str | None]]:
    return [
        (
            _named(f"code {checkout.folder}", part),
            CloneCode(checkout=checkout, folder=str(folder / checkout.folder)),
            part,
        )
        for checkout in contents.checkouts
    ]


def _packages(
    recipe: Recipe, contents: Contents, folder: Path, choice: Choice, part: str | None
) -> list[tuple[str, Step, str | None]]:
    root, locked = str(folder), choice.lock is not None
    found: list[tuple[str, Step, str | None]] = []
    if contents.requirements:
        step = PipInstall(requirements=_filled(contents.requirements, root), locked=locked, part=part is not None)
        found.append((_named("packages", part), step, part))
    if contents.compiled:
        step = PipInstall(
            requirements=_filled(contents.compiled, root),
            no_isolation=True,
            locked=locked,
            part=part is not None,
            env=choice.build.variables() if recipe.cuda else {},
        )
        found.append((_named("compiled packages", part), step, part))
    for extension in contents.extensions:
        source = folder / extension.source
        name = _named(f"module {source.stem}", part)
        found.append((name, CompileExtension(source=str(source), python=str(environment_python(folder))), part))
    return found


def _fetched(contents: Contents, folder: Path, taken: set[str], part: str | None) -> list[tuple[str, Step, str | None]]:
    found: list[tuple[str, Step, str | None]] = []
    for weights in contents.weights:
        # One repository may be named twice, for different files.
        name = _named(f"weights {weights.repository}", part)
        if name in taken:
            name = _named(f"weights {weights.repository} in {weights.folder}", part)
        taken.add(name)
        found.append((name, FetchWeights(weights=weights, folder=str(folder / weights.folder)), part))
    for file in contents.files:
        name = _named(f"file {Path(file.path).name}", part)
        unpacked = None if file.unpack is None else str(folder / file.unpack)
        found.append((name, FetchFile(file=file, target=str(folder / file.path), folder=unpacked), part))
    return found


def _check(recipe: Recipe, contents: Contents, folder: Path, part: str | None) -> list[tuple[str, Step, str | None]]:
    if not contents.modules:
        return []
    step = CheckImports(
        modules=contents.modules,
        python=str(environment_python(folder)),
        path=_filled((*recipe.path, *contents.module_path), str(folder)),
        env={name: _fill(value, str(folder)) for name, value in {**_ENVIRONMENT, **recipe.env}.items()},
        cuda=recipe.cuda,
        libraries={each.soname: each.package for each in contents.libraries},
    )
    return [(_named("imports", part), step, part)]


def plan(recipe: Recipe, folder: Path, facts: Facts, choice: Choice = BY_DEFAULT) -> list[Planned]:
    """All steps, with whether they are done. Without an interpreter nothing of the environment is."""
    planned: list[Planned] = []
    python = facts.python or f"python{recipe.python[0]}"
    # What is installed stands on what was installed before it. Another lock is another environment; a part stands on
    # what all need, not on the part before it.
    chains: dict[str | None, tuple[str, bool]] = {None: ("" if choice.lock is None else _digest(choice.lock), True)}
    code = ""
    for name, step, part in _steps(recipe, folder, python, choice):
        chain, chain_done = chains.get(part, chains[None])
        if isinstance(step, (MakeVenv, PipInstall, CompileExtension)):
            # And on code that it may be built from.
            key = _digest(step, chain, code if _uses_code(step, folder) else "")
            done = chain_done and facts.stamps.get(name) == key
            done = done and (name in facts.present or isinstance(step, PipInstall))
            if not isinstance(step, CompileExtension):
                chains[part] = (key, done)
        elif isinstance(step, CheckImports):
            # What the loader says may have changed with the machine; asking it again costs little.
            key, done = _digest(step, chain), False
        else:
            key = _digest(step)
            done = facts.stamps.get(name) == key and name in facts.present
            if isinstance(step, CloneCode):
                code += key
        planned.append(Planned(name, step, key, done, part))
    return planned


def _uses_code(step: Step, folder: Path) -> bool:
    if isinstance(step, PipInstall):
        return any(str(folder) in each for each in step.requirements)
    return isinstance(step, CompileExtension)


def entry(
    recipe: Recipe, folder: Path, *, accepted: bool, parts: Sequence[str] | None = None, adapter_id: str = ""
) -> dict[str, Any]:
    """The adapter's entry in `models.yaml`. The class is known by the id. `parts` are those that are installed."""
    there = {part.name for part in recipe.parts if (part.default if parts is None else part.name in parts)}
    config = dict(recipe.config)
    for part in recipe.parts:
        config |= part.config if part.name in there else part.without
        config |= part.own_config if part.name in there and adapter_id in part.needed_by else {}
    stated = {"path": recipe.path, "env": {**_ENVIRONMENT, **recipe.env}, "config": config}
    found: dict[str, Any] = {"python": str(environment_python(folder))}
    found.update({name: _fill(value, str(folder)) for name, value in stated.items() if value})
    if accepted:
        found["accept_license"] = True
    return found


class Modules(NamedTuple):
    """What must import for an adapter."""

    modules: tuple[str, ...]
    #: Folders on the import path.
    path: tuple[str, ...]
    #: Soname -> package of the system.
    libraries: dict[str, str]


def modules_of(recipe: Recipe, adapter_id: str, config: Mapping[str, Any]) -> Modules:
    """What must import for one adapter with that configuration, which says where checkouts are.

    A part counts if the adapter needs it, or if it is one by default and the configuration does not do without it.
    """
    found: list[Contents] = [recipe]
    for part in recipe.parts:
        off = part.without and all(config.get(name) == value for name, value in part.without.items())
        if adapter_id in part.needed_by or (part.default and not off):
            found.append(part)
    return Modules(
        modules=tuple(dict.fromkeys(name for each in found for name in each.modules)),
        path=tuple(
            dict.fromkeys(
                place for each in found for path in each.module_path for place in _placed(path, recipe, config)
            )
        ),
        libraries={library.soname: library.package for each in found for library in each.libraries},
    )


def _placed(path: str, recipe: Recipe, config: Mapping[str, Any]) -> list[str]:
    """A folder of the recipe where a configuration has it: below the checkout that it names, or nowhere."""
    for name, template in recipe.config.items():
        below = isinstance(template, str) and (path == template or path.startswith(f"{template}/"))
        if below and config.get(name):
            return [f"{config[name]}{path[len(template) :]}"]
    return []


def chosen(name: str, catalogue: Iterable[BuiltinAdapter], recipes: Mapping[str, Recipe]) -> list[BuiltinAdapter]:
    """The adapters that a name means: an id, or the name of an environment, which means all that share it.

    `catalogue` has the adapters with recipes; `recipes` are by module.
    """
    entries = list(catalogue)
    by_id = [each for each in entries if each.adapter_id == name]
    return by_id or [each for each in entries if each.recipe is not None and recipes[each.recipe].name == name]


def _filled(texts: tuple[str, ...], root: str) -> tuple[str, ...]:
    return tuple(_fill(each, root) for each in texts)


def _fill(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace("{root}", root)
    if isinstance(value, dict):
        return {key: _fill(each, root) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fill(each, root) for each in value]
    return value


def _digest(*parts: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
