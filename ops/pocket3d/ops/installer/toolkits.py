"""Which CUDA toolkit compiles for a recipe's torch, and with which variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .compute_capability import compiler_knows, version

#: Memory of one compile job, MB: flash-attention's setup.py, whose kernels are the largest of all, counts 9 GB.
_JOB_MB = 9_000


class Toolkit(NamedTuple):
    """A CUDA toolkit on this machine."""

    #: Its folder, for CUDA_HOME.
    home: str
    #: Of its nvcc, `12.4`.
    version: str


class Build(NamedTuple):
    """How CUDA code is compiled here."""

    #: CUDA_HOME; None where no toolkit fits.
    home: str | None = None
    #: Compute capabilities to compile for, `8.9`.
    architectures: tuple[str, ...] = ()

    def variables(self) -> dict[str, str]:
        """Of the compiling processes. Without the first, some packages become the CPU's where no GPU is seen."""
        found = {"FORCE_CUDA": "1"}
        if self.home is not None:
            found["CUDA_HOME"] = self.home
        if self.architectures:
            found["TORCH_CUDA_ARCH_LIST"] = ";".join(self.architectures)
        return found


#: The newest gcc that a version of nvcc takes: host compilers in NVIDIA's CUDA installation guide. torch refuses later
#: ones when it compiles.
_NEWEST_GCC = {
    "12.0": 12,
    "12.1": 12,
    "12.2": 12,
    "12.3": 12,
    "12.4": 13,
    "12.5": 13,
    "12.6": 13,
    "12.8": 14,
    "12.9": 14,
}


def gcc_too_new(gcc: str, toolkit: Toolkit) -> int | None:
    """The newest major version of gcc that this nvcc takes, if the one here is newer; None if it is not."""
    newest = _NEWEST_GCC.get(toolkit.version)
    return newest if newest is not None and version(gcc)[0] > newest else None


def nvcc_version(said: str) -> str | None:
    """From what `nvcc --version` prints."""
    found = re.search(r"release (\d+\.\d+)", said)
    return found[1] if found else None


def fitting(cuda: str, toolkits: Sequence[Toolkit]) -> Toolkit | None:
    """The toolkit to compile with: that of torch's own CUDA version, else the first of the same major version, which
    is what torch's `cpp_extension` admits.
    """
    same = [each for each in toolkits if version(each.version)[0] == version(cuda)[0]]
    return next((each for each in same if each.version == cuda), same[0] if same else None)


def why_none(cuda: str, toolkits: Sequence[Toolkit]) -> str:
    """Says that no toolkit fits, and what to do."""
    seen = ", ".join(f"{each.version} in {each.home}" for each in toolkits)
    there = f"the CUDA toolkits here are of another major version ({seen})" if seen else "there is no nvcc"
    return (
        f"{there}, and torch is built for CUDA {cuda}: install the toolkit {cuda} (developer.nvidia.com/cuda-toolkit-"
        "archive) and name its folder in CUDA_HOME; PATH, /usr/local/cuda and /usr/local/cuda-* are looked at too"
    )


def too_new(architectures: Sequence[str], toolkit: Toolkit) -> list[str]:
    """The architectures that its nvcc does not know."""
    return [each for each in architectures if not compiler_knows(each, toolkit.version)]


def jobs(cpus: int, free_memory_mb: int) -> int:
    """How many compilers may run at once (MAX_JOBS)."""
    return max(1, min(cpus, free_memory_mb // _JOB_MB))
