"""Whether this worker's GPU can run the code that torch and flash-attn bring.

A kernel that is not there shows with the first launch, in the middle of a load or of a job ("no kernel image is
available"). Run as a module it prints the facts as JSON, for workers that must not touch the GPU themselves.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from ..catalogue.needs import compiled_inside, installed
from ..errors import AdapterUnavailable

#: What flash-attn's kernels are made for: Ampere and later (its README).
FLASH_ATTN = (8, 0)
_FACTS_S = 120.0
_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


class Card(msgspec.Struct, frozen=True):
    """A GPU, and the torch that is to run on it."""

    name: str
    #: Compute capability, major and minor.
    capability: tuple[int, int]
    #: What torch's kernels are compiled for, as `torch.cuda.get_arch_list` names it: `sm_90`, `compute_90`.
    architectures: list[str]
    #: Of torch.
    version: str


def card() -> Card:
    """The facts about the first GPU of this process, which gets a CUDA context by that."""
    torch = importlib.import_module("torch")
    return Card(
        name=torch.cuda.get_device_name(0),
        capability=torch.cuda.get_device_capability(0),
        architectures=torch.cuda.get_arch_list(),
        version=torch.__version__,
    )


def card_of_child(environment: Mapping[str, str]) -> Card:
    """The same by a process that is gone afterwards, with these variables.

    Raises:
        AdapterUnavailable: it could not tell; says why.
    """
    command = [sys.executable, "-m", __name__]
    try:
        ended = subprocess.run(command, env=dict(environment), capture_output=True, timeout=_FACTS_S, check=True)
        return msgspec.json.decode(ended.stdout, type=Card)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.decode("utf-8", "replace").strip().splitlines() or ["(nothing)"])[-1]
        raise AdapterUnavailable(f"torch cannot tell about this worker's GPU: {last}") from error
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise AdapterUnavailable(f"torch cannot tell about this worker's GPU: {error}") from error


def runs_on(architectures: Sequence[str], capability: tuple[int, int]) -> bool:
    """Whether code that is compiled for these runs there.

    Machine code (`sm_86`) runs on cards of its major version and of its minor one or higher; intermediate code
    (`compute_90`) on all that came later, too. With an `a` it is for that very card, with an `f` for its major version.
    """
    for each in architectures:
        found = _ARCHITECTURE.fullmatch(each)
        if found is None:
            continue
        kind, major, minor, suffix = found.groups()
        made_for = int(major), int(minor)
        if suffix == "a":
            fits = capability == made_for
        elif kind == "compute" and suffix == "":
            fits = capability >= made_for
        else:
            fits = capability[0] == made_for[0] and capability[1] >= made_for[1]
        if fits:
            return True
    return False


def unsuited(found: Card, *, least: tuple[int, int] | None = None, what: str = "") -> str | None:
    """In words why this torch, or what needs the capability `least`, cannot run on the card; None if it can."""
    has = f"{found.name} has compute capability {_dotted(found.capability)}"
    if not runs_on(found.architectures, found.capability):
        return (
            f"{has}, and this torch ({found.version}) is compiled for {', '.join(found.architectures) or 'no GPU'}:"
            " install a torch for it, with packages that fit that torch"
        )
    if least is not None and found.capability < least:
        return f"{has}, and {what} needs {_dotted(least)} or higher"
    return None


def require(found: Card, *, least: tuple[int, int] | None = None, what: str = "") -> None:
    """Raise AdapterUnavailable with what `unsuited` says."""
    problem = unsuited(found, least=least, what=what)
    if problem is not None:
        raise AdapterUnavailable(problem)


def require_cuda_builds(**libraries: str) -> None:
    """Refuse packages that were compiled without CUDA, which theirs are where no GPU or no nvcc was seen: by package,
    the name of the library that they have only with it.

    Raises:
        AdapterUnavailable: see there. A package that is not installed is not looked at.
    """
    lacking = [each for each, name in libraries.items() if installed(each) and not compiled_inside(each, name)]
    if lacking:
        raise AdapterUnavailable(
            f"{', '.join(lacking)} in {sys.executable} has no code for GPUs: install it again from a wheel for this"
            " torch and its CUDA, or where nvcc is (FORCE_CUDA=1)"
        )


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


if __name__ == "__main__":
    json.dump(msgspec.to_builtins(card()), sys.stdout)
