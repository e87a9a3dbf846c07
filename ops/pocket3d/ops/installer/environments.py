"""What it takes to make a model's environment: the steps, which of them are done, what is needed from a person. Pure.

`model_environments_run` performs the steps. A step is done when its stamp is that of the same step made after the same
steps: a recipe that changes repeats what the change touches, and nothing else.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.recipe import Checkout, Recipe, Weights

#: What a worker needs beside the model (see `pocket3d.adapters.worker`).
WORKER_PACKAGES = ("msgspec>=0.19,<1", "structlog>=24.1")
#: What building without isolation needs in the environment itself.
_BUILD_PACKAGES = ("setuptools", "wheel", "ninja")


class MakeVenv(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A new virtual environment; what was there before is removed."""

    #: Absolute path of the interpreter.
    python: str
    folder: str

    def says(self) -> str:
        """What it fetches or makes."""
        return f"{self.python} -m venv {self.folder}"


class CloneCode(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A git repository at one revision."""

    checkout: Checkout
    folder: str

    def says(self) -> str:
        """What it fetches or makes."""
        more = " with submodules" if self.checkout.submodules else ""
        return f"git clone {self.checkout.url} at {self.checkout.revision}{more} into {self.folder}"


class PipInstall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One call of the environment's pip."""

    requirements: tuple[str, ...]
    #: Built with what is in the environment (its torch) rather than with fresh build requirements.
    no_isolation: bool = False
    #: The versions that this call installed of what it names are kept by all later calls.
    pins: bool = False

    def arguments(self) -> list[str]:
        """What is given to `pip install`. A requirement that begins with a dash is an option with its value."""
        words = ["--no-build-isolation"] if self.no_isolation else []
        for each in self.requirements:
            words += shlex.split(each) if each.startswith("-") else [each]
        return words

    def says(self) -> str:
        """What it fetches or makes."""
        return f"pip install {shlex.join(self.arguments())}"


class FetchWeights(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Weights from the Hugging Face hub, by the environment's own huggingface_hub, which goes on where it stopped."""

    weights: Weights
    folder: str

    def says(self) -> str:
        """What it fetches or makes."""
        what = f" ({', '.join(self.weights.files)})" if self.weights.files else ""
        size = f", {self.weights.size_mb} MB" if self.weights.size_mb is not None else ", size not stated"
        at = f" at {self.weights.revision}" if self.weights.revision else ""
        return f"https://huggingface.co/{self.weights.repository}{at}{what}{size} into {self.folder}"


Step = MakeVenv | CloneCode | PipInstall | FetchWeights


class Planned(NamedTuple):
    """A step in its place."""

    name: str
    step: Step
    #: The stamp it leaves.
    key: str
    done: bool


class Need(NamedTuple):
    """Something that only the person can give, or should know."""

    text: str
    #: Nothing can be done before.
    blocking: bool = False


class Facts(NamedTuple):
    """What is on this machine."""

    #: Absolute path and version of the interpreter to use; None if there is none that fits.
    python: str | None
    python_version: str | None
    git: bool
    compiler: bool
    nvcc: bool
    free_mb: int
    #: Stamps of the steps that were done: name -> key.
    stamps: Mapping[str, str] = {}
    #: Names of the steps whose result is (still) there, where one can look: environment, code, weights.
    present: frozenset[str] = frozenset()


def environment_python(folder: Path) -> Path:
    """The interpreter of the environment that stands in a model's folder."""
    return folder / "venv" / "bin" / "python"


def steps(recipe: Recipe, folder: Path, python: str) -> dict[str, Step]:
    """All steps in order, by name."""
    root = str(folder)
    base = [*WORKER_PACKAGES, *(("huggingface_hub",) if recipe.weights else ())]
    base += _BUILD_PACKAGES if recipe.compiled else ()
    found: dict[str, Step] = {"environment": MakeVenv(python=python, folder=str(folder / "venv"))}
    for checkout in recipe.checkouts:
        found[f"code {checkout.folder}"] = CloneCode(checkout=checkout, folder=str(folder / checkout.folder))
    found["worker packages"] = PipInstall(requirements=tuple(base))
    packages = (
        ("torch", PipInstall(requirements=_filled(recipe.torch, root), pins=True)),
        ("packages", PipInstall(requirements=_filled(recipe.requirements, root))),
        ("compiled packages", PipInstall(requirements=_filled(recipe.compiled, root), no_isolation=True)),
    )
    found |= {name: step for name, step in packages if step.requirements}
    for weights in recipe.weights:
        # One repository may be named twice, for different files.
        name = f"weights {weights.repository}"
        name += f" in {weights.folder}" if name in found else ""
        found[name] = FetchWeights(weights=weights, folder=str(folder / weights.folder))
    return found


def plan(recipe: Recipe, folder: Path, facts: Facts) -> list[Planned]:
    """All steps, with whether they are done. Without an interpreter nothing of the environment is."""
    planned: list[Planned] = []
    chain, chain_done, code = "", True, ""
    for name, step in steps(recipe, folder, facts.python or f"python{recipe.python[0]}").items():
        if isinstance(step, (MakeVenv, PipInstall)):
            # What is installed stands on what was installed before it, and on code that it may be built from.
            from_code = isinstance(step, PipInstall) and any(str(folder) in each for each in step.requirements)
            key = _digest(step, chain, code if from_code else "")
            done = chain_done and facts.stamps.get(name) == key
            done = done and (name in facts.present or not isinstance(step, MakeVenv))
            chain, chain_done = key, done
        else:
            key = _digest(step)
            done = facts.stamps.get(name) == key and name in facts.present
            if isinstance(step, CloneCode):
                code += key
        planned.append(Planned(name, step, key, done))
    return planned


def needs(recipe: Recipe, planned: Sequence[Planned], facts: Facts) -> list[Need]:
    """What is needed from the person, what stops everything first."""
    todo = [each.step for each in planned if not each.done]
    found: list[Need] = []
    wanted = ", ".join(recipe.python)
    if facts.python is None:
        found.append(
            Need(
                f"Python {' or '.join(recipe.python)} with venv is not on PATH: install one (for example `apt install "
                f"python{recipe.python[0]} python{recipe.python[0]}-venv`, or `uv python install {recipe.python[0]}`) "
                "and name it with --python",
                blocking=True,
            )
        )
    elif facts.python_version not in recipe.python:
        found.append(Need(f"{facts.python} is Python {facts.python_version}; upstream is known to work with {wanted}"))
    if any(isinstance(step, CloneCode) for step in todo) and not facts.git:
        found.append(Need("git is not on PATH: install it (apt install git)", blocking=True))
    if "compiled packages" in {each.name for each in planned if not each.done}:
        if not facts.compiler:
            found.append(Need("no C++ compiler (c++ or g++): apt install build-essential", blocking=True))
        if not facts.nvcc:
            found.append(
                Need(
                    f"{', '.join(recipe.compiled)} are compiled here, and there is no nvcc: for their CUDA kernels "
                    "install the CUDA toolkit of torch's CUDA version and set CUDA_HOME"
                )
            )
    fetched = [step.weights for step in todo if isinstance(step, FetchWeights)]
    size = sum(each.size_mb or 0 for each in fetched)
    if fetched:
        unknown = sum(each.size_mb is None for each in fetched)
        more = f" and {unknown} of a size not stated" if unknown else ""
        text = f"disk: {size} MB of weights{more}, torch and other packages besides; {facts.free_mb} MB are free there"
        found.append(Need(text, blocking=size > facts.free_mb))
    found += [Need(note) for note in recipe.notes]
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


def entry(recipe: Recipe, folder: Path, *, accepted: bool) -> dict[str, Any]:
    """The adapter's entry in `models.yaml`. The class is known by the id."""
    found: dict[str, Any] = {"python": str(environment_python(folder))}
    stated = {"path": recipe.path, "env": recipe.env, "config": recipe.config}
    found.update({name: _fill(value, str(folder)) for name, value in stated.items() if value})
    if accepted:
        found["accept_license"] = True
    return found


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
