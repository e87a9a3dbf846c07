"""Performs the steps that `model_environments` plans: calls venv, git, pip and the hub's client.

<root>/<recipe>/venv            the environment
<root>/<recipe>/<folder>        code and weights, as the recipe says
<root>/<recipe>/installed.json  the stamps
<root>/<recipe>/constraints.txt versions that later steps must keep (torch)
<root>/<recipe>/install.log     everything that the steps printed
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from pocket3d.adapters.catalogue.recipe import Recipe

from .environments import (
    CloneCode,
    Facts,
    FetchWeights,
    MakeVenv,
    PipInstall,
    Planned,
    Step,
    environment_python,
    steps,
)

_STAMPS = "installed.json"
_CONSTRAINTS = "constraints.txt"
_LOG = "install.log"
_ASK_S = 60.0
_SHOWN_LINES = 15
#: Asked of an interpreter: its version, if it can make environments.
_VERSION = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
#: In the model's environment: one argument, the keyword arguments as JSON.
_SNAPSHOT = (
    "import json, sys; from huggingface_hub import snapshot_download as get; print(get(**json.loads(sys.argv[1])))"
)
#: A requirement's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Tell = Callable[[str], None]


class InstallError(Exception):
    """A step failed; says which, what was called, and what it said last."""


def look(recipe: Recipe, folder: Path, python: str | None, environ: Mapping[str, str] = os.environ) -> Facts:
    """What is on this machine and what was done already."""
    found = _interpreter(recipe, python)
    there = folder
    while not there.exists():
        there = there.parent
    return Facts(
        python=found[0] if found else None,
        python_version=found[1] if found else None,
        git=shutil.which("git") is not None,
        compiler=any(shutil.which(name) for name in ("c++", "g++", "clang++")),
        nvcc=shutil.which("nvcc") is not None or bool(environ.get("CUDA_HOME")),
        free_mb=shutil.disk_usage(there).free // (1024 * 1024),
        stamps=_stamps(folder),
        present=frozenset(name for name, step in steps(recipe, folder, "python").items() if _is_there(step, folder)),
    )


def _interpreter(recipe: Recipe, named: str | None) -> tuple[str, str] | None:
    """The first that fits, as an absolute path and with its version. A named one is taken whatever its version."""
    for name in [named] if named else [*(f"python{version}" for version in recipe.python), sys.executable]:
        path = shutil.which(name)
        if path is None:
            continue
        try:
            asked = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, timeout=_ASK_S, check=False)
        except (OSError, subprocess.SubprocessError):
            continue
        version = asked.stdout.strip()
        # A shim of pyenv may be on PATH without a Python behind it.
        if asked.returncode == 0 and (named or version in recipe.python):
            return str(Path(path).absolute()), version
    return None


def _stamps(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / _STAMPS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        # None yet, or written by hand: then nothing counts as done, and is done again.
        return {}


def _is_there(step: Step, folder: Path) -> bool:
    """Where one can look; what pip installed is not looked at, its stamp is believed."""
    if isinstance(step, MakeVenv):
        return environment_python(folder).exists()
    if isinstance(step, CloneCode):
        return (Path(step.folder) / ".git").exists()
    return isinstance(step, FetchWeights) and Path(step.folder).is_dir()


class Installer:
    """Performs the steps of one plan. `tell` gets what happens, line by line."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._folder = folder
        self._tell = tell
        self._python = str(environment_python(folder))

    def run(self, planned: Sequence[Planned]) -> None:
        """Do what is not done, in order, and stamp each.

        Raises:
            InstallError: a step failed; those before it keep their stamps.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for number, each in enumerate(planned, 1):
            where = f"[{number}/{len(planned)}] {each.name}"
            if each.done:
                self._tell(f"{where}: done before")
                continue
            self._tell(f"{where}: {each.step.says()}")
            # What is being done again is not done while it is.
            stamps = _stamps(self._folder)
            if stamps.pop(each.name, None) is not None:
                self._write(stamps)
            try:
                self._perform(each.step)
            except InstallError as error:
                raise InstallError(f"step {number} of {len(planned)}, {each.name}: {error}") from error
            self._write({**stamps, each.name: each.key})

    def _perform(self, step: Step) -> None:
        if isinstance(step, MakeVenv):
            self._call([step.python, "-m", "venv", "--clear", step.folder])
        elif isinstance(step, CloneCode):
            self._clone(step)
        elif isinstance(step, PipInstall):
            self._pip(step)
        else:
            self._fetch(step)

    def _clone(self, step: CloneCode) -> None:
        target = Path(step.folder)
        git = ["git", "-C", str(target)]
        if (target / ".git").exists():
            self._call([*git, "fetch", "--tags", "origin"])
        elif target.exists():
            raise InstallError(f"{target} is there and is no clone; move it away")
        else:
            # A clone that is cut off must not look like one.
            part = target.with_name(f"{target.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.parent.mkdir(parents=True, exist_ok=True)
            self._call(["git", "clone", "--no-checkout", step.checkout.url, str(part)])
            part.rename(target)
        self._call([*git, "checkout", "--detach", step.checkout.revision])
        if step.checkout.submodules:
            self._call([*git, "submodule", "update", "--init", "--recursive"])

    def _pip(self, step: PipInstall) -> None:
        constraints = self._folder / _CONSTRAINTS
        kept = ["--constraint", str(constraints)] if constraints.exists() and not step.pins else []
        self._call([self._python, "-m", "pip", "install", *kept, *step.arguments()])
        if step.pins:
            constraints.write_text(self._versions(step))

    def _versions(self, step: PipInstall) -> str:
        """What the step installed of what it names, as constraints."""
        asked = [self._python, "-m", "pip", "list", "--format=json"]
        try:
            done = subprocess.run(asked, capture_output=True, env=self._env(), timeout=_ASK_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise InstallError(f"{shlex.join(asked)}: {error}") from error
        names = {_normal(match[0]) for each in step.requirements if (match := _NAME.match(each))}
        installed = {_normal(each["name"]): each["version"] for each in json.loads(done.stdout)}
        return "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()) if name in names)

    def _fetch(self, step: FetchWeights) -> None:
        weights = step.weights
        wanted = {
            "repo_id": weights.repository,
            "revision": weights.revision,
            "allow_patterns": list(weights.files) or None,
            "local_dir": step.folder,
        }
        self._call([self._python, "-c", _SNAPSHOT, json.dumps(wanted)])

    def _call(self, command: list[str]) -> None:
        """Run it, showing and keeping what it prints.

        Raises:
            InstallError: it cannot be started, or ends with another status than 0.
        """
        last: deque[str] = deque(maxlen=_SHOWN_LINES)
        log_path = self._folder / _LOG
        with log_path.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(command)}\n")
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env=self._env(),
                )
            except OSError as error:
                raise InstallError(f"{command[0]} cannot be started: {error.strerror or error}") from error
            assert process.stdout is not None
            # At Ctrl-C the child gets the signal too, and `with` waits for it.
            with process:
                for line in process.stdout:
                    log.write(line)
                    if line.strip():
                        last.append(line.rstrip())
                        self._tell(f"    {line.rstrip()}")
        if process.returncode != 0:
            said = "\n".join(f"    {line}" for line in last) or "    (it printed nothing)"
            raise InstallError(
                f"`{shlex.join(command)}` ended with status {process.returncode}:\n{said}\nall of it: {log_path}"
            )

    def _env(self) -> dict[str, str]:
        """This one without what would lead tools elsewhere; the environment's own programs come first."""
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        kept["PATH"] = os.pathsep.join((str(Path(self._python).parent), kept.get("PATH", "")))
        # Nobody is there to type a password: a private repository is an error.
        return {**kept, "GIT_TERMINAL_PROMPT": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}

    def _write(self, stamps: Mapping[str, str]) -> None:
        written = self._folder / f"{_STAMPS}.new"
        written.write_bytes(msgspec.json.encode(stamps))
        written.replace(self._folder / _STAMPS)


def _normal(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
