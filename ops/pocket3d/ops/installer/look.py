"""Looks at this machine for what making an environment needs: interpreter, compilers, CUDA, GPUs, libraries, space."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from pocket3d.adapters.catalogue.recipe import Recipe

from .compute_capability import Card
from .environments import BY_DEFAULT, Choice, Facts, environment_python, steps
from .fetch import is_mirror, is_whole, missing_in_folder
from .locks import Lock, read_lock
from .needs import unable
from .steps import CloneCode, CompileExtension, FetchFile, FetchWeights, MakeVenv, Step
from .toolkits import Build, Toolkit, fitting, nvcc_version

STAMPS = "installed.json"
_LOCKS = Path(__file__).with_name("locks")
_ASK_S = 60.0
#: Where NVIDIA's installer puts toolkits.
_USUAL = Path("/usr/local")
_MB = 1024 * 1024
#: Asked of an interpreter that can make environments: its version, and the folder of its C headers.
_ABOUT = (
    "import sys, sysconfig, venv, ensurepip, json;"
    " print(json.dumps(['%d.%d' % sys.version_info[:2], sysconfig.get_paths()['include']]))"
)
_CARDS = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]


class _Interpreter(NamedTuple):
    path: str
    version: str
    headers: bool


def lock_file(recipe: Recipe) -> Path:
    """Where a recipe's lock is, if it has one."""
    return _LOCKS / f"{recipe.name}.txt"


