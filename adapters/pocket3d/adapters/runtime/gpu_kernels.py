"""Whether a build of torch has kernels for a GPU. Pure, but for `kernel_problem`, which asks torch.

A build names what it was compiled for: `sm_86` is code for GPUs of compute capability 8.6 and later ones of the same
major number; `compute_90` is an intermediate form that the driver compiles for any later GPU; a letter at the end ties
code to just that capability (`a`) or its major number (`f`). See "Binary Compatibility" and "PTX Compatibility" of
NVIDIA's CUDA C++ Programming Guide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .process_device import cuda_in_use

_ARCH = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


def has_kernels(capability: tuple[int, int], archs: Sequence[str]) -> bool | None:
    """True if code for one of `archs` (as `torch.cuda.get_arch_list()`) runs on a GPU of this compute capability; None
    if that cannot be told: no list, or words of another vendor.
    """
    found = [_ARCH.fullmatch(arch) for arch in archs]
    known = [(each[1], (int(each[2]), int(each[3])), each[4]) for each in found if each is not None]
    if not known:
        return None
    for kind, of, letter in known:
        if letter == "a":
            runs = capability == of
        elif kind == "compute" and not letter:
            runs = capability >= of
        else:
            runs = capability[0] == of[0] and capability >= of
        if runs:
            return True
    return False


def describe_problem(capability: tuple[int, int], version: str, archs: Sequence[str]) -> str | None:
    """What is wrong with a torch for such a GPU, and what to do; None if it has kernels for it, or nobody can tell."""
    if has_kernels(capability, archs) is not False:
        return None
    number = f"{capability[0]}.{capability[1]}"
    return (
        f"torch {version} has no kernels for this GPU, whose compute capability is {number}: it was built for "
        f"{', '.join(archs)}. Install a build of torch that lists sm_{capability[0]}{capability[1]}"
    )


def kernel_problem() -> str | None:
    """The same of the torch and the GPU that this process uses; None if it uses none."""
    torch = cuda_in_use()
    if torch is None:
        return None
    try:
        return describe_problem(torch.cuda.get_device_capability(), torch.__version__, torch.cuda.get_arch_list())
    except RuntimeError:
        # A device that answers nothing any more; that is said elsewhere.
        return None
