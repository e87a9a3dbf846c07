"""Performs the steps that `environments` plans: calls venv, git, pip, the hub's client, and the new environment itself.

<root>/<recipe>/venv             the environment
<root>/<recipe>/<folder>         code and weights, as the recipe says
<root>/<recipe>/installed.json   the stamps
<root>/<recipe>/constraints.txt  versions that later steps must keep (torch)
<root>/<recipe>/kept-by-parts.txt versions that the recipe's parts must keep (all that others need)
<root>/<recipe>/install.log      everything that the steps printed
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from .environments import Planned, environment_python
from .fetch import FetchError, download, is_mirror, take_file, take_weights, unpack
from .import_check import import_all
from .import_findings import problems
from .look import STAMPS, read_stamps
from .steps import CheckImports, CloneCode, CompileExtension, FetchFile, FetchWeights, MakeVenv, PipInstall, Step

_CONSTRAINTS = "constraints.txt"
_KEPT = "kept-by-parts.txt"
_LOG = "install.log"
_ASK_S = 60.0
_SHOWN_LINES = 15
#: In the model's environment: one argument, the keyword arguments as JSON.
_SNAPSHOT = (
    "import json, sys; from huggingface_hub import snapshot_download as get; print(get(**json.loads(sys.argv[1])))"
)
#: In the model's environment: one argument, the C++ source. The suffix is that of this very interpreter.
_EXTENSION = """
import os, subprocess, sys, sysconfig, pybind11
source = sys.argv[1]
target = os.path.splitext(source)[0] + sysconfig.get_config_var("EXT_SUFFIX")
include = ["-I" + pybind11.get_include(), "-I" + sysconfig.get_paths()["include"]]
flags = ["-O3", "-shared", "-std=c++17", "-fPIC"]
sys.exit(subprocess.call([os.environ.get("CXX", "c++"), *flags, *include, source, "-o", target]))
"""
#: A requirement's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Tell = Callable[[str], None]


class InstallError(Exception):
    """A step failed; says which, what was called, and what it said last."""


class Installer:
    """Performs the steps of one plan. `tell` gets what happens, line by line."""

    def __init__(
        self,
        folder: Path,
        tell: Tell,
        *,
        lock: Path | None = None,
        jobs: int = 1,
        weights_from: str | None = None,
    ) -> None:
        """`lock` is a file of constraints, `jobs` how many compilers may run at once, `weights_from` a folder or a
        mirror of the hub.
        """
        self._folder = folder
        self._tell = tell
        self._python = str(environment_python(folder))
        self._lock = lock
        self._jobs = jobs
        self._weights_from = weights_from

    def run(self, planned: Sequence[Planned]) -> dict[str, str]:
        """Do what is not done, in order, and stamp each. A part of the recipe that fails does not stop the others.

        Returns:
            Part -> why it failed, for those that did.

        Raises:
            InstallError: a step that all need failed; those before it keep their stamps.
        """
        failed: dict[str, str] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        for number, each in enumerate(planned, 1):
            where = f"[{number}/{len(planned)}] {each.name}"
            if each.part in failed:
                self._tell(f"{where}: left out, as {each.part} failed")
                continue
            if each.done:
                self._tell(f"{where}: done before")
                continue
            self._tell(f"{where}: {each.step.says()}")
            # What is being done again is not done while it is.
            stamps = read_stamps(self._folder)
            if stamps.pop(each.name, None) is not None:
                self._write(stamps)
            try:
                self._perform(each.step)
            except InstallError as error:
                text = f"step {number} of {len(planned)}, {each.name}: {error}"
                if each.part is None:
                    raise InstallError(text) from error
                failed[each.part] = text
                continue
            self._write({**stamps, each.name: each.key})
        return failed

    def _perform(self, step: Step) -> None:
        if isinstance(step, MakeVenv):
            self._call([step.python, "-m", "venv", "--clear", step.folder])
        elif isinstance(step, CloneCode):
            self._clone(step)
        elif isinstance(step, PipInstall):
            self._pip(step)
        elif isinstance(step, CompileExtension):
            self._call([step.python, "-c", _EXTENSION, step.source])
        elif isinstance(step, CheckImports):
            self._check(step)
        else:
            try:
                self._fetch(step)
            except FetchError as error:
                raise InstallError(str(error)) from error

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
        constraints, kept_by_parts = self._folder / _CONSTRAINTS, self._folder / _KEPT
        kept = [self._lock] if self._lock is not None and step.locked else []
        kept += [constraints] if constraints.exists() and step.pins != "named" else []
        kept += [kept_by_parts] if kept_by_parts.exists() and step.part else []
        options = [word for file in kept for word in ("--constraint", str(file))]
        env = {**step.env, "MAX_JOBS": str(self._jobs)} if step.no_isolation else step.env
        self._call([self._python, "-m", "pip", "install", *options, *step.arguments()], env)
        if step.pins == "named":
            names = {_normal(match[0]) for each in step.requirements if (match := _NAME.match(each))}
            constraints.write_text(_constraints({k: v for k, v in self._versions().items() if k in names}))
        elif step.pins == "all":
            kept_by_parts.write_text(_constraints(self._versions()))

    def _versions(self) -> dict[str, str]:
        """Name -> version of all that is installed."""
        asked = [self._python, "-m", "pip", "list", "--format=json"]
        try:
            done = subprocess.run(asked, capture_output=True, env=self._env(), timeout=_ASK_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise InstallError(f"{shlex.join(asked)}: {error}") from error
        return {_normal(each["name"]): each["version"] for each in json.loads(done.stdout)}

    def _fetch(self, step: FetchWeights | FetchFile) -> None:
        source = self._weights_from
        if source is not None and not is_mirror(source):
            if isinstance(step, FetchFile):
                take_file(step, Path(source), self._folder)
                unpack(step)
            else:
                self._tell(f"    {take_weights(step, Path(source), self._folder)} files of {source}")
        elif isinstance(step, FetchFile):
            download(step, self._tell, source)
            unpack(step)
        else:
            weights = step.weights
            wanted = {
                "repo_id": weights.repository,
                "revision": weights.revision,
                "allow_patterns": list(weights.files) or None,
                "local_dir": step.folder,
            }
            # A person's offline setting is for jobs.
            env = {"HF_HUB_OFFLINE": "0", **({"HF_ENDPOINT": source} if source is not None else {})}
            self._call([self._python, "-c", _SNAPSHOT, json.dumps(wanted)], env)

    def _check(self, step: CheckImports) -> None:
        found = import_all(step.python, step.modules, {**self._env(), **step.env}, step.path)
        told = problems(found, cuda=step.cuda, libraries=step.libraries)
        for each in told:
            self._tell(f"    {each.text}{f' -> {each.advice}' if each.advice else ''}")
        if found.torch is not None:
            self._tell(f"    torch {found.torch.version}, CUDA {found.torch.cuda or 'none'}")
        certain = [each for each in told if each.certain]
        if certain:
            lines = [f"    {each.text}{f' -> {each.advice}' if each.advice else ''}" for each in certain]
            raise InstallError("what is installed does not work:\n" + "\n".join(lines))

    def _call(self, command: list[str], env: Mapping[str, str] | None = None) -> None:
        """Run it, showing and keeping what it prints. `env` is added to its variables.

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
                    env={**self._env(), **(env or {})},
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
        written = self._folder / f"{STAMPS}.new"
        written.write_bytes(msgspec.json.encode(stamps))
        written.replace(self._folder / STAMPS)


def _constraints(versions: Mapping[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def _normal(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
