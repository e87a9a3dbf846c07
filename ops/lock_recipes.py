"""Resolves the packages of each recipe and writes the lock: `python ops/lock_recipes.py [RECIPE ...]`.

Metadata only: `uv pip compile` reads it from the index, or from a wheel's end by range requests, where pip's own
`--dry-run` fetches whole wheels (6 GB for torch 2.6, measured). Each call has a limit on its time and on the bytes of
any file that it writes. A requirement whose index cannot be reached from here is left out and named in the lock; one
that a reachable index does not have is an error. Needs uv (pip install uv) and this project's packages.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import re
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.recipe import Recipe
from pocket3d.ops.installer.environments import BUILD_PACKAGES, WORKER_PACKAGES
from pocket3d.ops.installer.locks import Lock
from pocket3d.ops.installer.look import lock_file

LIMIT_S = 300
#: No metadata is larger; a wheel of torch is.
LIMIT_FILE_BYTES = 64 * 1024 * 1024
MACHINE = "x86_64"
#: Wheels for glibc 2.35, that of Ubuntu 22.04: open3d and pymeshlab have no newer ones for older systems.
PLATFORM = "x86_64-manylinux_2_35"
_CONNECT_S = 5.0
#: What uv says of a requirement that its index does not have.
_NONE = re.compile(r"no version of (?P<name>[\w.-]+)|(?P<other>[\w.-]+) was not found in the package registry")
_PACKAGE = re.compile(r'^name = "(?P<name>[^"]+)"\nversion = "(?P<version>[^"]+)"(?P<rest>.*)', re.DOTALL)
_WHEEL = re.compile(r"^wheels = \[\{.*?size = (\d+)", re.MULTILINE)
_SDIST = re.compile(r"^sdist = \{.*?size = (\d+)", re.MULTILINE)


class Wanted(NamedTuple):
    """What a recipe asks of pip, sorted by whether it can be asked here."""

    #: Lines of a requirements file.
    lines: list[str]
    #: Requirements by address whose host does not answer, with it.
    lost: list[str]
    #: Hosts of indexes that do not answer.
    silent: list[str]


def wanted(recipe: Recipe) -> Wanted:
    """All requirements of a recipe and its parts; folders of its checkouts are compiled, not resolved."""
    everything = [recipe, *recipe.parts]
    lines = [*WORKER_PACKAGES, *BUILD_PACKAGES, "huggingface_hub", *recipe.torch]
    lines += [line for each in everything for line in (*each.requirements, *each.compiled)]
    kept, lost, silent = [], [], []
    for line in lines:
        # Without dependencies are folders installed whose own requirements are other addresses than the recipe's.
        if line.startswith("{root}") or line == "--no-deps":
            continue
        address = re.search(r"https?://[^\s'\"]+", line)
        host = urllib.parse.urlsplit(address[0]).hostname if address else None
        if host is None or answers(host):
            kept.append(line)
        elif line.startswith("-"):
            silent.append(host)
        else:
            lost.append(f"{line.partition(' @ ')[0]} ({host})")
    return Wanted(kept, lost, silent)


def answers(host: str) -> bool:
    """True if a connection to its HTTPS port is made."""
    try:
        with socket.create_connection((host, 443), timeout=_CONNECT_S):
            return True
    except OSError:
        return False


def resolve(recipe: Recipe, uv: str, interpreter: str | None) -> Lock:
    """Ask the indexes.

    Raises:
        SystemExit: they contradict the recipe, or one call went beyond its limits.
    """
    asked = wanted(recipe)
    lines, lost = list(asked.lines), list(asked.lost)
    while True:
        done = compiled(recipe, lines, uv, interpreter)
        if done.returncode == 0:
            return made(recipe, done.stdout, lost)
        none = _NONE.search(done.stderr)
        name = (none["name"] or none["other"]) if none else ""
        line = next((each for each in lines if name and normal(each) == normal(name)), None)
        if line is None or not asked.silent:
            more = f"ended by a limit ({LIMIT_FILE_BYTES} bytes a file)" if done.returncode < 0 else ""
            raise SystemExit(f"{recipe.name}: {done.stderr}{more}")
        lines.remove(line)
        lost.append(f"{line} ({', '.join(dict.fromkeys(asked.silent))})")


def compiled(recipe: Recipe, lines: list[str], uv: str, interpreter: str | None) -> subprocess.CompletedProcess[str]:
    """One call of uv, from nothing but the index: its answer is a file in the form of PEP 751."""
    with tempfile.TemporaryDirectory(prefix="pocket3d-lock-") as folder:
        file = Path(folder, "requirements.in")
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [uv, "pip", "compile", "--no-header", "--no-annotate", "--format", "pylock.toml"]
        command += ["--python-version", recipe.python[0], "--python-platform", PLATFORM, str(file)]
        command += ["--python", interpreter] if interpreter else []
        for each in (recipe, *recipe.parts):
            for line in each.compiled:
                # Its metadata is made with what is there, as it is installed: setuptools is enough for that.
                command += [] if line.startswith(("{root}", "-")) else ["--no-build-isolation-package", normal(line)]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SSL_CERT_FILE") if name in os.environ}
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                env={**kept, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": f"{folder}/cache"},
                timeout=LIMIT_S,
                preexec_fn=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SystemExit(f"{shlex.join(command)} takes more than {LIMIT_S} s") from error


def limit() -> None:
    """In the child: no file grows beyond the limit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_FILE_BYTES, LIMIT_FILE_BYTES))


def made(recipe: Recipe, pylock: str, lost: list[str]) -> Lock:
    """The lock of what uv answered."""
    packages, size = {}, 0
    for block in pylock.split("[[packages]]\n")[1:]:
        found = _PACKAGE.match(block)
        if found is None:
            # From an address: it has no version to pin.
            continue
        packages[found["name"]] = found["version"]
        sizes = _WHEEL.search(found["rest"]) or _SDIST.search(found["rest"])
        size += int(sizes[1]) if sizes else 0
    return Lock(
        recipe=recipe.name,
        python=recipe.python[0],
        machine=MACHINE,
        date=datetime.date.today().isoformat(),
        packages=packages,
        unresolved=tuple(lost),
        download_mb=round(size / 1e6),
    )


def normal(requirement: str) -> str:
    """A requirement's name as PEP 503 compares names."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def main() -> None:
    """Write the locks that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names of recipes; all without")
    told = "An interpreter with setuptools and wheel, for packages that have no wheels. Repeatable."
    parser.add_argument("--python", action="append", default=[], metavar="3.10=PATH", help=told)
    arguments = parser.parse_args()
    named = arguments.recipes
    interpreters = dict(each.split("=", 1) for each in arguments.python)
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv is None:
        raise SystemExit("uv is not here: pip install uv")
    # Of recipes that share an environment, any.
    recipes: dict[str, Recipe] = {}
    for module in sorted({each.recipe for each in BUILTIN_ADAPTERS if each.recipe}):
        recipe = importlib.import_module(module).RECIPE
        recipes.setdefault(recipe.name, recipe)
    unknown = set(named) - set(recipes)
    if unknown:
        raise SystemExit(f"no recipe {', '.join(sorted(unknown))}; there are {', '.join(recipes)}")
    for name in named or recipes:
        lock = resolve(recipes[name], uv, interpreters.get(recipes[name].python[0]))
        file = lock_file(recipes[name])
        file.parent.mkdir(exist_ok=True)
        file.write_text(lock.text(), encoding="utf-8")
        sys.stdout.write(f"{file}: {len(lock.packages)} packages, {lock.download_mb} MB, {len(lock.unresolved)} lost\n")


if __name__ == "__main__":
    main()
