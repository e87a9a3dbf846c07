"""Which GPUs the torch of a recipe, or a kernel compiled here, runs on. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pocket3d.adapters.runtime.gpu_kernels import has_kernels


class Card(NamedTuple):
    """One GPU as the driver tells of it."""

    name: str
    #: `8.9`; None where the driver does not say.
    capability: str | None
    #: The driver's version, `550.54.14`.
    driver: str


_FROM_MAXWELL = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_WITH_BLACKWELL = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
#: Architectures in the wheels of a torch version for a CUDA version: TORCH_CUDA_ARCH_LIST in pytorch's
#: .ci/manywheel/build_cuda.sh (pytorch/builder until 2.5), as `torch.cuda.get_arch_list()` gives them.
_TORCH_BUILDS = {
    ("2.4", "12.1"): _FROM_MAXWELL,
    ("2.5", "12.4"): _FROM_MAXWELL,
    ("2.6", "12.4"): _FROM_MAXWELL,
    ("2.6", "12.6"): _FROM_MAXWELL,
    ("2.7", "12.6"): _FROM_MAXWELL,
    ("2.7", "12.8"): ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"),
    ("2.8", "12.6"): _FROM_MAXWELL,
    ("2.8", "12.8"): _WITH_BLACKWELL,
    ("2.9", "12.8"): _WITH_BLACKWELL,
}
#: The oldest driver of a major version of CUDA: "minor version compatibility" in NVIDIA's CUDA compatibility guide.
_LEAST_DRIVER = {12: 525, 13: 580}
#: The nvcc that first compiles for an architecture: release notes of the CUDA toolkit.
_NVCC_SINCE = {"8.9": "11.8", "9.0": "11.8", "10.0": "12.8", "12.0": "12.8", "10.3": "12.9", "12.1": "12.9"}


def architectures_of(torch: str, cuda: str) -> tuple[str, ...]:
    """What torch's wheel has kernels for, such as ("sm_86", "compute_120"); empty where the table does not know it.

    `torch` and `cuda` are versions, `2.6.0` and `12.4`.
    """
    return _TORCH_BUILDS.get((".".join(torch.split("+")[0].split(".")[:2]), cuda), ())


def runs_on(capability: str, architectures: Sequence[str]) -> bool:
    """False if none of these architectures runs on a GPU of that capability; true also where nobody can tell."""
    major, minor = version(capability)[:2]
    return has_kernels((major, minor), architectures) is not False


def why_not(card: Card, *, torch: str, cuda: str, least: str | None) -> str | None:
    """Why that GPU does not run what a recipe installs, or None.

    `least` is the least capability that the recipe's own kernels take.
    """
    needed = _LEAST_DRIVER.get(version(cuda)[0])
    driver = version(card.driver)[0] if card.driver else None
    if needed is not None and driver is not None and driver < needed:
        return f"{card.name} has driver {card.driver}; CUDA {cuda} wants {needed} or later"
    if card.capability is None:
        return None
    built = architectures_of(torch, cuda)
    if not runs_on(card.capability, built):
        return (
            f"{card.name} has compute capability {card.capability}, and torch {torch} for CUDA {cuda} has kernels for"
            f" {', '.join(built)} only"
        )
    if least is not None and version(card.capability) < version(least):
        return f"{card.name} has compute capability {card.capability}; the recipe's kernels want {least} or later"
    return None


def compiler_knows(capability: str, nvcc: str) -> bool:
    """True if that nvcc compiles for the architecture."""
    return version(nvcc) >= version(_NVCC_SINCE.get(capability, "0"))


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison: `550.54.14` -> (550, 54, 14)."""
    return tuple(int(each) for each in re.findall(r"\d+", text)) or (0,)