def find_lock(recipe: Recipe, python_version: str | None) -> Lock | None:
    """The recipe's lock, if there is one for this interpreter version and machine. Without an interpreter, which stops
    the installation, it is the one for what is asked for, so that the plan shows what will be.

    Raises:
        ValueError: the file is none.
    """
    try:
        found = read_lock(recipe.name, lock_file(recipe).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found if found.fits(python_version or found.python, platform.machine()) else None


def look(
    recipe: Recipe,
    folder: Path,
    python: str | None,
    choice: Choice = BY_DEFAULT,
    weights_from: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Facts:
    """What is on this machine and what was done already.

    `python` is an interpreter that the person named; `choice` gives the parts.
    """
    found = _interpreter(recipe, python)
    there = folder
    while not there.exists():
        there = there.parent
    all_steps = steps(recipe, folder, "python", choice)
    return Facts(
        python=found.path if found else None,
        python_version=found.version if found else None,
        git=shutil.which("git") is not None,
        compiler=_compiler(environ) is not None,
        gcc=_gcc(_compiler(environ)),
        headers=found.headers if found else False,
        toolkits=_toolkits(environ),
        cards=_cards(),
        machine=platform.machine(),
        cpus=os.cpu_count() or 1,
        free_memory_mb=_free_memory_mb(),
        free_mb=shutil.disk_usage(there).free // _MB,
        lost_libraries=_lost(each.soname for contents in (recipe, *recipe.parts) for each in contents.libraries),
        stamps=read_stamps(folder),
        present=frozenset(name for name, step in all_steps.items() if _is_there(step)),
        not_in_folder=_not_in_folder(all_steps, weights_from, folder),
    )


def build_for(recipe: Recipe, facts: Facts, named: tuple[str, ...]) -> Build:
    """How to compile: for the GPUs that a person named, else for those here that can run it at all."""
    toolkit = fitting(recipe.cuda, facts.toolkits) if recipe.cuda else None
    able = [card for card in facts.cards if recipe.cuda and unable(recipe, card) is None]
    seen = sorted({card.capability for card in able if card.capability is not None})
    return Build(home=toolkit.home if toolkit else None, architectures=named or tuple(seen))


def read_stamps(folder: Path) -> dict[str, str]:
    """The stamps of what was done in a model's folder."""
    try:
        return msgspec.json.decode((folder / STAMPS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        # None yet, or written by hand: then nothing counts as done, and is done again.
        return {}


def _interpreter(recipe: Recipe, named: str | None) -> _Interpreter | None:
    """The first that fits, as an absolute path and with its version. A named one is taken whatever its version."""
    for name in [named] if named else [*(f"python{version}" for version in recipe.python), sys.executable]:
        path = shutil.which(name)
        if path is None:
            continue
        said = _ask([path, "-c", _ABOUT])
        # A shim of pyenv may be on PATH without a Python behind it.
        if said is None:
            continue
        version, include = json.loads(said)
        if named or version in recipe.python:
            return _Interpreter(str(Path(path).absolute()), version, (Path(include) / "Python.h").is_file())
    return None


def _compiler(environ: Mapping[str, str]) -> str | None:
    """The one that torch's builds take."""
    names = [environ["CXX"]] if environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((path for name in names if (path := shutil.which(name))), None)


def _gcc(compiler: str | None) -> str | None:
    """Its version, if it is gcc."""
    if compiler is None or "Free Software Foundation" not in (_ask([compiler, "--version"]) or ""):
        return None
    return (_ask([compiler, "-dumpfullversion"]) or "").strip() or None


def _toolkits(environ: Mapping[str, str]) -> tuple[Toolkit, ...]:
    """Those that a person named, that of PATH, then those at their usual places."""
    homes = [Path(environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if environ.get(name)]
    on_path = shutil.which("nvcc", path=environ.get("PATH"))
    if on_path is not None:
        # The folder above bin; one that is a script elsewhere is no toolkit's.
        homes.append(Path(on_path).resolve().parent.parent)
    homes += [_USUAL / "cuda", *sorted(_USUAL.glob("cuda-*"), reverse=True)]
    found: dict[Path, Toolkit] = {}
    for home in homes:
        nvcc = home / "bin" / "nvcc"
        if not nvcc.is_file() or home.resolve() in found:
            continue
        version = nvcc_version(_ask([str(nvcc), "--version"]) or "")
        # Without headers nothing of torch's compiles.
        if version is not None and any((home / each / "cuda.h").is_file() for each in _INCLUDES):
            found[home.resolve()] = Toolkit(str(home), version)
    return tuple(found.values())


_INCLUDES = ("include", f"targets/{platform.machine()}-linux/include")


def _cards() -> tuple[Card, ...]:
    """The GPUs that the driver's own program shows; none where there is no driver."""
    rows = [line.split(", ") for line in (_ask(_CARDS) or "").splitlines()]
    # `[N/A]` where the driver does not say.
    return tuple(
        Card(row[0], row[1] if row[1][:1].isdigit() else None, row[2]) for row in rows if len(row) == len(Card._fields)
    )


def _lost(sonames: Iterable[str]) -> frozenset[str]:
    lost = set()
    for soname in sonames:
        try:
            ctypes.CDLL(soname)
        except OSError:
            lost.add(soname)
    return frozenset(lost)


def _free_memory_mb() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    known = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines)}
    return int(known.get("MemAvailable", "0")) // 1024


def _is_there(step: Step) -> bool:
    """Where one can look; what pip installed is not looked at, its stamp is believed."""
    if isinstance(step, MakeVenv):
        return environment_python(Path(step.folder).parent).exists()
    if isinstance(step, CloneCode):
        return (Path(step.folder) / ".git").exists()
    if isinstance(step, CompileExtension):
        source = Path(step.source)
        return any(source.parent.glob(f"{source.stem}.*.so"))
    return isinstance(step, (FetchWeights, FetchFile)) and is_whole(step)


def _not_in_folder(all_steps: Mapping[str, Step], weights_from: str | None, folder: Path) -> dict[str, str]:
    if weights_from is None or is_mirror(weights_from):
        return {}
    fetched = {name: step for name, step in all_steps.items() if isinstance(step, (FetchWeights, FetchFile))}
    lacking = {name: missing_in_folder(step, Path(weights_from), folder) for name, step in fetched.items()}
    return {name: text for name, text in lacking.items() if text is not None}


def _ask(command: list[str]) -> str | None:
    """What it prints; None if it is not there or fails."""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout if asked.returncode == 0 else None
