"""What an environment's imports say about it: problems in words, with what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from .compute_capability import runs_on, version

#: Shared libraries that models' packages want of a host, and Debian's packages of them, where a recipe names none.
_KNOWN = {
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libEGL.so.1": "libegl1",
    "libGLU.so.1": "libglu1-mesa",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXext.so.6": "libxext6",
    "libXi.so.6": "libxi6",
    "libXfixes.so.3": "libxfixes3",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libgomp.so.1": "libgomp1",
}
#: The driver's own library: not there where an image is built, and not to be installed as a package.
_DRIVER = "libcuda.so.1"
_SONAME = re.compile(r"\blib[\w.+-]+?\.so(?:\.\d+)*")


class TorchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment's torch is built for, and what it sees."""

    version: str
    #: None for a build for the CPU.
    cuda: str | None = None
    #: As `torch.cuda.get_arch_list()`.
    architectures: tuple[str, ...] = ()
    #: Name and compute capability of each GPU.
    gpus: tuple[tuple[str, str], ...] = ()
    #: Packages that were compiled for the CPU alone.
    without_cuda: tuple[str, ...] = ()


class Imports(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all modules."""

    #: Module -> what was raised, or how the process ended; None for an import.
    modules: dict[str, str | None]
    torch: TorchFacts | None = None


class Problem(NamedTuple):
    """What stops jobs, and what to do about it."""

    text: str
    advice: str | None = None
    #: False for what cannot be judged on this machine.
    certain: bool = True


def problems(found: Imports, *, cuda: str | None, libraries: Mapping[str, str]) -> list[Problem]:
    """All that is wrong. `cuda` is the version that torch must be built for; `libraries` is soname -> package."""
    told = [
        Problem(f"import {name}: {error}", "there is no NVIDIA driver on this machine", certain=False)
        if _DRIVER in error
        else Problem(f"import {name}: {error}", advice(error, libraries))
        for name, error in failed(found)
    ]
    torch = found.torch
    if torch is not None:
        if cuda is not None and torch.cuda != cuda:
            build = "the CPU alone" if torch.cuda is None else f"CUDA {torch.cuda}"
            told.append(Problem(f"torch {torch.version} is built for {build}; the recipe wants CUDA {cuda}"))
        told += [
            Problem(f"{name} is compiled for the CPU alone: every job on a GPU would fail")
            for name in torch.without_cuda
        ]
        told += unsupported(torch)
    return told


def failed(found: Imports) -> list[tuple[str, str]]:
    """The modules that did not import, with what was said."""
    return [(name, error) for name, error in found.modules.items() if error is not None]


def unsupported(torch: TorchFacts) -> list[Problem]:
    """The GPUs for which this torch has no kernels."""
    return [
        Problem(
            f"{name} has compute capability {capability}, and torch {torch.version} has kernels for"
            f" {', '.join(torch.architectures)} only",
            "its jobs fail with `no kernel image is available`: keep this GPU from the adapter (--devices), or use a"
            " newer torch",
        )
        for name, capability in dict.fromkeys(torch.gpus)
        if not runs_on(capability, torch.architectures)
    ]


def too_old(torch: TorchFacts, package: str, least: str) -> list[Problem]:
    """The GPUs that are too old for a package's kernels."""
    return [
        Problem(f"{name} has compute capability {capability}; {package} wants {least} or later")
        for name, capability in dict.fromkeys(torch.gpus)
        if version(capability) < version(least)
    ]


def advice(error: str, libraries: Mapping[str, str]) -> str | None:
    """The system package of a library that the loader does not find."""
    if "cannot open shared object file" not in error and "No such file" not in error and "not found" not in error:
        return None
    known = {**_KNOWN, **libraries}
    packages = dict.fromkeys(known[name] for name in _SONAME.findall(error) if name in known)
    return f"apt install {' '.join(packages)}" if packages else None
