"""What is wanted from a person before an environment can be made: what stops everything first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pocket3d.adapters.catalogue.recipe import Contents, Recipe

from .compute_capability import Card, why_not
from .environments import BY_DEFAULT, Choice, Facts, Planned
from .steps import CloneCode, CompileExtension, FetchFile, FetchWeights, PipInstall, size_text
from .toolkits import fitting, gcc_too_new, too_new, why_none


class Need(NamedTuple):
    """Something that only the person can give, or should know."""

    text: str
    #: Nothing can be done before.
    blocking: bool = False
    #: The part of the recipe that alone wants it; None if all does.
    part: str | None = None


def needs(
    recipe: Recipe, planned: Sequence[Planned], facts: Facts, choice: Choice = BY_DEFAULT, *, elsewhere: bool = False
) -> list[Need]:
    """What is needed from the person, what stops everything first.

    `elsewhere` says that the environment is for GPUs of another machine: those here are not judged.
    """
    todo = [each for each in planned if not each.done]
    found = [
        *_interpreter(recipe, facts),
        *_git(todo, facts),
        *_compilers(recipe, todo, facts, choice),
        *(_named(recipe, choice) if elsewhere else _cards(recipe, facts)),
        *_libraries(recipe, planned, facts),
        *_space(todo, facts, choice),
        *_versions(recipe, todo, choice),
    ]
    found += [Need(note) for note in recipe.notes]
    found += [Need(f"{part.name}: {note}", part=part.name) for part in _parts(recipe, planned) for note in part.notes]
    return sorted(found, key=lambda need: not need.blocking)


def license_need(terms: Mapping[str, Any] | None, accepted: bool) -> Need | None:
    """The explicit yes that an adapter's licence asks for."""
    if terms is None or not terms.get("requires_acceptance") or accepted:
        return None
    where = f", {terms['url']}" if terms.get("url") else ""
    return Need(
        f"its licence must be accepted: read the terms above{where}; if you may use it so, add --accept-license",
        blocking=True,
    )


def _parts(recipe: Recipe, planned: Sequence[Planned]) -> list[Any]:
    names = {each.part for each in planned}
    return [part for part in recipe.parts if part.name in names]


def _contents(recipe: Recipe, planned: Sequence[Planned]) -> list[tuple[Contents, str | None]]:
    return [(recipe, None), *((part, part.name) for part in _parts(recipe, planned))]


def _interpreter(recipe: Recipe, facts: Facts) -> list[Need]:
    if facts.python is None:
        text = (
            f"Python {' or '.join(recipe.python)} with venv is not on PATH: install one (for example `apt install "
            f"python{recipe.python[0]} python{recipe.python[0]}-venv`, or `uv python install {recipe.python[0]}`) "
            "and name it with --python"
        )
        return [Need(text, blocking=True)]
    if facts.python_version not in recipe.python:
        wanted = ", ".join(recipe.python)
        return [Need(f"{facts.python} is Python {facts.python_version}; upstream is known to work with {wanted}")]
    return []


def _git(todo: Sequence[Planned], facts: Facts) -> list[Need]:
    if facts.git or not any(_clones(each) for each in todo):
        return []
    return [Need("git is not on PATH: install it (apt install git)", blocking=True)]


def _clones(each: Planned) -> bool:
    if isinstance(each.step, PipInstall):
        return any("git+" in line for line in each.step.requirements)
    return isinstance(each.step, CloneCode)


def _compilers(recipe: Recipe, todo: Sequence[Planned], facts: Facts, choice: Choice) -> list[Need]:
    """What compiling wants; refused before anything is downloaded, and not after an hour."""
    found: list[Need] = []
    asked: set[tuple[str, str | None]] = set()

    def want(text: str, part: str | None) -> None:
        # What all need is wanted once, not again by a part.
        if (text, None) not in asked and (text, part) not in asked:
            asked.add((text, part))
            found.append(Need(text, blocking=True, part=part))

    for each in todo:
        cuda_code = isinstance(each.step, PipInstall) and each.step.no_isolation
        if not cuda_code and not isinstance(each.step, CompileExtension):
            continue
        if not facts.compiler:
            want("no C++ compiler (c++ or g++): apt install build-essential", each.part)
        if not facts.headers and facts.python is not None:
            package = f"python{facts.python_version}-dev"
            want(f"{facts.python} has no Python.h, which compiling wants: apt install {package}", each.part)
        if cuda_code and recipe.cuda is not None:
            for text in _cuda_lacks(recipe.cuda, facts, choice):
                want(text, each.part)
            toolkit = fitting(recipe.cuda, facts.toolkits)
            if toolkit is not None and toolkit.version != recipe.cuda:
                text = (
                    f"{each.name} are compiled with nvcc {toolkit.version} of {toolkit.home}; torch is built for CUDA"
                    f" {recipe.cuda}: within one major version torch warns and goes on"
                )
                found.append(Need(text, part=each.part))
    return found


