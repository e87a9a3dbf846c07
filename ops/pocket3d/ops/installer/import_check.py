"""Imports a model's modules in its own interpreter, by `import_probe` in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .import_findings import Imports, TorchFacts
from .import_probe import MARK

_PROBE = Path(__file__).with_name("import_probe.py")
#: One process; torch with all that imports it takes a minute from a cold disk.
_LIMIT_S = 600.0


def import_all(
    python: str, modules: Sequence[str], env: Mapping[str, str], path: Sequence[str] = (), limit_s: float = _LIMIT_S
) -> Imports:
    """Import them in order in one process; after one that ends the process, the rest in another.

    `env` is the whole environment of the process, `path` goes before its PYTHONPATH.
    """
    joined = ":".join((*path, *(each for each in (env.get("PYTHONPATH"),) if each)))
    surroundings = {**env, **({"PYTHONPATH": joined} if joined else {})}
    left: list[str] = list(dict.fromkeys(modules))
    torch: TorchFacts | None = None
    ended: dict[str, str | None] = {}
    alone: list[str] = []
    while left:
        said, how = _one_process(python, left, surroundings, limit_s)
        began = None
        for line in said:
            if "importing" in line:
                began = line["importing"]
            elif "module" in line:
                ended[line["module"]], began = line["error"], None
            elif "torch" in line:
                torch = msgspec.convert(line["torch"], TorchFacts)
        if began is not None:
            # Two that do not stand each other are not needed by one process in every model: alone it may import.
            if len(left) > 1 and began not in alone:
                alone.append(began)
                ended.update(import_all(python, [began], env, path, limit_s).modules)
            else:
                ended[began] = how
        rest = [name for name in left if name not in ended]
        if len(rest) == len(left):
            # The interpreter itself does not come to the first module.
            ended.update(dict.fromkeys(rest, how))
            rest = []
        left = rest
    return Imports(modules={name: ended[name] for name in dict.fromkeys(modules)}, torch=torch)


def _one_process(
    python: str, modules: list[str], env: Mapping[str, str], limit_s: float
) -> tuple[list[dict[str, Any]], str]:
    """What it told, and how it ended in words."""
    # -u -B: a process that crashes has told all, and nothing is written into a checkout.
    command = [python, "-u", "-B", str(_PROBE), json.dumps({"modules": modules})]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(env),
            timeout=limit_s,
            check=False,
        )
        out, how = done.stdout, _ended(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as expired:
        out = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else expired.stdout or ""
        how = f"it takes more than {limit_s:.0f} s"
    except OSError as error:
        return [], f"{python} cannot be started: {error.strerror or error}"
    return [json.loads(line[len(MARK) :]) for line in out.splitlines() if line.startswith(MARK)], how


def _ended(returncode: int, stderr: str) -> str:
    last = "; ".join(line.strip() for line in stderr.strip().splitlines()[-3:])
    said = f": {last}" if last else ""
    if returncode < 0:
        return f"the process ended by {signal.Signals(-returncode).name}{said}"
    return f"the process ended with status {returncode}{said}"