def _cuda_lacks(cuda: str, facts: Facts, choice: Choice) -> list[str]:
    toolkit = fitting(cuda, facts.toolkits)
    found = [why_none(cuda, facts.toolkits)] if toolkit is None else []
    architectures = choice.build.architectures
    if not architectures:
        found.append(
            "no GPU that can run it is seen here (nvidia-smi), so it is not known what to compile for: name the compute"
            " capability of the GPUs that will with --cuda-arch, for example --cuda-arch 8.9"
        )
    newest = gcc_too_new(facts.gcc, toolkit) if toolkit and facts.gcc else None
    if toolkit and newest is not None:
        found.append(
            f"nvcc {toolkit.version} of {toolkit.home} takes gcc {newest} at most, and this is {facts.gcc}: apt install"
            f" g++-{newest}, then set CC=gcc-{newest} CXX=g++-{newest}"
        )
    unknown = too_new(architectures, toolkit) if toolkit else []
    if toolkit and unknown:
        found.append(
            f"nvcc {toolkit.version} of {toolkit.home} does not compile for compute capability {', '.join(unknown)}:"
            " install a newer CUDA toolkit of the same major version"
        )
    return found


def _cards(recipe: Recipe, facts: Facts) -> list[Need]:
    """GPUs on which what is installed would not run: stops everything if none is left."""
    if recipe.cuda is None or not facts.cards:
        return []
    reasons = [unable(recipe, each) for each in facts.cards]
    told = list(dict.fromkeys(reason for reason in reasons if reason))
    none_left = all(reasons)
    more = "; for GPUs of another machine name theirs with --cuda-arch" if none_left else ""
    return [Need(f"{reason}{more}", blocking=none_left) for reason in told]


def _named(recipe: Recipe, choice: Choice) -> list[Need]:
    """GPUs of another machine that would not run it."""
    named = [Card(f"a GPU of --cuda-arch {each}", each, "") for each in choice.build.architectures]
    reasons = [unable(recipe, card) for card in named]
    return [Need(reason, blocking=True) for reason in reasons if reason]


def unable(recipe: Recipe, card: Card) -> str | None:
    """Why that GPU does not run what the recipe installs, or None."""
    if recipe.cuda is None:
        return None
    torch = next((each.removeprefix("torch==") for each in recipe.torch if each.startswith("torch==")), "")
    return why_not(card, torch=torch, cuda=recipe.cuda, least=recipe.least_capability)


def _libraries(recipe: Recipe, planned: Sequence[Planned], facts: Facts) -> list[Need]:
    lost = [
        (each, part)
        for contents, part in _contents(recipe, planned)
        for each in contents.libraries
        if each.soname in facts.lost_libraries
    ]
    return [
        Need(f"{each.used_by} needs {each.soname}, which is not here: apt install {each.package}", part=part)
        for each, part in lost
    ]


def _space(todo: Sequence[Planned], facts: Facts, choice: Choice) -> list[Need]:
    fetched = [each.step.weights for each in todo if isinstance(each.step, FetchWeights)]
    files = [each.step.file for each in todo if isinstance(each.step, FetchFile)]
    found = [
        Need(f"--weights-from: {facts.not_in_folder[each.name]}", blocking=True, part=each.part)
        for each in todo
        if each.name in facts.not_in_folder
    ]
    installs = any(isinstance(each.step, PipInstall) for each in todo)
    if not fetched and not files:
        return found
    size = sum(each.size_mb or 0 for each in fetched) + sum(each.size_mb for each in files)
    rough = any(each.estimated for each in fetched) or any(each.estimated for each in files)
    unknown = sum(each.size_mb is None for each in fetched)
    more = f" and {unknown} of a size not stated" if unknown else ""
    packages = ""
    if installs:
        known = choice.lock.download_mb if choice.lock is not None else None
        packages = ", torch and other packages besides" if known is None else f", {known} MB of packages"
        size_of_all = size + (known or 0)
    else:
        size_of_all = size
    text = f"disk: {size_text(size, rough)} of weights{more}{packages}; {facts.free_mb} MB are free there"
    return [*found, Need(text, blocking=size_of_all > facts.free_mb)]


def _versions(recipe: Recipe, todo: Sequence[Planned], choice: Choice) -> list[Need]:
    """Whether the versions are those that were resolved once."""
    lock = choice.lock
    if not recipe.torch or not any(isinstance(each.step, PipInstall) for each in todo):
        return []
    if lock is None:
        return [Need("no lock is used: pip takes the newest versions that the recipe admits")]
    lost = f"; not resolved then, for want of their index: {', '.join(lock.unresolved)}" if lock.unresolved else ""
    return [
        Need(
            f"versions are those of the lock of {lock.date} for Python {lock.python} ({len(lock.packages)} packages);"
            f" --fresh takes the newest that the recipe admits{lost}"
        )
    ]
